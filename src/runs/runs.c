#include "runs/runs.h"

#include "obs/log.h"
#include "text/memory.h"

struct claiming {
	const char *holder;
	struct run run;
};

static bool
write_claim(struct db_tx *tx, void *arg)
{
	struct claiming *claiming = arg;

	run_free(&claiming->run);
	return run_claim(tx, claiming->holder, &claiming->run) == 1;
}

/* Executes the next queued run. A work_fn. */
static bool
carry_out_next(void *arg)
{
	static const struct run_hearing nobody = {NULL};
	struct runs *runs = arg;
	struct claiming claiming = {.holder = runs_holder(runs)};
	bool claimed;

	memory_begin();
	claimed = claiming.holder && db_write(runs->db, DB_WRITE, write_claim, &claiming) == 1;

	if (claimed) {
		/* Another thread may take the next one, if there is one. */
		runners_wake(runs->runners);
		log_set_request_id(claiming.run.id);
		run_carry_out(runs, &claiming.run, &nobody, NULL);
	}
	run_free(&claiming.run);
	return claimed;
}

int
runs_init(struct runs *runs, const char *state_dir)
{
	runs->leases = leases_new(state_dir);
	runs->runners = runners_new(carry_out_next, runs);
	return runs->leases && runs->runners ? 0 : -1;
}

void
runs_free(struct runs *runs)
{
	runners_free(runs->runners);
	leases_free(runs->leases);
}
