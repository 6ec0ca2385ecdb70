/*
 * Deleting a thread with all that belongs to it. A long one takes half a second, in which others
 * could not write. So first it loses its tenant, and is gone for everybody; then its rows are
 * deleted in pieces of a few milliseconds. What a killed process leaves is finished by the next one
 * that deletes anything.
 */
#ifndef RECORDS_THREAD_DELETE_H
#define RECORDS_THREAD_DELETE_H

#include "db/db.h"
#include "records/budget.h"

/* For SQL: the tenant of threads that are being deleted. No key has that name. */
#define REMOVED_TENANT "''"

/*
 * Nobody finds the thread once the transaction commits. A run that is carried out finds itself
 * gone, and ends; a queued one gives back what it had reserved. 0, or -1: the database failed.
 */
int thread_delete(struct db_tx *tx, const struct budgets *budgets, long long thread);

/* Deletes a piece of such threads. 1 done, and there may be more; 0 nothing is left; -1 failed. */
int thread_delete_step(struct db *db);

/* All of it, with pauses for others. */
void thread_delete_finish(struct db *db);

#endif
