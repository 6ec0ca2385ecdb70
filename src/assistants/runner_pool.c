#include "assistants/runner_pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "assistants/runner.h"
#include "assistants/runs.h"
#include "obs/log.h"

enum { RUNNERS_MAX = 8, STACK_SIZE = 1 << 20, SEAT_STEP_MS = 500 };

struct runner_pool {
	struct api *api;
	/*
	 * Threads that end because nothing is queued race with whoever has just queued something.
	 */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
	bool again; /* something was queued since a thread last looked */
	atomic_bool stopping;
};

static struct run *
claim(struct api *api)
{
	const char *holder = run_holder(api);
	struct db_tx *tx = holder ? db_begin(api->db, DB_WRITE) : NULL;
	struct run *run = NULL;

	if (tx && run_claim(tx, holder, &run) == 1) {
		if (db_commit(tx) == 0)
			return run;
		run_free(run);
		return NULL;
	}
	db_rollback(tx);
	return NULL;
}

/* Whether a thread that found nothing queued may end: nothing was queued since it began to look. */
static bool
nothing_more(struct runner_pool *pool)
{
	bool done;

	pthread_mutex_lock(&pool->lock);
	done = !pool->again || atomic_load(&pool->stopping);
	pool->again = false;
	if (done) {
		pool->running--;
		pthread_cond_signal(&pool->ended);
	}
	pthread_mutex_unlock(&pool->lock);
	return done;
}

/* Waits for one; false when the pool is to end. */
static bool
take_seat(struct runner_pool *pool, int *seat)
{
	struct seats *seats = pool->api->seats;

	*seat = -1;
	while (seats && !atomic_load(&pool->stopping) && (*seat = seats_take(seats)) < 0)
		interrupt_sleep(NULL, SEAT_STEP_MS);
	return !atomic_load(&pool->stopping);
}

static void
give_seat_back(struct runner_pool *pool, int seat)
{
	if (seat >= 0)
		seats_give_back(pool->api->seats, seat);
}

static void *
work(void *arg)
{
	struct runner_pool *pool = arg;
	int seat;

	do {
		struct run *run;

		while (take_seat(pool, &seat) && (run = claim(pool->api))) {
			/* Another thread for the next one, should there be one. */
			runner_pool_wake(pool);
			log_set_request_id(run->id);
			runner_carry_out(pool->api, run);
			run_free(run);
			give_seat_back(pool, seat);
		}
		give_seat_back(pool, seat);
	} while (!nothing_more(pool));
	return NULL;
}

void
runner_pool_wake(struct runner_pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_lock(&pool->lock);
	pool->again = true;
	if (pool->running < RUNNERS_MAX && !atomic_load(&pool->stopping)) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_SIZE);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&thread, &attr, work, pool) == 0)
			pool->running++;
		else if (pool->running == 0)
			log_error("no thread could be started for a queued run");
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_unlock(&pool->lock);
}

struct runner_pool *
runner_pool_new(struct api *api)
{
	struct runner_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	pool->api = api;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->ended, NULL);
	return pool;
}

void
runner_pool_await(struct runner_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->running > 0)
		pthread_cond_wait(&pool->ended, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void
runner_pool_free(struct runner_pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->stopping, true);
	runner_pool_await(pool);
	pthread_cond_destroy(&pool->ended);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

bool
runner_pool_stops(struct runner_pool *pool)
{
	return atomic_load(&pool->stopping);
}
