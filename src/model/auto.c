/*
 * A model server whose API was not configured: the Responses API if it has that, else Chat
 * Completions.
 */
#include <stdatomic.h>

#include "model/http_model.h"
#include "obs/log.h"

struct auto_model {
	struct model model;
	struct model *responses, *chat;
	struct needs *needs;       /* of the server itself, not of a model */
	atomic_bool has_responses; /* seen by this process: no need to ask the database */
};

static bool
recalls_chat(struct auto_model *self)
{
	return !atomic_load(&self->has_responses) && (needs_recall(self->needs, "") & NEED_CHAT);
}

/* If Chat Completions fail, too, the result is that of the Responses API. */
static void
ask_chat(struct auto_model *self, const struct model_request *request, struct model_result *result,
    enum server_speaks responses)
{
	struct model_result refused = *result;
	bool speaks = server_model_ask(self->chat, request, result) == SERVER_SPEAKS;
	bool answered = result->outcome == MODEL_COMPLETED || result->outcome == MODEL_INCOMPLETE;

	if (!speaks || (!answered && responses == SERVER_MAY_NOT)) {
		*result = refused;
	} else if (answered) {
		log_info(
		    "the model server has no Responses API: Chat Completions are used instead");
		needs_keep(self->needs, "", NEED_CHAT);
	}
}

static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct auto_model *self = (struct auto_model *)model;
	enum server_speaks speaks;

	if (recalls_chat(self)) {
		server_model_ask(self->chat, request, result);
		return;
	}
	speaks = server_model_ask(self->responses, request, result);
	if (speaks != SERVER_SPEAKS) {
		atomic_store(&self->has_responses, false);
		ask_chat(self, request, result, speaks);
	} else if (result->outcome == MODEL_COMPLETED) {
		atomic_store(&self->has_responses, true);
	}
}

static void
auto_free(struct model *model)
{
	struct auto_model *self = (struct auto_model *)model;

	model_free(self->responses);
	model_free(self->chat);
	needs_free(self->needs);
	free(self);
}

struct model *
model_auto_new(struct http_client *client, const struct model_server *server)
{
	struct auto_model *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->model = (struct model){.ask = ask, .free = auto_free};
	self->responses = model_responses_new(client, server);
	self->chat = model_chat_new(client, server);
	self->needs = needs_new(server->memory);
	if (self->responses && self->chat && self->needs)
		return &self->model;
	auto_free(&self->model);
	return NULL;
}
