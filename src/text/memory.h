/*
 * Out of memory: the request fails, the program lives. Composers of JSON do not report each failed
 * allocation. It is kept in a thread-local flag, which is checked once, before the result is stored
 * or sent.
 */
#ifndef TEXT_MEMORY_H
#define TEXT_MEMORY_H

#include <stdbool.h>

/* Clears the flag for a new piece of work. Returns its old value, for memory_end(). */
bool memory_begin(void);

/* Ends that piece of work, and restores the flag to `before`. */
void memory_end(bool before);

/* Sets the flag: an allocation failed, and something is incomplete. */
void memory_fail(void);

/* Whether the flag was set since memory_begin(). */
bool memory_is_out(void);

#endif
