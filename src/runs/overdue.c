/* Runs that no process executes any more: their process died, or their time is over. */
#include "obs/log.h"
#include "os/clock.h"
#include "runs/context.h"
#include "runs/runs.h"
#include "text/json.h"
#include "work/work.h"

enum { DAY_S = 86400 };

/* --- the process as a holder --- */

struct burial {
	struct runs *runs;
	const char *holder;
	int ended;
};

static bool
write_burial(struct db_tx *tx, void *arg)
{
	struct burial *burial = arg;

	burial->ended = runs_end_abandoned(tx, &burial->runs->budgets, burial->holder);
	return burial->ended >= 0;
}

static int
on_dead(void *arg, const char *holder)
{
	struct runs *runs = arg;
	struct burial burial = {runs, holder, 0};

	if (db_write(runs->db, DB_WRITE, write_burial, &burial) != 1)
		return -1;
	if (burial.ended > 0)
		log_info("a process died: %d runs that it executed were ended", burial.ended);
	return 0;
}

void
runs_bury(struct runs *runs)
{
	leases_bury(runs->leases, on_dead, runs);
}

const char *
runs_holder(struct runs *runs)
{
	return leases_holder(runs->leases, on_dead, runs);
}

struct renewal {
	const char *holder;
};

static bool
write_renewal(struct db_tx *tx, void *arg)
{
	const struct renewal *renewal = arg;

	return work_keep_all(tx, renewal->holder) >= 0;
}

void
runs_keep(struct runs *runs)
{
	struct renewal renewal;

	if (!leases_renewal_due(runs->leases))
		return;
	renewal.holder = runs_holder(runs);
	db_write(runs->db, DB_WRITE, write_renewal, &renewal);
}

/* --- runs that should be over --- */

bool
run_is_abandoned(struct runs *runs, const struct run *run)
{
	return run->holder && run_status_is_active(run->status) && run->status != RUN_QUEUED &&
	    leases_are_over(runs->leases, run->holder, run->lease_until);
}

bool
run_is_overdue(struct runs *runs, const struct run *run)
{
	long long late_s = clock_unix() - run->expires_at;

	if (late_s <= 0 || !run->holder)
		return late_s > 0;
	if (leases_are_ours(runs->leases, run->holder))
		return !leases_are_at_hand(runs->leases, run->seq);
	/* A living process may have dropped it silently. */
	return late_s > DAY_S || leases_are_over(runs->leases, run->holder, run->lease_until);
}

/* 1: ended. 0: it goes on. -1: failed. */
static int
end_if_over(struct runs *runs, struct db_tx *tx, const struct run *run)
{
	int ended;

	if (run_is_overdue(runs, run))
		ended = run_end_overdue(tx, &runs->budgets, run->thread);
	else if (run_is_abandoned(runs, run))
		ended = runs_end_abandoned(tx, &runs->budgets, run->holder);
	else
		return 0;
	return ended < 0 ? -1 : 1;
}

int
thread_settle_active(struct runs *runs, struct db_tx *tx, long long thread, char id[ID_SIZE])
{
	struct run run;
	int found = run_load_active(tx, thread, &run), ended;

	if (found == 1) {
		snprintf(id, ID_SIZE, "%s", run.id);
		ended = end_if_over(runs, tx, &run);
		found = ended < 0 ? -1 : !ended;
	}
	run_free(&run);
	return found;
}

struct settling {
	struct runs *runs;
	struct run *run;
	struct run settled;
};

static bool
write_settled(struct db_tx *tx, void *arg)
{
	struct settling *settling = arg;
	char id[ID_SIZE];

	run_free(&settling->settled);
	return thread_settle_active(settling->runs, tx, settling->run->thread, id) >= 0 &&
	    run_load(tx, settling->run->seq, &settling->settled) == 1;
}

int
run_settle(struct runs *runs, struct run *run)
{
	struct settling settling = {.runs = runs, .run = run};
	bool written;

	if (!run_status_is_active(run->status) ||
	    (!run_is_overdue(runs, run) && !run_is_abandoned(runs, run)))
		return 0;
	written = db_write(runs->db, DB_WRITE, write_settled, &settling) == 1;
	if (written) {
		run_free(run);
		*run = settling.settled;
	} else {
		run_free(&settling.settled);
	}
	return written ? 0 : -1;
}

struct active {
	long long thread;
	struct run run;
};

static bool
read_active(struct db_tx *tx, void *arg)
{
	struct active *active = arg;

	return run_load_active(tx, active->thread, &active->run) == 1;
}

void
run_settle_thread(struct runs *runs, long long thread)
{
	struct active active = {.thread = thread};

	if (db_read(runs->db, read_active, &active) == 1)
		run_settle(runs, &active.run);
	run_free(&active.run);
}

/* --- what a question may cost --- */

enum budget_result
run_reserve(struct runs *runs, struct db_tx *tx, const struct run *run, long long *wait_s)
{
	long long max = json_get_int(run->body, "max_completion_tokens", 0);
	struct budget_question question = {
	    .id = run->id,
	    .answer_max = max ? max - json_get_int(run->usage, "completion_tokens", 0) : 0,
	    .timeout_s = runs->timeout_s,
	};

	if (!budget_is_bounded(&runs->budgets, run->tenant))
		return BUDGET_RESERVED;
	question.bytes = context_estimate(tx, run->thread, run->body, runs->context_tokens);
	if (question.bytes < 0)
		return BUDGET_FAILED;
	/* Too little for an answer: the run will end without asking. */
	if (max && question.answer_max <= 0)
		question.answer_max = 1;
	return budget_reserve(tx, &runs->budgets, run->tenant, &question, wait_s);
}
