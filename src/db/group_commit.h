/*
 * The writers of one process: one after the other, and those who stand in the queue when one before
 * them is done share its commit, for a commit costs more than most of what is committed. Only for
 * src/db/.
 *
 * Who has the turn either gives it up, or passes it to the next in the queue together with what he
 * has written, and waits for who commits it all: the last of the queue, or who finds that enough
 * is in it. A writer whose work anybody can do need not be woken for his turn: who has it does the
 * work for him, and he is woken when it is committed.
 */
#ifndef DB_GROUP_COMMIT_H
#define DB_GROUP_COMMIT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

/* Waits for the turn, and then perhaps for who commits: for what he is woken, each time. */
struct writer {
	struct writer *next;
	sem_t woken;
	bool by_anybody; /* others may do his work; his to set, as the next */
	bool durable;    /* the commit must be on disk */
	bool done;       /* somebody has */
	bool kept;       /* what he wrote is committed */
};

struct writers {
	/* All threads that write race for the turn, and for who commits. */
	pthread_mutex_t lock;
	bool taken;                  /* somebody has the turn */
	struct writer *first, **end; /* those who wait for it */
	struct writer *passed;       /* those whose writing waits to be committed */
	unsigned passed_len;
	long long since_ms; /* when the first of these began to wait, by clock_ms() */
};

void writers_init(struct writers *writers);
void writers_free(struct writers *writers);

/*
 * Waits for the turn, at most so long; or, with writer->done, until it is settled what somebody
 * else has written for him. False when neither came.
 */
bool writers_take(struct writers *writers, struct writer *writer, long long timeout_ms);

/* Whether somebody's writing waits to be committed. Only for who has the turn. */
bool writers_have_passed(const struct writers *writers);

/*
 * Takes the next out of the queue, if there is one whose work anybody can do, and may be one more:
 * who has the turn does it, and then commits for him as well. `durable`: that commit will be on
 * disk. NULL: none.
 */
struct writer *writers_next(struct writers *writers, bool durable);

/*
 * Gives the turn to the next in the queue with all that is written, if there is one and may be one
 * more, and waits until that is settled: then true, and writer->kept. With no writer, who has
 * written nothing, it only gives the turn on.
 */
bool writers_pass(struct writers *writers, struct writer *writer);

/* Tells those who passed their writing on whether it is kept. */
void writers_settle(struct writers *writers, bool kept);

/* Gives the turn up. Nobody's writing may wait to be committed. */
void writers_give(struct writers *writers);

#endif
