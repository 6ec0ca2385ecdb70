#include "assistants/retention.h"

#include <pthread.h>
#include <time.h>

#include "assistants/kinds.h"
#include "obs/log.h"
#include "os/clock.h"
#include "records/idle_thread.h"
#include "work/chores.h"

/*
 * The thread has normal priority. With a lower one the kernel could suspend it while it holds the
 * database, and block writers.
 */
enum {
	DAY_S = 24 * 60 * 60,
	PERIOD_S = 60 * 60, /* from the end of a sweep to the next one */
	FILES_PERIOD_S = 10 * 60,
	ASK_S = 60,       /* other processes, and clocks, may change when it is due */
	DELETED_MAX = 20, /* in one step */
	WORK_MS = 50,
	STACK_SIZE = 1 << 20
};

static const struct chore chore = {.name = "retention", .piece_s = 30};
static const struct chore files_chore = {.name = "files", .piece_s = 600};

struct retention {
	struct db *db;
	const struct budgets *budgets;
	unsigned days;             /* 0: threads stay */
	const struct blobs *blobs; /* NULL: there are no files */
	long long deleted;         /* since it was last logged */
	pthread_t thread;
	bool started;
	/* The thread sleeps between steps, and is woken to end. */
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
};

struct retention *
retention_new(
    struct db *db, const struct budgets *budgets, unsigned days, const struct blobs *blobs)
{
	struct retention *retention = calloc(1, sizeof *retention);
	pthread_condattr_t attr;

	if (!retention)
		return NULL;
	retention->db = db;
	retention->budgets = budgets;
	retention->days = days;
	retention->blobs = blobs;
	pthread_mutex_init(&retention->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&retention->stop, &attr);
	pthread_condattr_destroy(&attr);
	return retention;
}

/* Sleeps. True: the thread must end. */
static bool
pause_for(struct retention *retention, long long ms)
{
	struct timespec end;
	bool stopping;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&retention->lock);
	while (!retention->stopping &&
	    pthread_cond_timedwait(&retention->stop, &retention->lock, &end) == 0)
		;
	stopping = retention->stopping;
	pthread_mutex_unlock(&retention->lock);
	return stopping;
}

/* Seconds until a step is due; -1: the database failed. */
static long long
seconds_left(struct retention *retention)
{
	long long threads = retention->days ? chore_seconds_left(retention->db, &chore) : -1;
	long long files = retention->blobs ? chore_seconds_left(retention->db, &files_chore) : -1;

	return threads < 0 || (files >= 0 && files < threads) ? files : threads;
}

bool
retention_is_due(struct retention *retention)
{
	return seconds_left(retention) == 0;
}

/* --- one step --- */

/* Lets waiting writers go first. Returns whether the step has time for more. */
static bool
give_way(struct retention *retention, long long begun_ms, long long *worked_ms)
{
	long long took_ms = clock_ms() - begun_ms;

	*worked_ms += took_ms;
	return !pause_for(retention, took_ms) && *worked_ms < WORK_MS;
}

/* Whether the piece is done; if not, it is done again later, by any process. */
static bool
work(struct retention *retention, struct idle_threads *idle)
{
	long long worked_ms = 0, begun_ms;
	bool goes_on = true;
	int result = 1;

	while (goes_on && result == 1) {
		begun_ms = clock_ms();
		result = thread_delete_step(retention->db);
		goes_on = give_way(retention, begun_ms, &worked_ms);
	}
	if (result == 0 && goes_on)
		result = db_read(retention->db, idle_threads_look, idle) == 1 ? 0 : -1;
	/* There may be more than this step can delete. */
	idle->ended = idle->ended && idle->len == 0;
	for (int i = 0; goes_on && result >= 0 && i < idle->len; i++) {
		begun_ms = clock_ms();
		result = idle_thread_delete(retention->db, retention->budgets, &idle->found[i]);
		retention->deleted += result > 0;
		goes_on = give_way(retention, begun_ms, &worked_ms);
		if (!goes_on && i + 1 < idle->len)
			idle->cursor = idle->found[i].thread;
	}
	return result >= 0;
}

static void
sweep_files(struct retention *retention)
{
	long long now = clock_unix(), none;

	if (chore_claim(retention->db, &files_chore, now, &none) == 1 &&
	    files_sweep(retention->db, retention->blobs))
		chore_release(retention->db, &files_chore, clock_unix() + FILES_PERIOD_S, 0);
}

static void
sweep_threads(struct retention *retention)
{
	struct idle_thread found[DELETED_MAX];
	/* Asked again, because the clock may be set meanwhile. */
	long long now = clock_unix();
	struct idle_threads idle = {
	    .cutoff = now - (long long)retention->days * DAY_S,
	    .max = DELETED_MAX,
	    .found = found,
	};

	if (chore_claim(retention->db, &chore, now, &idle.cursor) == 1 && work(retention, &idle))
		chore_release(retention->db, &chore, clock_unix() + (idle.ended ? PERIOD_S : 0),
		    idle.ended ? 0 : idle.cursor);
}

void
retention_step(struct retention *retention)
{
	if (retention->blobs)
		sweep_files(retention);
	if (retention->days)
		sweep_threads(retention);
}

/* --- the thread --- */

static void
say_what_was_deleted(struct retention *retention)
{
	if (retention->deleted > 0)
		log_info("%lld threads that were idle for %u days were deleted", retention->deleted,
		    retention->days);
	retention->deleted = 0;
}

static void *
run(void *arg)
{
	struct retention *retention = arg;
	long long wait_ms;

	do {
		long long begun_ms = clock_ms(), left = seconds_left(retention);

		if (left == 0) {
			retention_step(retention);
			wait_ms = clock_ms() - begun_ms;
		} else {
			say_what_was_deleted(retention);
			wait_ms = (left < 0 || left > ASK_S ? ASK_S : left) * 1000;
		}
	} while (!pause_for(retention, wait_ms));
	return NULL;
}

void
retention_start(struct retention *retention)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	retention->started = pthread_create(&retention->thread, &attr, run, retention) == 0;
	pthread_attr_destroy(&attr);
	if (!retention->started)
		log_error("the background thread that deletes idle threads and expired files could "
			  "not be "
			  "started");
}

void
retention_free(struct retention *retention)
{
	if (!retention)
		return;
	pthread_mutex_lock(&retention->lock);
	retention->stopping = true;
	pthread_cond_signal(&retention->stop);
	pthread_mutex_unlock(&retention->lock);
	if (retention->started)
		pthread_join(retention->thread, NULL);
	say_what_was_deleted(retention);
	pthread_cond_destroy(&retention->stop);
	pthread_mutex_destroy(&retention->lock);
	free(retention);
}
