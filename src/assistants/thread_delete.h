/*
 * How threads go, with all that hangs on them, and without holding other writers up: a long one
 * takes half a second to delete. So it is nobody's from one moment to the next, as if it were gone,
 * and goes in pieces, each of a few milliseconds. What a process leaves behind that is killed
 * meanwhile is finished by the next one that removes anything. Only for src/assistants/.
 */
#ifndef ASSISTANTS_THREAD_DELETE_H
#define ASSISTANTS_THREAD_DELETE_H

#include "db/db.h"
#include "records/budget.h"

/* SQL's literal for the tenant of threads that are on their way out; no key has that name. */
#define REMOVAL_TENANT "''"

/*
 * In a transaction that writes: when it commits, nobody finds the thread any more. A run that is
 * carried out finds itself gone, and ends; one that is queued gives back what it had reserved. 0,
 * or -1 when the database failed.
 */
int removal_begin(struct db_tx *tx, const struct budgets *budgets, long long thread);

/*
 * Deletes a piece of what is on its way out. 1 done, and there may be more; 0 nothing is left; -1
 * failed. No transaction may be open.
 */
int removal_step(struct db *db);

/* All of it, with pauses for others. */
void removal_finish(struct db *db);

#endif
