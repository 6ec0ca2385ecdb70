/*
 * The form in which a conversation is sent to a model server. Only this file changes what a server
 * would refuse: it repairs, joins and drops messages, gives calls their ids, and moves the
 * instructions. What is stored never changes. Only for src/model/.
 *
 * For every server: messages without content are left out, and calls without a user message before
 * them; neighbouring messages of one role are joined; arguments that are no JSON object become {};
 * function names get the characters and the length that OpenAI allows; an id that another server
 * made, or that is repeated, becomes nine letters and digits, which every server accepts.
 * Everything else depends on the server's needs (needs.h).
 */
#ifndef MODEL_HISTORY_H
#define MODEL_HISTORY_H

#include <stdbool.h>

#include "model/model.h"
#include "model/needs.h"

struct history {
	const char *instructions; /* borrowed from the request; NULL: none to send apart */
	/*
	 * Like the request's, but messages have only texts and images. A call also has came_as, the
	 * id that the server gave it. Items are what is sent back to the server, see
	 * history_items().
	 */
	struct model_context told;
};

/* `server` is the base URL. The caller frees it. */
void history_form(struct history *history, const struct model_request *request, const char *server,
    unsigned needs);
void history_free(struct history *history);

/*
 * What to store beside a message or calls from `server`. It comes back as `items`: {server, valid}
 * and what the dialect adds. `valid`: all arguments are JSON objects, and need not be parsed again.
 * The caller's.
 */
struct json_object *history_items(const char *server, bool valid);

/* Whether a call's arguments are a JSON object, as most servers demand. */
bool history_takes_arguments(const char *arguments);

#endif
