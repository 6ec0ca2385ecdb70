/*
 * Deletes a thread with everything that belongs to it. With a long thread that takes half a second,
 * in which nothing else could write. So it is hidden first, by taking away its tenant; then its
 * rows are deleted, a few milliseconds at a time. If the process is killed, the next one that
 * deletes anything goes on with it.
 */
#ifndef RECORDS_THREAD_DELETE_H
#define RECORDS_THREAD_DELETE_H

#include "db/db.h"
#include "records/budget.h"

/* For SQL: the tenant of threads that are being deleted. No key has this name. */
#define REMOVED_TENANT "''"

/*
 * Once the transaction commits, nobody finds the thread. A run that is being executed finds that it
 * is gone, and ends; the reservation of a queued run is released. 0; -1: the database failed.
 */
int thread_delete(struct db_tx *tx, const struct budgets *budgets, long long thread);

/* Deletes a piece of such a thread. 1: done, there may be more. 0: nothing is left. -1: failed. */
int thread_delete_step(struct db *db);

/* Deletes all of them, with pauses for other writers. */
void thread_delete_finish(struct db *db);

#endif
