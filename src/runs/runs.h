/*
 * The life of a run: it is carried out, by the thread of the client that listens or by a runner; it
 * ends, also where its process died.
 */
#ifndef RUNS_RUNS_H
#define RUNS_RUNS_H

#include "hosted/hosted.h"
#include "os/id.h"
#include "runs/event.h"
#include "work/leases.h"
#include "work/runners.h"

/* What runs are carried out with. */
struct runs {
	struct db *db;
	struct model *model;
	hosted_tools hosted;
	struct budgets budgets;
	unsigned timeout_s;
	long long context_tokens; /* of a thread, that a model is sent at most */
	struct leases *leases;
	struct runners *runners;
};

/* `state_dir` has the folder of leases. -1: out of memory; runs_free() in any case. */
int runs_init(struct runs *runs, const char *state_dir);
void runs_free(struct runs *runs);

/* The listener of a run, and what else it does. */
struct run_hearing {
	const struct listener *listener; /* NULL: nobody */
	/*
	 * The listener answers the run's calls itself, at once, and renews the leases meanwhile. So
	 * a run that waits for them ends when this process does, and does not lock its thread.
	 */
	bool answers_calls;
};

/*
 * Carries out a run that is in progress, in this thread, until it is over or waits for outputs of
 * its calls. The last event tells how it ended; what was told as completed is stored. `answered`
 * is the step whose calls have been answered, of a run that goes on; NULL for a new one. Seconds
 * after which the model server wants to be asked again, -1 if it did not say.
 */
long run_carry_out(struct runs *runs, struct run *run, const struct run_hearing *hearing,
    const struct run_step *answered);

/* --- processes that carry runs out --- */

/*
 * This process as a holder of runs; those of processes that died are ended the first time. NULL:
 * failed, logged. No transaction may be open.
 */
const char *runs_holder(struct runs *runs);

/* Ends the runs of processes of this machine that died. No transaction may be open. */
void runs_bury(struct runs *runs);

/* To be called about once a second while runs are carried out, or their calls answered. */
void runs_keep(struct runs *runs);

/*
 * Whether the run should be over by now. One that a living process carries out never is: that
 * process knows by itself, and a clock that was set tells it nothing.
 */
bool run_is_overdue(struct runs *runs, const struct run *run);

/* Whether it was carried out by a process that died. */
bool run_is_abandoned(struct runs *runs, const struct run *run);

/*
 * The active run of a thread: 1 with its id, 0 none, -1 failed. One that is overdue or abandoned is
 * ended first, so the transaction must be one that writes.
 */
int thread_settle_active(struct runs *runs, struct db_tx *tx, long long thread, char id[ID_SIZE]);

/*
 * Ends a run that was loaded if it should have ended: polling must not go on for ever. It is loaded
 * anew then. -1 failed. No transaction may be open.
 */
int run_settle(struct runs *runs, struct run *run);

/* The same for the active run of a thread, before its runs are listed. */
void run_settle_thread(struct runs *runs, long long thread);

/* Reserves what the run's next question to the model may cost, as budget_reserve() does. */
enum budget_result run_reserve(
    struct runs *runs, struct db_tx *tx, const struct run *run, long long *wait_s);

#endif
