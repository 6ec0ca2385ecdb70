/*
 * Out of memory: the request fails, the program lives. Composers of JSON do not report each failed
 * allocation. It is kept in a thread-local flag, which is checked once, before the result is stored
 * or sent.
 */
#ifndef TEXT_MEMORY_H
#define TEXT_MEMORY_H

#include <stdbool.h>

/* What this thread makes from now on is of something else. Gives what it was before. */
bool memory_begin(void);

/* That is over; `before` is what memory_begin() gave. */
void memory_end(bool before);

/* An allocation failed: something has a part less. */
void memory_fail(void);

/* Whether that happened since memory_begin(). */
bool memory_is_out(void);

#endif
