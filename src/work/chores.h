/*
 * Recurring work, shared by all processes: the process that advances its time does the next piece.
 */
#ifndef WORK_CHORES_H
#define WORK_CHORES_H

#include "db/db.h"

struct chore {
	const char *name; /* its row in the table `chores` */
	/*
	 * How long a piece may take. After that its process was killed, and another takes it over.
	 */
	long long piece_s;
};

/* Seconds until the next piece is due; -1: the database failed. */
long long chore_seconds_left(struct db *db, const struct chore *chore);

/*
 * Takes the next piece. 1, with how far the previous piece came. 0: another process has it, or it
 * is so late that the clock may have been set, and a day is waited first. -1: failed. `now` is Unix
 * time.
 */
int chore_claim(struct db *db, const struct chore *chore, long long now, long long *cursor);

/*
 * Ends the piece: the next one is due at `due_at` (Unix time), for any process, and starts at
 * `cursor`. A failure is logged.
 */
void chore_release(struct db *db, const struct chore *chore, long long due_at, long long cursor);

#endif
