/*
 * Servers without a parser for reasoning send a model's thoughts within its words, at the start of
 * an answer: "<think>…</think>Hello". Thoughts are no words: they are not shown, and do not go
 * back. Only for src/model/.
 *
 * Some templates have the opening tag in the question. Then only the closing one comes, behind
 * words that have been shown by then: the next time such an answer is held back until its thoughts
 * end (NEED_HELD_THOUGHTS).
 */
#ifndef MODEL_THOUGHTS_H
#define MODEL_THOUGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/buf.h"

struct thoughts {
	enum {
		THOUGHTS_MAYBE,  /* nothing but blanks and the beginning of a tag so far */
		THOUGHTS_INSIDE, /* behind an opening tag */
		THOUGHTS_BEHIND, /* behind the closing one, with no word yet */
		THOUGHTS_HELD,   /* no opening tag; one that closes is awaited */
		THOUGHTS_OVER
	} state;
	bool held;
	const char *close; /* the tag that ends them */
	struct buf text;   /* what was not shown and may count yet */
	size_t looked_at;  /* bytes of it, while THOUGHTS_HELD */
};

/* `held`: an answer without an opening tag is held back. At most `max` bytes are. */
void thoughts_init(struct thoughts *thoughts, bool held, size_t max);
void thoughts_free(struct thoughts *thoughts);

/*
 * The words among `piece`, the next of an answer: borrowed, until the next call; "" for none. NULL:
 * there is too much to hold back.
 */
const char *thoughts_feed(struct thoughts *thoughts, const char *piece);

/* Whether some of it is held back. */
bool thoughts_hold(const struct thoughts *thoughts);

/* The same at the end of an answer: what was held back, and was no thought. */
const char *thoughts_end(struct thoughts *thoughts);

/* Where the words begin in a whole text. *unopened: behind thoughts without an opening tag. */
const char *thoughts_skip(const char *text, bool *unopened);

#endif
