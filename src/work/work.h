/*
 * Work that is queued or under way: one row each, of any kind. The process that does it is its
 * holder, and renews its lease (see leases.h). All of these run in the caller's transaction.
 */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "db/db.h"

enum work_kind { WORK_RUN };

/*
 * The work is the holder's from now on, or, with NULL, queued; whether it was there before or not.
 * 1, or -1 failed.
 */
int work_put(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/* The oldest that is queued becomes the holder's. 1 with *subject, 0 none is queued, -1 failed. */
int work_claim(struct db_tx *tx, enum work_kind kind, const char *holder, long long *subject);

/* Renews the lease of what the holder still holds. 1; 0 it no longer does; -1 failed. */
int work_keep(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/* The same for all that it holds. -1 failed. */
int work_keep_all(struct db_tx *tx, const char *holder);

/* The holder has done it. 1; 0 it no longer holds it; -1 failed. */
int work_done(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder);

/* It is not to be done any more, whoever holds it. How many rows that were; -1 failed. */
int work_drop(struct db_tx *tx, enum work_kind kind, long long subject);

/*
 * For SQL: the work of that kind on the row of `subject`, an expression, as the table `w`; and what
 * `holder`, a parameter, holds of it.
 */
#define WORK_JOIN(kind, subject)                                                                   \
	" LEFT JOIN work w ON w.kind = '" kind "' AND w.subject = " subject " "
#define WORK_HELD(kind) "(SELECT subject FROM work WHERE kind = '" kind "' AND holder = ?)"

#endif
