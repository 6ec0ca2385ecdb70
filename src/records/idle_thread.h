/*
 * Idle threads: created before the cutoff, without a message or run created since. A thread with an
 * active run is idle only when that run has expired.
 */
#ifndef RECORDS_IDLE_THREAD_H
#define RECORDS_IDLE_THREAD_H

#include "records/thread_delete.h"

/* Messages and runs with a higher seq came after the thread was looked at. */
struct idle_thread {
	long long thread, last_message, last_run;
};

struct idle_threads {
	long long cutoff; /* Unix time: no use since then */
	long long cursor; /* in: threads up to this one are done; out: the same */
	int max;          /* length of `found` */
	struct idle_thread *found;
	int len;
	bool ended; /* there are no further threads */
};

/* Looks at the next threads, for a few milliseconds. A db_work_fn; `arg` is the struct. */
bool idle_threads_look(struct db_tx *tx, void *arg);

/*
 * Deletes the thread, unless it was used since. 1: deleted. 0: it was used, or is gone. -1: failed.
 */
int idle_thread_delete(
    struct db *db, const struct budgets *budgets, const struct idle_thread *idle);

#endif
