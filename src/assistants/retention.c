#include "assistants/retention.h"

#include <pthread.h>
#include <time.h>

#include "assistants/runs.h"
#include "assistants/thread_delete.h"
#include "obs/log.h"
#include "os/clock.h"

/*
 * The thread has everybody's priority: with a lower one it would be set aside while it holds the
 * database, and writers with it.
 */
enum {
	DAY_S = 24 * 60 * 60,
	PERIOD_S = 60 * 60, /* from the end of a sweep to the next one */
	LATE_S = 60 * 60,   /* so late, the clock may have been set, and is not believed at once */
	STEP_S = 30,        /* a step that took longer was killed: somebody else goes on */
	ASK_S = 60,         /* others may have changed when it is due, and clocks */
	/* What one step does at most. */
	SEQS_MAX = 10000,
	LOOKED_AT_MAX = 200,
	LOOK_MS = 20,
	DELETED_MAX = 20,
	WORK_MS = 50,
	STACK_SIZE = 1 << 20
};

struct retention {
	struct db *db;
	const struct budgets *budgets;
	unsigned days;
	long long deleted; /* since it was last said */
	pthread_t thread;
	bool started;
	/* Between steps the thread sleeps, until it is to end. */
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
};

/* A thread that is idle; what is younger than these two came since it was looked at. */
struct idle {
	long long thread, last_message, last_run;
};

struct sweep {
	long long now;    /* when it was claimed: the clock may be set meanwhile */
	long long cursor; /* the threads up to it are done */
	bool ended;
	struct idle idle[DELETED_MAX];
	int idle_len;
};

struct retention *
retention_new(struct db *db, const struct budgets *budgets, unsigned days)
{
	struct retention *retention = calloc(1, sizeof *retention);
	pthread_condattr_t attr;

	if (!retention)
		return NULL;
	retention->db = db;
	retention->budgets = budgets;
	retention->days = days;
	pthread_mutex_init(&retention->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&retention->stop, &attr);
	pthread_condattr_destroy(&attr);
	return retention;
}

/* Sleeps; true as soon as the thread is to end. */
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

/* --- whose turn it is --- */

/* Seconds until a step is due, -1 when the database failed. */
static long long
seconds_left(struct retention *retention)
{
	struct db_tx *tx = db_begin(retention->db, DB_READ);
	long long now = clock_unix(), left = -1;
	enum db_result result;
	struct db_stmt *stmt;

	if (!tx)
		return -1;
	stmt = db_prepare(tx, "SELECT due_at FROM chores WHERE name = 'retention'");
	result = db_step(stmt);
	if (result == DB_ROW)
		left = db_int(stmt, 0) - now;
	db_finish(stmt, result);
	db_rollback(tx);
	/* Nobody ever set it later: the clock was set back. */
	if (result == DB_ROW && (left < 0 || left > DAY_S))
		left = 0;
	return left;
}

bool
retention_is_due(struct retention *retention)
{
	return seconds_left(retention) == 0;
}

static enum db_result
set_due(struct db_tx *tx, long long due_at, long long cursor)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "UPDATE chores SET due_at = ?, cursor = ? WHERE name = 'retention'");

	db_bind_int(stmt, 1, due_at);
	db_bind_int(stmt, 2, cursor);
	return db_finish(stmt, db_step(stmt));
}

/*
 * 1 the step is ours; 0 it is another process's, or too late to be believed: a clock that was set
 * makes all threads old at once. A program that was not running waits for a day then, too. -1
 * failed.
 */
static int
claim(struct retention *retention, struct sweep *sweep)
{
	struct db_tx *tx = db_begin(retention->db, DB_WRITE);
	long long now = sweep->now = clock_unix(), due_at = 0, cursor = 0;
	struct db_stmt *stmt;
	int result = -1;
	bool late;

	if (!tx)
		return -1;
	stmt = db_prepare(tx, "SELECT due_at, cursor FROM chores WHERE name = 'retention'");
	if (db_step(stmt) == DB_ROW) {
		due_at = db_int(stmt, 0);
		cursor = db_int(stmt, 1);
		result = due_at <= now || due_at > now + DAY_S;
	}
	db_finish(stmt, DB_ROW);
	/* Below 0 it says that a day has been waited. */
	sweep->cursor = cursor < 0 ? -1 - cursor : cursor;
	late = cursor >= 0 && due_at > 0 && now - due_at > LATE_S;
	if (result == 1 &&
	    set_due(tx, now + (late ? DAY_S : STEP_S), late ? -1 - cursor : sweep->cursor) ==
		DB_DONE &&
	    db_commit(tx) == 0)
		return !late;
	if (result != 1)
		db_rollback(tx);
	return result == 1 ? -1 : result;
}

/* The next step is anybody's. */
static void
release(struct retention *retention, const struct sweep *sweep)
{
	struct db_tx *tx = db_begin(retention->db, DB_WRITE);

	if (!tx)
		return;
	if (set_due(tx, clock_unix() + (sweep->ended ? PERIOD_S : 0),
		sweep->ended ? 0 : sweep->cursor) == DB_DONE)
		db_commit(tx);
	else
		db_rollback(tx);
}

/* --- the step --- */

static int
read_last(struct db_tx *tx, long long *last)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT max(seq) FROM threads");
	enum db_result result = db_step(stmt);

	*last = result == DB_ROW ? db_int(stmt, 0) : 0;
	return db_finish(stmt, result) == DB_ROW ? 0 : -1;
}

/*
 * A thread each row, with what it has had since. Of messages and runs the newest are looked at
 * first, since one is enough; in a thread that was moved in they need not be the last ones.
 */
static struct db_stmt *
prepare_look(struct db_tx *tx, long long cursor, long long cutoff)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT t.seq, (SELECT max(m.seq) FROM messages m WHERE m.thread = t.seq), "
	    "(SELECT max(r.seq) FROM runs r WHERE r.thread = t.seq), "
	    "(SELECT 1 FROM messages m WHERE m.thread = t.seq AND m.created_at >= ? "
	    "ORDER BY m.seq DESC LIMIT 1), "
	    "(SELECT 1 FROM runs r WHERE r.thread = t.seq AND (r.created_at >= ? OR "
	    "(" RUN_ACTIVE(
		"r.") " AND r.expires_at >= ?)) ORDER BY r.seq DESC LIMIT 1) "
		      "FROM threads t WHERE t.seq > ? AND t.seq <= ? AND t.created_at < ? "
		      "AND t.tenant <> " REMOVAL_TENANT " ORDER BY t.seq");

	db_bind_int(stmt, 1, cutoff);
	db_bind_int(stmt, 2, cutoff);
	db_bind_int(stmt, 3, clock_unix());
	db_bind_int(stmt, 4, cursor);
	db_bind_int(stmt, 5, cursor + SEQS_MAX);
	db_bind_int(stmt, 6, cutoff);
	return stmt;
}

static int
read_idle(struct db_tx *tx, struct sweep *sweep, long long cutoff)
{
	struct db_stmt *stmt = prepare_look(tx, sweep->cursor, cutoff);
	long long end_ms = clock_ms() + LOOK_MS;
	enum db_result result;
	int looked_at = 0;

	sweep->cursor += SEQS_MAX;
	while ((result = db_step(stmt)) == DB_ROW) {
		if (db_is_null(stmt, 3) && db_is_null(stmt, 4))
			sweep->idle[sweep->idle_len++] =
			    (struct idle){db_int(stmt, 0), db_int(stmt, 1), db_int(stmt, 2)};
		if (++looked_at == LOOKED_AT_MAX || sweep->idle_len == DELETED_MAX ||
		    clock_ms() > end_ms) {
			sweep->cursor = db_int(stmt, 0);
			break;
		}
	}
	return db_finish(stmt, result) < 0 ? -1 : 0;
}

/* Finds the next idle threads. 0, or -1 when the database failed. */
static int
look(struct retention *retention, struct sweep *sweep)
{
	struct db_tx *tx = db_begin(retention->db, DB_READ);
	long long last = 0;
	int result = tx ? read_last(tx, &last) : -1;

	if (result == 0)
		result = read_idle(tx, sweep, sweep->now - (long long)retention->days * DAY_S);
	db_rollback(tx);
	/* What is found may be too much for this step. */
	sweep->ended = sweep->cursor >= last && sweep->idle_len == 0;
	return result;
}

/*
 * What came since the thread was looked at keeps it, and what comes later does not find it any
 * more. 1 deleted, 0 kept, or gone already; -1 failed.
 */
static int
delete_if_idle(struct retention *retention, const struct idle *idle)
{
	struct db_tx *tx = db_begin(retention->db, DB_WRITE);
	struct db_stmt *stmt;
	int result;

	if (!tx)
		return -1;
	stmt = db_prepare(tx,
	    "SELECT 1 FROM threads t WHERE t.seq = ? AND t.tenant <> " REMOVAL_TENANT
	    " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.thread = t.seq AND m.seq > ?) "
	    "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread = t.seq AND r.seq > ?)");
	db_bind_int(stmt, 1, idle->thread);
	db_bind_int(stmt, 2, idle->last_message);
	db_bind_int(stmt, 3, idle->last_run);
	result = db_finish(stmt, db_step(stmt));
	if (result == 1 && removal_begin(tx, retention->budgets, idle->thread) == 0)
		return db_commit(tx) == 0 ? 1 : -1;
	db_rollback(tx);
	return result == 0 ? 0 : -1;
}

/* Writers that wait get the lock first. Whether the step has time for more. */
static bool
give_way(struct retention *retention, long long begun_ms, long long *worked_ms)
{
	long long took_ms = clock_ms() - begun_ms;

	*worked_ms += took_ms;
	return !pause_for(retention, took_ms) && *worked_ms < WORK_MS;
}

/* 0, or -1 when the database failed. */
static int
work(struct retention *retention, struct sweep *sweep)
{
	long long worked_ms = 0, begun_ms;
	bool goes_on = true;
	int result = 1;

	while (goes_on && result == 1) {
		begun_ms = clock_ms();
		result = removal_step(retention->db);
		goes_on = give_way(retention, begun_ms, &worked_ms);
	}
	if (result == 0 && goes_on)
		result = look(retention, sweep);
	for (int i = 0; goes_on && result >= 0 && i < sweep->idle_len; i++) {
		begun_ms = clock_ms();
		result = delete_if_idle(retention, &sweep->idle[i]);
		retention->deleted += result > 0;
		goes_on = give_way(retention, begun_ms, &worked_ms);
		if (!goes_on && i + 1 < sweep->idle_len)
			sweep->cursor = sweep->idle[i].thread;
	}
	return result < 0 ? -1 : 0;
}

void
retention_step(struct retention *retention)
{
	struct sweep sweep = {0};

	if (claim(retention, &sweep) == 1 && work(retention, &sweep) == 0)
		release(retention, &sweep);
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
		log_error("no thread could be started to delete idle threads");
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
