/*
 * Threads that nobody has used for days are deleted, whosever they are: those that were created
 * before, have had no message and no run since, and no run that is still active. What looks for
 * them never holds a request up: it works in steps of a few milliseconds, with pauses for others
 * between. All processes share one sweep through the threads, and begin another an hour after its
 * end. Only for src/assistants/.
 */
#ifndef ASSISTANTS_RETENTION_H
#define ASSISTANTS_RETENTION_H

#include <stdbool.h>

#include "db/db.h"
#include "records/budget.h"

struct retention;

/* `db` is borrowed. NULL: out of memory. */
struct retention *retention_new(struct db *db, const struct budgets *budgets, unsigned days);

/* Sweeps in a thread of its own from now on. */
void retention_start(struct retention *retention);

/* Ends that, too. */
void retention_free(struct retention *retention);

/* Whether there is a step to be done. */
bool retention_is_due(struct retention *retention);

/* Does it, unless another process does. */
void retention_step(struct retention *retention);

#endif
