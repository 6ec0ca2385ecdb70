#include "assistants/call.h"

#include <stdarg.h>

#include "os/id.h"
#include "records/thread.h"
#include "text/api_error.h"
#include "text/json.h"
#include "text/text.h"

static void
end(struct call *call, int result)
{
	if (result < 0 || call->response->status == 0)
		call_fail(call);
}

void
call_read(struct call *call, db_work_fn *work, void *arg)
{
	end(call, db_read(call->api->runs.db, work, arg));
}

void
call_write(struct call *call, db_work_fn *work, void *arg)
{
	end(call, db_write(call->api->runs.db, DB_WRITE, work, arg));
}

void
call_answer(struct call *call, int status, struct json_object *body)
{
	json_object_put(call->response->body);
	call->response->status = status;
	call->response->error = API_OK;
	call->response->body = body;
}

static void
answer_error(
    struct call *call, int status, const char *param, const char *code, const char *message)
{
	call_answer(call, status, api_error_body(status, param, code, message));
	call->response->error = API_REFUSED;
}

static void __attribute__((format(printf, 5, 0))) refuse(struct call *call, int status,
    const char *code, const char *param, const char *format, va_list args)
{
	char message[ERROR_SIZE];

	vsnprintf(message, sizeof message, format, args);
	answer_error(call, status, param, code, message);
}

void
call_refuse(struct call *call, const char *param, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, 400, NULL, param, format, args);
	va_end(args);
}

void
call_refuse_with(struct call *call, int status, const char *param, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, status, NULL, param, format, args);
	va_end(args);
}

void
call_refuse_as(struct call *call, const char *code, const char *param, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, 400, code, param, format, args);
	va_end(args);
}

void
call_refuse_unknown_at(
    struct call *call, const char *param, const char *kind, const char *prefix, const char *id)
{
	size_t len = strlen(prefix);
	char message[ERROR_SIZE];

	/* OpenAI also has ids such as "file-…". */
	if (strncmp(id, prefix, len) == 0 && (id[len] == '_' || id[len] == '-') &&
	    id_has_form(id + len + 1, "")) {
		snprintf(message, sizeof message, "No %s found with id '%.128s'.", kind, id);
		answer_error(call, 404, NULL, NULL, message);
		return;
	}
	call_refuse(call, param, "Invalid '%s': '%.128s'. Expected an ID that begins with '%s'.",
	    param, id, prefix);
}

void
call_refuse_unknown(struct call *call, const char *kind, const char *prefix, const char *id)
{
	char param[64];

	snprintf(param, sizeof param, "%s_id", kind);
	call_refuse_unknown_at(call, param, kind, prefix, id);
}

void
call_refuse_no_such(struct call *call, const char *kind, const char *id)
{
	call_refuse_with(call, 404, "id", "No such %s: %.128s", kind, id);
}

void
call_refuse_empty(struct call *call, long long wait_s)
{
	char message[BUDGET_SENTENCE_SIZE];

	budget_print_empty(wait_s, message);
	answer_error(call, 429, NULL, "rate_limit_exceeded", message);
	call->response->retry_after_s = (long)wait_s;
	call->response->error = API_NO_TOKENS;
}

void
call_refuse_path(struct call *call, bool known)
{
	answer_error(call, known ? 405 : 404, NULL, NULL,
	    known ? "This path does not accept this method." : "There is nothing at this path.");
}

void
call_fail(struct call *call)
{
	answer_error(
	    call, 503, NULL, NULL, "The server had an error while processing your request.");
}

bool
call_thread(struct call *call, struct db_tx *tx, long long *thread)
{
	int found = thread_find(tx, call->request->tenant, call->ids[0], thread);

	if (found == 0)
		call_refuse_unknown(call, "thread", "thread", call->ids[0]);
	if (found == 0 && call->response->status == 400)
		call->response->error = API_BAD_THREAD_ID;
	return found == 1;
}

bool
call_run(struct call *call, struct db_tx *tx, long long *thread, long long *run)
{
	int found;

	if (!call_thread(call, tx, thread))
		return false;
	found = run_find(tx, *thread, call->ids[1], run);
	if (found == 0)
		call_refuse_unknown(call, "run", "run", call->ids[1]);
	return found == 1;
}

struct json_object *
call_body(struct call *call)
{
	struct json_object *body = call->request->body;

	if (!body)
		return json_new_object();
	if (json_object_is_type(body, json_type_object))
		return json_object_get(body);
	call_refuse(call, NULL, "The body must be a JSON object.");
	return NULL;
}
