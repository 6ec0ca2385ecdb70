/*
 * Deletes idle threads (records/idle_thread.h) of all tenants. No request ever waits for it: it
 * works in steps of a few milliseconds and leaves pauses for other writers. All processes share one
 * pass over the threads; an hour after its end the next begins. Only for src/assistants/.
 */
#ifndef ASSISTANTS_RETENTION_H
#define ASSISTANTS_RETENTION_H

#include <stdbool.h>

#include "db/db.h"
#include "records/budget.h"

struct retention;

/* Borrows `db` and `budgets`. NULL: out of memory. */
struct retention *retention_new(struct db *db, const struct budgets *budgets, unsigned days);

/* Starts a thread that sweeps. */
void retention_start(struct retention *retention);

/* Stops the thread, if there is one, and frees. */
void retention_free(struct retention *retention);

/* Whether a step is due. */
bool retention_is_due(struct retention *retention);

/* Does a step, unless another process does. */
void retention_step(struct retention *retention);

#endif
