/*
 * Deletes what is past its time: idle threads (records/idle_thread.h) and expired files of all
 * tenants, and what uploads that broke off left behind. No request ever waits for it: threads are
 * deleted in steps of a few milliseconds, with pauses for other writers. All processes share one
 * pass over the threads; an hour after its end the next begins. Files have their turn every ten
 * minutes. Only for src/assistants/.
 */
#ifndef ASSISTANTS_RETENTION_H
#define ASSISTANTS_RETENTION_H

#include <stdbool.h>

#include "db/db.h"
#include "records/budget.h"

struct blobs;
struct retention;

/*
 * All are borrowed. Threads are deleted after `days`; 0: never. `blobs` NULL: there are no files.
 * NULL: out of memory.
 */
struct retention *retention_new(
    struct db *db, const struct budgets *budgets, unsigned days, const struct blobs *blobs);

/* Starts a thread that sweeps. */
void retention_start(struct retention *retention);

/* Stops the thread, if there is one, and frees. */
void retention_free(struct retention *retention);

/* Whether a step is due. */
bool retention_is_due(struct retention *retention);

/* Does a step, unless another process does. */
void retention_step(struct retention *retention);

#endif
