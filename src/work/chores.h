/*
 * Work that comes round, shared by all processes: the one that moves its time on does the next
 * piece of it.
 */
#ifndef WORK_CHORES_H
#define WORK_CHORES_H

#include "db/db.h"

struct chore {
	const char *name; /* its row in the table `chores` */
	/* Until somebody else goes on with a piece that was not finished: its process was killed.
	 */
	long long piece_s;
};

/* Seconds until a piece is due; -1: the database failed. */
long long chore_seconds_left(struct db *db, const struct chore *chore);

/*
 * Takes the next piece: 1 with how far the piece before came; 0 it is another process's, or so late
 * that the clock may have been set: it is not believed for a day. -1 failed. `now` is Unix time.
 */
int chore_claim(struct db *db, const struct chore *chore, long long now, long long *cursor);

/* The piece is done: the next one is due then, by any process. A failure has been logged. */
void chore_release(struct db *db, const struct chore *chore, long long due_at, long long cursor);

#endif
