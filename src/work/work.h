/*
 * Queued work and work under way: one row each, of any kind. `subject` is the seq of its object.
 * The process that does the work is its holder, and renews its lease (see leases.h). All functions
 * run in the caller's transaction.
 */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "db/db.h"

enum work_kind { WORK_RUN };

/*
 * Gives the work to `holder`, or queues it if that is NULL, whether it had a row before or not. 1,
 * or -1: failed.
 */
int work_put(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/* Gives the oldest queued work to `holder`. 1 with *subject; 0: nothing is queued; -1: failed. */
int work_claim(struct db_tx *tx, enum work_kind kind, const char *holder, long long *subject);

/* Renews the holder's lease. 1; 0: it no longer holds the work; -1: failed. */
int work_keep(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/* Renews all leases of the holder. -1: failed. */
int work_keep_all(struct db_tx *tx, const char *holder);

/* Removes work that its holder has done. 1; 0: it no longer holds it; -1: failed. */
int work_done(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/*
 * Removes work that is no longer wanted, also if another process holds it. Returns the number of
 * rows; -1: failed.
 */
int work_drop(struct db_tx *tx, enum work_kind kind, long long subject);

/*
 * For SQL. WORK_JOIN joins, as the table `w`, the work of that kind whose subject is the expression
 * `subject`. WORK_HELD selects the subjects that `holder`, a parameter, holds.
 */
#define WORK_JOIN(kind, subject)                                                                   \
	" LEFT JOIN work w ON w.kind = '" kind "' AND w.subject = " subject " "
#define WORK_HELD(kind) "(SELECT subject FROM work WHERE kind = '" kind "' AND holder = ?)"

#endif
