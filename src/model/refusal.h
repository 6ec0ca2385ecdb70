/*
 * What a model server says when it does not answer. Servers have no common form for it, and hardly
 * any codes: here, and nowhere else, their words are read. Only for src/model/.
 */
#ifndef MODEL_REFUSAL_H
#define MODEL_REFUSAL_H

#include <json.h>
#include <stdbool.h>

#include "model/needs.h"
#include "text/buf.h"

enum refusal_kind {
	REFUSAL_OTHER,
	REFUSAL_FORM,     /* the request's form, as far as its status tells */
	REFUSAL_BUSY,     /* 429, 503, 529: later */
	REFUSAL_QUOTA,    /* nothing is left of what was paid for: not later */
	REFUSAL_TOO_LONG, /* the context is more than the model takes */
	REFUSAL_MODEL,    /* it does not know the model */
	REFUSAL_PATH,     /* it does not know the path */
};

enum { REFUSAL_WORDS_SIZE = 400 };

struct refusal {
	enum refusal_kind kind;
	bool certain;                   /* its code says so: no other form would be better */
	bool of_value;                  /* what an option was set to is wrong, and not the option */
	char words[REFUSAL_WORDS_SIZE]; /* "it gave no reason" where there are none */
	/*
	 * The same for comparing: not cut, with the names that the error has beside them, and with
	 * ' for every kind of quote.
	 */
	struct buf text;
};

/*
 * `status` is HTTP's, 0 for an error within a stream. `body` is its JSON, NULL when it is none;
 * `text` is what came.
 */
void refusal_read(struct refusal *refusal, long status, struct json_object *body, const char *text);
void refusal_free(struct refusal *refusal);

/* Whether a JSON value that came where an answer was expected is an error, in any form. */
bool refusal_is_error(struct json_object *value);

/* What a refusal with such words says about the server; until `words` is NULL. */
struct refused {
	const char *words;
	unsigned need;
	bool once; /* due to this conversation: nothing to remember */
};

/* What all dialects have in common. */
extern const struct refused refused_always[];

#endif
