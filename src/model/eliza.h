/*
 * The script behind the offline model, in the manner of Weizenbaum's ELIZA (1966): it looks for a
 * keyword and turns the user's own words into a question. It also solves linear equations in one
 * unknown, and says what it is when asked. No model, no network, no state: the same arguments give
 * the same answer, in any thread.
 */
#ifndef MODEL_ELIZA_H
#define MODEL_ELIZA_H

/* Bytes of the user's text that are considered, and the longest answer in bytes without its NUL. */
#define ELIZA_TEXT_MAX 4096
#define ELIZA_ANSWER_MAX 512

/*
 * Answers `text` (NUL-terminated UTF-8, need not be valid) as the script would, in the
 * conversation's `turn`-th user message (0 for the first). Only `text` is looked at, no earlier
 * message. Returns a NUL-terminated string of valid UTF-8, never empty, that the caller frees, or
 * NULL when out of memory.
 */
char *eliza_answer(const char *text, unsigned turn);

#endif
