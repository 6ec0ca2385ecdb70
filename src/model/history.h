/*
 * How a conversation is told to a model server: the one place that repairs what cannot go back as
 * it came, merges neighbours, drops what may not stand alone, gives calls their ids, and moves the
 * instructions. Nothing of it changes what is stored. Only for src/model/.
 *
 * Always: messages without content are left out, and calls that no user message comes before;
 * neighbours of one role become one message; arguments that are no JSON object become {}; names of
 * functions have the characters and the length that OpenAI allows; an id that another server made,
 * or that comes a second time, becomes one of nine letters and digits, which every server takes.
 * The rest is done as the server needs it (see needs.h).
 */
#ifndef MODEL_HISTORY_H
#define MODEL_HISTORY_H

#include <stdbool.h>

#include "model/model.h"
#include "model/needs.h"

struct history {
	const char *instructions; /* borrowed from the request; NULL: none to be told apart */
	/*
	 * As in the request, but messages are of texts and images alone; a call also has came_as,
	 * the id that the server itself gave; and items are what the server is to be given back,
	 * see history_items().
	 */
	struct model_context told;
};

/* `server` is the base URL. The caller frees it. */
void history_form(struct history *history, const struct model_request *request, const char *server,
    unsigned needs);
void history_free(struct history *history);

/*
 * What is stored beside a message or calls that came from `server`, and comes back as
 * `items`: {server, valid} and what the dialect adds. `valid`: the arguments of all its calls are
 * JSON objects, so they need not be parsed again. The caller's.
 */
struct json_object *history_items(const char *server, bool valid);

/* Whether a call's arguments are a JSON object, as most servers must have it. */
bool history_takes_arguments(const char *arguments);

#endif
