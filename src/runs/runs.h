/*
 * The life of a run: it is executed, by the thread of the listening client or by a runner, and it
 * ends, even if its process died.
 */
#ifndef RUNS_RUNS_H
#define RUNS_RUNS_H

#include "hosted/hosted.h"
#include "os/id.h"
#include "runs/event.h"
#include "work/leases.h"
#include "work/runners.h"

/* What runs need. */
struct runs {
	struct db *db;
	struct model *model;
	hosted_tools hosted;
	struct budgets budgets;
	unsigned timeout_s;
	long long context_tokens; /* the most tokens of a thread that a model is sent */
	struct leases *leases;
	struct runners *runners;
};

/* The folder of leases is in `state_dir`. -1: out of memory. Call runs_free() in both cases. */
int runs_init(struct runs *runs, const char *state_dir);
void runs_free(struct runs *runs);

/* The listener of a run, and what else it does. */
struct run_hearing {
	const struct listener *listener; /* NULL: none */
	/*
	 * The listener answers the run's calls itself, at once, and renews the leases meanwhile. So
	 * a run that waits for outputs ends when this process does, and does not lock its thread.
	 */
	bool answers_calls;
};

/*
 * Executes a run that is in progress, in this thread, until it is over or waits for outputs of its
 * calls. The last event reports how it ended; whatever was reported as completed is stored.
 * `answered` is the step whose calls have been answered, if the run continues; NULL for a new run.
 * Returns the seconds after which the model server wants to be asked again; -1: it did not say.
 */
long run_carry_out(struct runs *runs, struct run *run, const struct run_hearing *hearing,
    const struct run_step *answered);

/* --- processes that execute runs --- */

/*
 * The name of this process as a holder of runs. The first call ends the runs of processes that
 * died. NULL: failed, logged. No transaction may be open.
 */
const char *runs_holder(struct runs *runs);

/* Ends the runs of processes of this machine that died. No transaction may be open. */
void runs_bury(struct runs *runs);

/* Renews leases. Call it about once a second while runs are executed or their calls answered. */
void runs_keep(struct runs *runs);

/*
 * Whether the run should be over by now. A living process ends its runs by a clock that never
 * jumps. So a run that this process executes is not overdue, and one of another living process only
 * if it is a day late.
 */
bool run_is_overdue(struct runs *runs, const struct run *run);

/* Whether the process that executed it has died. */
bool run_is_abandoned(struct runs *runs, const struct run *run);

/*
 * The active run of a thread: 1 with its id; 0: none; -1: failed. A run that is overdue or
 * abandoned is ended first, so the transaction must be a writing one.
 */
int thread_settle_active(struct runs *runs, struct db_tx *tx, long long thread, char id[ID_SIZE]);

/*
 * Ends a loaded run that should have ended, so that polling does not go on forever, and loads it
 * again. -1: failed. No transaction may be open.
 */
int run_settle(struct runs *runs, struct run *run);

/* The same for the active run of a thread, before its runs are listed. */
void run_settle_thread(struct runs *runs, long long thread);

/* Reserves what the run's next question to the model may cost, like budget_reserve(). */
enum budget_result run_reserve(
    struct runs *runs, struct db_tx *tx, const struct run *run, long long *wait_s);

#endif
