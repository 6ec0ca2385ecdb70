/* What the gateway's files share. Only for src/gateway/. */
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

/* Whether the id in the path can be a thread's. False: answered. */
bool thread_id_has_form(const struct request *request, struct response *response);

/*
 * Answers that a call about the client's thread failed: the status depends on what happened, the
 * words are ours.
 */
void answer_failure(struct response *response, const struct openai_answer *answer);

/* The same for a call that is not about the client's thread: its 404 is not the client's 404. */
void answer_unavailable(struct response *response, struct openai_answer *answer);

/* Answers 503 with Retry-After; -1: the default. */
void answer_busy(struct response *response, long retry_after_s, const char *sentence);

/*
 * Answers an interrupted call. Either the client has left and reads nothing, or the program is
 * ending.
 */
void answer_interrupted(struct response *response);

#endif
