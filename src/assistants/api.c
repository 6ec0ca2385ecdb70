#include "assistants/api.h"

#include <stdarg.h>

#include "assistants/internal.h"
#include "assistants/leases.h"
#include "assistants/retention.h"
#include "assistants/runner_pool.h"
#include "assistants/runs.h"
#include "text/api_error.h"
#include "text/text.h"

const struct api_row api_rows[] = {
    {"POST", "/assistants", assistants_create},
    {"GET", "/assistants", assistants_list},
    {"GET", "/assistants/{id}", assistants_retrieve},
    {"POST", "/assistants/{id}", assistants_modify},
    {"DELETE", "/assistants/{id}", assistants_delete},
    {"POST", "/threads", threads_create},
    {"POST", "/threads/runs", runs_create_with_thread}, /* before the threads' own paths */
    {"GET", "/threads", threads_list},
    {"GET", "/threads/{id}", threads_retrieve},
    {"POST", "/threads/{id}", threads_modify},
    {"DELETE", "/threads/{id}", threads_delete},
    {"POST", "/threads/{id}/messages", messages_create},
    {"GET", "/threads/{id}/messages", messages_list},
    {"GET", "/threads/{id}/messages/{message}", messages_retrieve},
    {"POST", "/threads/{id}/messages/{message}", messages_modify},
    {"DELETE", "/threads/{id}/messages/{message}", messages_delete},
    {"POST", "/threads/{id}/runs", runs_create},
    {"GET", "/threads/{id}/runs", runs_list},
    {"GET", "/threads/{id}/runs/{run}", runs_retrieve},
    {"POST", "/threads/{id}/runs/{run}", runs_modify},
    {"POST", "/threads/{id}/runs/{run}/cancel", runs_cancel},
    {"POST", "/threads/{id}/runs/{run}/submit_tool_outputs", runs_submit_tool_outputs},
    {"GET", "/threads/{id}/runs/{run}/steps", run_steps_list},
    {"GET", "/threads/{id}/runs/{run}/steps/{step}", run_steps_retrieve},
    /* The first version's. */
    {"POST", "/assistants/{id}/files", assistant_files_create},
    {"GET", "/assistants/{id}/files", assistant_files_list},
    {"GET", "/assistants/{id}/files/{file}", assistant_files_retrieve},
    {"DELETE", "/assistants/{id}/files/{file}", assistant_files_delete},
    {"GET", "/threads/{id}/messages/{message}/files", message_files_list},
    {"GET", "/threads/{id}/messages/{message}/files/{file}", message_files_retrieve},
};

const size_t api_rows_len = sizeof api_rows / sizeof *api_rows;

/* A piece of the path. */
struct span {
	const char *at;
	size_t len;
};

struct api *
api_new(struct db *db, struct model *model, const char *state_dir, unsigned run_timeout_s,
    unsigned context_tokens)
{
	struct api *api = calloc(1, sizeof *api);

	if (!api)
		return NULL;
	api->db = db;
	api->model = model;
	api->run_timeout_s = run_timeout_s;
	api->context_tokens = context_tokens;
	api->leases = leases_new(state_dir);
	api->runners = runner_pool_new(api);
	if (api->leases && api->runners)
		return api;
	api_free(api);
	return NULL;
}

void
api_set_budgets(struct api *api, const struct budgets *budgets)
{
	api->budgets = *budgets;
}

void
api_set_model_url(struct api *api, const char *url)
{
	api->model_url = url;
}

void
api_set_seats(struct api *api, struct seats *seats)
{
	api->seats = seats;
}

int
api_set_retention(struct api *api, unsigned days)
{
	api->retention = retention_new(api->db, &api->budgets, days);
	return api->retention ? 0 : -1;
}

bool
api_sweep_is_due(struct api *api)
{
	return api->retention && retention_is_due(api->retention);
}

void
api_sweep(struct api *api)
{
	if (api->retention)
		retention_step(api->retention);
}

void
api_resume(struct api *api)
{
	api->stays = true;
	runner_pool_wake(api->runners);
	if (api->retention)
		retention_start(api->retention);
}

void
api_await(struct api *api)
{
	runner_pool_await(api->runners);
}

void
api_free(struct api *api)
{
	if (!api)
		return;
	retention_free(api->retention);
	runner_pool_free(api->runners);
	leases_free(api->leases);
	free(api);
}

void
answer(struct call *call, int status, struct json_object *body)
{
	json_object_put(call->response->body);
	call->response->status = status;
	call->response->body = body;
}

static void
answer_error(
    struct call *call, int status, const char *param, const char *code, const char *message)
{
	answer(call, status, api_error_body(status, param, code, message));
}

void
refuse(struct call *call, const char *param, const char *format, ...)
{
	char message[ERROR_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	answer_error(call, 400, param, NULL, message);
}

void
refuse_as(struct call *call, const char *code, const char *param, const char *format, ...)
{
	char message[ERROR_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	answer_error(call, 400, param, code, message);
}

void
refuse_unknown_at(
    struct call *call, const char *param, const char *kind, const char *prefix, const char *id)
{
	size_t len = strlen(prefix);
	char message[ERROR_SIZE];

	/* "file-…" is OpenAI's form, too. */
	if (strncmp(id, prefix, len) == 0 && (id[len] == '_' || id[len] == '-') &&
	    id_has_form(id + len + 1, "")) {
		snprintf(message, sizeof message, "No %s found with id '%.128s'.", kind, id);
		answer_error(call, 404, NULL, NULL, message);
		return;
	}
	refuse(call, param, "Invalid '%s': '%.128s'. Expected an ID that begins with '%s'.", param,
	    id, prefix);
}

void
refuse_unknown(struct call *call, const char *kind, const char *prefix, const char *id)
{
	char param[64];

	snprintf(param, sizeof param, "%s_id", kind);
	refuse_unknown_at(call, param, kind, prefix, id);
}

void
refuse_empty(struct call *call, long long wait_s)
{
	char message[BUDGET_SENTENCE_SIZE];

	budget_print_empty(wait_s, message);
	answer_error(call, 429, NULL, "rate_limit_exceeded", message);
	call->response->retry_after_s = (long)wait_s;
	call->response->no_tokens = true;
}

void
fail(struct call *call)
{
	answer_error(
	    call, 503, NULL, NULL, "The server had an error while processing your request.");
}

void
answer_found(struct call *call, struct db_tx *tx, int found, struct json_object *object,
    const char *kind, const char *prefix, const char *id)
{
	if (found == 1 && db_commit(tx) == 0) {
		answer(call, 200, object);
		return;
	}
	json_object_put(object);
	if (found != 1)
		db_rollback(tx);
	if (found == 0)
		refuse_unknown(call, kind, prefix, id);
	else
		fail(call);
}

struct json_object *
deleted_object(const char *id, const char *kind)
{
	struct json_object *body = json_object_new_object();
	char object[32];

	snprintf(object, sizeof object, "%s.deleted", kind);
	json_set_string(body, "id", id);
	json_set_string(body, "object", object);
	json_set(body, "deleted", json_object_new_boolean(1));
	return body;
}

void
delete_object(struct call *call, const char *sql, const char *kind, const char *prefix)
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	const char *id = call->params[0];
	struct db_stmt *stmt;
	int found = -1;

	if (!tx) {
		fail(call);
		return;
	}
	stmt = db_prepare(tx, sql);
	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, call->request->tenant);
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		found = db_changes(tx) > 0;
	answer_found(call, tx, found, deleted_object(id, kind), kind, prefix, id);
}

/* Whether path and pattern agree; `spans` are what stood for the names. */
static bool
matches(const char *pattern, const char *path, struct span spans[PATH_PARAMS_MAX])
{
	int params = 0;

	while (*pattern && *path) {
		if (*pattern == '{') {
			spans[params] = (struct span){path, strcspn(path, "/")};
			path += spans[params++].len;
			pattern += strcspn(pattern, "}") + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*pattern && !*path;
}

static void
dispatch(struct call *call)
{
	bool known = false;

	for (size_t i = 0; i < api_rows_len; i++) {
		struct span spans[PATH_PARAMS_MAX] = {{NULL, 0}};

		if (!matches(api_rows[i].pattern, call->request->path, spans))
			continue;
		known = true;
		call->response->route = api_rows[i].pattern;
		if (strcmp(api_rows[i].method, call->request->method) != 0)
			continue;
		for (int p = 0; p < PATH_PARAMS_MAX && spans[p].at; p++) {
			call->params[p] = percent_decode(spans[p].at, spans[p].len);
			if (!call->params[p]) {
				refuse(call, NULL,
				    "The path is broken: its percent-encoding, or a NUL in it.");
				return;
			}
		}
		api_rows[i].handler(call);
		return;
	}
	answer_error(call, known ? 405 : 404, NULL, NULL,
	    known ? "This path does not take that method." : "There is nothing at this path.");
}

void
api_keep(struct api *api)
{
	runs_renew(api);
}

void
api_handle(struct api *api, const struct api_request *request, struct api_response *response)
{
	struct call call = {.api = api, .request = request, .response = response};

	*response = (struct api_response){.status = 500, .retry_after_s = -1};
	dispatch(&call);
	for (int i = 0; i < PATH_PARAMS_MAX; i++)
		free(call.params[i]);
}
