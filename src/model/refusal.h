/*
 * What a model server says when it does not answer. There is no common form for it, and hardly any
 * codes, so this file reads the servers' words; no other does. Only for src/model/.
 */
#ifndef MODEL_REFUSAL_H
#define MODEL_REFUSAL_H

#include <json.h>
#include <stdbool.h>

#include "model/needs.h"
#include "text/buf.h"

enum refusal_kind {
	REFUSAL_OTHER,
	REFUSAL_FORM,     /* of the request's form, judging by the status */
	REFUSAL_BUSY,     /* 429, 503, 529: try again later */
	REFUSAL_QUOTA,    /* the money is gone: later will not help */
	REFUSAL_TOO_LONG, /* the context is too long for the model */
	REFUSAL_MODEL,    /* it does not know the model */
	REFUSAL_PATH,     /* it does not know the path */
};

enum { REFUSAL_WORDS_SIZE = 400 };

struct refusal {
	enum refusal_kind kind;
	bool certain;                   /* its code says so: another form would not help */
	bool of_value;                  /* an option's value is wrong, not the option */
	char words[REFUSAL_WORDS_SIZE]; /* "it gave no reason" if there are none */
	/*
	 * The words for comparison: not cut, with the names that the error has beside them, and
	 * with ' for all quotes.
	 */
	struct buf text;
};

/*
 * `status` is HTTP's; 0: an error within a stream. `body` is its JSON; NULL: it is none. `text` is
 * all that came.
 */
void refusal_read(struct refusal *refusal, long status, struct json_object *body, const char *text);
void refusal_free(struct refusal *refusal);

/* Whether a JSON value in place of an answer is an error, in any form. */
bool refusal_is_error(struct json_object *value);

/* What a refusal with these words says about the server; a list ends with `words` NULL. */
struct refused {
	const char *words;
	unsigned need;
	bool once; /* only this conversation has it: do not remember it */
};

/* For all dialects. */
extern const struct refused refused_always[];

#endif
