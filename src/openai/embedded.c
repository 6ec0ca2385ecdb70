/*
 * The Assistants API of this process: function calls.
 */
#include "obs/log.h"
#include "openai/transport.h"

struct embedded {
	struct openai openai;
	struct api *api;
	struct db *db;
};

static bool
embedded_ready(struct openai *openai)
{
	struct embedded *self = (struct embedded *)openai;
	struct db_tx *tx = db_begin(self->db, DB_READ);
	enum db_result result = DB_ERROR;

	if (tx) {
		struct db_stmt *stmt =
		    db_prepare(tx, "SELECT count(*) FROM assistants WHERE seq = 0");

		result = db_finish(stmt, db_step(stmt));
	}
	db_rollback(tx);
	return result == DB_ROW;
}

static void
ask(struct embedded *self, struct api_request *request, struct openai_answer *answer)
{
	struct api_response response;
	char path[256];
	size_t path_len = strcspn(request->path, "?");

	/* Ids are bounded long before this, by their form. */
	snprintf(path, sizeof path, "%.*s", (int)path_len, request->path);
	if (request->path[path_len] == '?')
		request->query = request->path + path_len + 1;
	request->path = path;
	request->tenant = "gateway";
	api_handle(self->api, request, &response);
	answer->failure = OPENAI_ANSWERED;
	answer->status = response.status;
	answer->body = response.body;
	answer->retry_after_s = response.retry_after_s;
	answer->no_tokens = response.no_tokens;
}

static void
embedded_call(struct openai *openai, const char *method, const char *path, struct json_object *body,
    const struct interrupt *interrupt, struct openai_answer *answer)
{
	struct api_request request = {
	    .method = method, .path = path, .body = body, .client = interrupt};

	ask((struct embedded *)openai, &request, answer);
}

static void
embedded_stream(
    struct openai *openai, const struct openai_stream_call *call, struct openai_answer *answer)
{
	struct api_request request = {
	    .method = "POST",
	    .path = call->path,
	    .body = call->body,
	    .on_event = call->on_event,
	    .wants = call->wants,
	    .answers_calls = true,
	    .event_arg = call->event_arg,
	    .client = call->interrupt,
	};

	ask((struct embedded *)openai, &request, answer);
}

static void
embedded_keep(struct openai *openai)
{
	api_keep(((struct embedded *)openai)->api);
}

static void
embedded_free(struct openai *openai)
{
	free(openai);
}

struct openai *
openai_embedded_new(struct api *api, struct db *db)
{
	struct embedded *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->openai = (struct openai){
	    .place = "embedded",
	    .logged_status = 503,
	    .ready = embedded_ready,
	    .call = embedded_call,
	    .stream = embedded_stream,
	    .keep = embedded_keep,
	    .free = embedded_free,
	};
	self->api = api;
	self->db = db;
	return &self->openai;
}
