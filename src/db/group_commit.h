/*
 * The queue of one process's writers. One writes at a time. Those that queue up meanwhile share its
 * commit, because a commit costs more than most of what is committed. Only for src/db/.
 *
 * The writer whose turn it is either gives the turn up, or passes it to the next in the queue,
 * together with what it has written, and waits for the commit. The last of the queue commits, or
 * the writer that finds enough has been written. A writer with `by_anybody` set need not be woken
 * for its turn: the thread whose turn it is does its work, and wakes it after the commit.
 */
#ifndef DB_GROUP_COMMIT_H
#define DB_GROUP_COMMIT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

/*
 * One queued writer. It sleeps until its turn comes, and perhaps again until another thread has
 * committed: `woken` is posted for each.
 */
struct writer {
	struct writer *next;
	sem_t woken;
	bool by_anybody; /* another thread may do the work; set by the writer, like `durable` */
	bool durable;    /* the commit must be on disk */
	bool done;       /* another thread has done the work */
	bool kept;       /* what it wrote is committed */
};

struct writers {
	/* All writing threads race for the turn, and to commit. */
	pthread_mutex_t lock;
	bool taken;                  /* a writer has the turn */
	struct writer *first, **end; /* the writers that wait for the turn */
	struct writer *passed;       /* the writers whose work waits for the commit */
	unsigned passed_len;
	long long since_ms; /* when the first of `passed` began to wait, by clock_ms() */
};

void writers_init(struct writers *writers);
void writers_free(struct writers *writers);

/*
 * Waits for the turn, at most this long. Also returns true, with writer->done set and without the
 * turn, once another thread has done this writer's work; writer->kept says whether it is committed.
 * False: timed out.
 */
bool writers_take(struct writers *writers, struct writer *writer, long long timeout_ms);

/* Whether other writers' work waits for the commit. Only for the writer that has the turn. */
bool writers_have_passed(const struct writers *writers);

/*
 * Takes the next writer out of the queue, if another thread may do its work and there is room for
 * one more. The caller, which has the turn, then does that work and commits it with its own.
 * `durable`: that commit will be on disk. NULL: none.
 */
struct writer *writers_next(struct writers *writers, bool durable);

/*
 * Passes the turn to the next in the queue, with all that is written so far, if there is a next one
 * and room for it. Then waits until the commit is settled; true, and writer->kept says how.
 * `writer` NULL: the caller has written nothing, and does not wait. False: the caller keeps the
 * turn.
 */
bool writers_pass(struct writers *writers, struct writer *writer);

/* Wakes the writers that passed their work on, and tells them whether it is committed. */
void writers_settle(struct writers *writers, bool kept);

/* Gives the turn up. No other writer's work may be waiting for the commit. */
void writers_give(struct writers *writers);

#endif
