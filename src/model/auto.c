/*
 * A model server whose API nobody named: the Responses API if it has that, else Chat Completions.
 */
#include <stdatomic.h>

#include "model/server.h"
#include "util/clock.h"
#include "util/log.h"

/* For so long the Responses API is not looked for again. */
enum { REMEMBERED_MS = 24 * 60 * 60 * 1000 };

struct auto_model {
	struct model model;
	struct model *responses, *chat;
	struct model_memory memory;
	atomic_llong chat_until_ms;
	atomic_bool has_responses; /* seen in this process: nothing needs to be recalled */
};

static bool
recalls_chat(struct auto_model *self)
{
	return clock_ms() < atomic_load(&self->chat_until_ms) ||
	    (!atomic_load(&self->has_responses) && self->memory.recall &&
		self->memory.recall(self->memory.arg));
}

static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct auto_model *self = (struct auto_model *)model;

	if (recalls_chat(self)) {
		server_model_ask(self->chat, request, result);
		return;
	}
	if (server_model_ask(self->responses, request, result)) {
		if (result->outcome == MODEL_COMPLETED)
			atomic_store(&self->has_responses, true);
		return;
	}
	atomic_store(&self->has_responses, false);
	server_model_ask(self->chat, request, result);
	if (result->outcome != MODEL_COMPLETED && result->outcome != MODEL_INCOMPLETE)
		return;
	log_info("the model server has no Responses API: it is asked by Chat Completions");
	atomic_store(&self->chat_until_ms, clock_ms() + REMEMBERED_MS);
	if (self->memory.keep)
		self->memory.keep(self->memory.arg);
}

static void
auto_free(struct model *model)
{
	struct auto_model *self = (struct auto_model *)model;

	model_free(self->responses);
	model_free(self->chat);
	free(self);
}

struct model *
model_auto_new(struct http_client *client, const struct model_server *server,
    const struct model_memory *memory)
{
	struct auto_model *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->model = (struct model){.ask = ask, .free = auto_free};
	self->responses = model_responses_new(client, server);
	self->chat = model_chat_new(client, server);
	if (memory)
		self->memory = *memory;
	if (self->responses && self->chat)
		return &self->model;
	auto_free(&self->model);
	return NULL;
}
