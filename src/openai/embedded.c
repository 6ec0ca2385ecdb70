/* The Assistants API of this process, by function calls. */
#include "openai/transport.h"

struct embedded {
	struct openai openai;
	struct api *api;
};

static bool
embedded_ready(struct openai *openai)
{
	return api_ready(((struct embedded *)openai)->api);
}

static void
ask(struct openai *openai, const struct openai_call *call, const struct listener *listener,
    struct openai_answer *answer)
{
	struct api_request request = {
	    .tenant = "gateway",
	    .operation = call->operation,
	    .query = call->query,
	    .body = call->body,
	    .listener = listener,
	    .answers_calls = true,
	};
	struct api_response response;

	memcpy(request.ids, call->ids, sizeof request.ids);
	api_handle(((struct embedded *)openai)->api, &request, &response);
	answer->failure = OPENAI_ANSWERED;
	answer->status = response.status;
	answer->error = response.error;
	answer->body = response.body;
	answer->retry_after_s = response.retry_after_s;
}

static void
embedded_call(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	ask(openai, call, NULL, answer);
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
openai_embedded_new(struct api *api)
{
	struct embedded *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->openai = (struct openai){
	    .place = "embedded",
	    .logged_status = 503,
	    .ready = embedded_ready,
	    .call = embedded_call,
	    .stream = ask,
	    .keep = embedded_keep,
	    .free = embedded_free,
	};
	self->api = api;
	return &self->openai;
}
