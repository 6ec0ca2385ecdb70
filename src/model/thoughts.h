/*
 * A server without a parser for reasoning sends a model's thoughts in its text, at the start of an
 * answer: "<think>…</think>Hello". They are not shown, and not sent back. Only for src/model/.
 *
 * Some templates have the opening tag in the question, so that only the closing one arrives. By
 * then the thoughts have been shown. From the next answer on, text is held back until the thoughts
 * end (NEED_HELD_THOUGHTS).
 */
#ifndef MODEL_THOUGHTS_H
#define MODEL_THOUGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/buf.h"

struct thoughts {
	enum {
		THOUGHTS_MAYBE,  /* only blanks and the beginning of a tag so far */
		THOUGHTS_INSIDE, /* after an opening tag */
		THOUGHTS_BEHIND, /* after the closing tag, without text yet */
		THOUGHTS_HELD,   /* no opening tag; waiting for a closing one */
		THOUGHTS_OVER
	} state;
	bool held;
	const char *close; /* the closing tag */
	struct buf text;   /* text that was not shown, and may have to be */
	size_t looked_at;  /* searched bytes of it, while THOUGHTS_HELD */
};

/* `held`: hold back an answer without an opening tag. At most `max` bytes are held. */
void thoughts_init(struct thoughts *thoughts, bool held, size_t max);
void thoughts_free(struct thoughts *thoughts);

/*
 * The text to show of `piece`, the next of an answer: borrowed, until the next call; "": none.
 * NULL: too much to hold back.
 */
const char *thoughts_feed(struct thoughts *thoughts, const char *piece);

/* Whether some text is held back. */
bool thoughts_hold(const struct thoughts *thoughts);

/* The rest to show at the end of an answer: what was held back and turned out to be text. */
const char *thoughts_end(struct thoughts *thoughts);

/* Where the text begins after reasoning. *unopened: there was no opening tag. */
const char *thoughts_skip(const char *text, bool *unopened);

#endif
