/*
 * Out of memory: the one policy is that the request at hand fails, and the program lives. Composers
 * of JSON do not say at each step that an allocation failed. The thread keeps it, and who takes the
 * whole away, to store or to send it, asks once.
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
