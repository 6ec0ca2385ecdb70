/*
 * The writers of one process: one after the other, and those who stand in the queue when one before
 * them is done share its commit, for a commit costs more than most of what is committed. Only for
 * src/db/.
 *
 * Who has the turn either gives it up, or passes it to the next in the queue together with what he
 * has written, and waits for who commits it all: the last of the queue, or who finds that enough
 * is in it.
 */
#ifndef DB_WRITERS_H
#define DB_WRITERS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

/* Waits for the turn, and then perhaps for who commits: for what he is woken, each time. */
struct writer {
	struct writer *next;
	sem_t woken;
	bool kept; /* what he wrote is committed */
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

/* Waits for the turn, at most so long. False when it did not come. */
bool writers_take(struct writers *writers, struct writer *writer, long long timeout_ms);

/* Whether somebody's writing waits to be committed. Only for who has the turn. */
bool writers_have_passed(const struct writers *writers);

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
