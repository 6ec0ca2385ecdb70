/*
 * What the gateway's files share. Only for src/gateway/.
 */
#ifndef GATEWAY_INTERNAL_H
#define GATEWAY_INTERNAL_H

#include "gateway/admission.h"
#include "gateway/assistant.h"
#include "gateway/gateway.h"

struct gateway {
	const struct config *config;
	struct openai *openai;
	struct definitions *definitions;
	struct assistant *assistant;
	struct admission *admission;
};

/* Whether the path's id can be a thread's; false: answered. */
bool thread_id_has_form(const struct request *request, struct response *response);

/*
 * Tells the client that a call about its thread failed: the status by what happened, in our own
 * words.
 */
void answer_failure(struct response *response, const struct openai_answer *answer);

/* The same for a call that the client did not ask for: a 404 there is not about its thread. */
void answer_unavailable(struct response *response, struct openai_answer *answer);

/* 503 with Retry-After; -1 for a default. */
void answer_busy(struct response *response, long retry_after_s, const char *sentence);

/* The client has gone and does not read this; or it has not, and the program ends. */
void answer_interrupted(struct response *response);

#endif
