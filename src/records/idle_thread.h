/*
 * Threads that nobody has used for a while: created before, with no message and no run since, and
 * no run that is still active.
 */
#ifndef RECORDS_IDLE_THREAD_H
#define RECORDS_IDLE_THREAD_H

#include "records/thread_delete.h"

/* By their seqs; messages and runs above these came since it was looked at. */
struct idle_thread {
	long long thread, last_message, last_run;
};

struct idle_threads {
	long long cutoff; /* Unix time: unused since then */
	long long cursor; /* in: the threads up to it are done; out: the same */
	int max;          /* elements of `found`, at most so many are found */
	struct idle_thread *found;
	int len;
	bool ended; /* there are no further threads to be looked at */
};

/* Looks at the next threads, for some milliseconds at most. A db_work_fn; `arg` is the struct. */
bool idle_threads_look(struct db_tx *tx, void *arg);

/* Deletes the thread unless it was used since. 1 deleted, 0 used, or gone already; -1 failed. */
int idle_thread_delete(
    struct db *db, const struct budgets *budgets, const struct idle_thread *idle);

#endif
