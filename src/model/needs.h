/*
 * What a model server, or one of its models, needs that others do not: options to leave out, and
 * forms of the conversation. A need is found by a refusal. It is remembered once the question was
 * answered in the other form, unless only that conversation had it. Last resorts are not
 * remembered.
 */
#ifndef MODEL_NEEDS_H
#define MODEL_NEEDS_H

#include <stdbool.h>

enum model_need {
	/* the API */
	NEED_CHAT = 1 << 0, /* it has Chat Completions, but no Responses API */

	/* options that it refuses */
	NEED_NO_TEMPERATURE = 1 << 1,
	NEED_NO_TOP_P = 1 << 2,
	NEED_NEW_LIMIT = 1 << 3, /* max_completion_tokens instead of max_tokens */
	NEED_NO_LIMIT = 1 << 4,
	NEED_NO_USAGE = 1 << 5, /* stream_options */
	NEED_NO_PARALLEL = 1 << 6,
	NEED_NO_CHOICE = 1 << 7,
	NEED_NO_FORMAT = 1 << 8,
	NEED_NO_EFFORT = 1 << 9,
	NEED_NO_INCLUDE = 1 << 10, /* models that do not reason have no reasoning to include */
	NEED_NO_STORE = 1 << 11,
	NEED_NO_STREAM = 1 << 12,
	NEED_NO_STRICT = 1 << 13, /* of a function */

	/* the conversation's form, see history.h */
	NEED_NO_SYSTEM = 1 << 14, /* instructions in the first user message */
	NEED_ALTERNATION =
	    1 << 15, /* begins with a user message; an assistant message follows tool outputs */
	NEED_USER_LAST = 1 << 16,
	NEED_SHORT_IDS = 1 << 17,    /* ids of calls: exactly nine of a-z A-Z 0-9 */
	NEED_STRING = 1 << 18,       /* a message with only calls has "" as content, not null */
	NEED_WORDS = 1 << 19,        /* no content may be empty or blank */
	NEED_TOOL_NAME = 1 << 20,    /* an output names its function */
	NEED_NO_IMAGES = 1 << 21,    /* it cannot see */
	NEED_NOTHING_MORE = 1 << 22, /* nothing that the server itself sent beside text and calls */
	NEED_SINGLE_CALLS = 1 << 23, /* one call in a message */
	NEED_NO_TOOLS = 1 << 24,     /* it cannot call functions */
	NEED_CALLS_AS_WORDS = 1 << 25,

	/* its answers */
	NEED_HELD_THOUGHTS = 1 << 26, /* they begin with reasoning, which only an end tag marks */

	/* a last resort, never remembered */
	NEED_LAST_TURN = 1 << 27, /* only the newest turn */
};

/*
 * The plainest request that still asks the whole question: for a refusal that says nothing known.
 */
enum {
	NEEDS_PLAIN = NEED_NO_TEMPERATURE | NEED_NO_TOP_P | NEED_NO_USAGE | NEED_NO_PARALLEL |
	    NEED_NO_EFFORT | NEED_NO_INCLUDE | NEED_NO_STORE | NEED_NO_STRICT | NEED_NO_SYSTEM |
	    NEED_ALTERNATION | NEED_USER_LAST | NEED_SHORT_IDS | NEED_WORDS | NEED_NO_IMAGES |
	    NEED_NOTHING_MORE | NEED_CALLS_AS_WORDS
};

/* The names of needs that are remembered, as the database has them; then NULL. */
struct model_need_name {
	enum model_need need;
	const char *name;
};
extern const struct model_need_name model_need_names[];

/* Where needs are remembered for a day, for all processes. */
struct model_memory {
	/* The needs of a model, by the name that is sent; "": of the server. */
	unsigned (*recall)(void *arg, const char *model);
	/* Adds needs. */
	void (*keep)(void *arg, const char *model, unsigned needs);
	void *arg;
};

struct needs;

/* `memory` is copied; NULL: only this process remembers. NULL: no memory. */
struct needs *needs_new(const struct model_memory *memory);
void needs_free(struct needs *needs);

/* The known needs of the model. What another process finds out arrives within a minute. */
unsigned needs_recall(struct needs *needs, const char *model);
void needs_keep(struct needs *needs, const char *model, unsigned found);

#endif
