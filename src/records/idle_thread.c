#include "records/idle_thread.h"

#include "os/clock.h"
#include "records/run.h"

/* The most that one look reads. */
enum { SEQS_MAX = 10000, LOOKED_AT_MAX = 200, LOOK_MS = 20 };

static int
read_last(struct db_tx *tx, long long *last)
{
	return record_number(db_prepare(tx, "SELECT coalesce(max(seq), 0) FROM threads"), last);
}

/*
 * A row for each thread: its last message and run, and whether any is newer than the cutoff. The
 * last ones are checked first, because one is enough. In an imported thread they need not be the
 * newest, so all are checked then.
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
		      "AND t.tenant <> " REMOVED_TENANT " ORDER BY t.seq");

	db_bind_int(stmt, 1, cutoff);
	db_bind_int(stmt, 2, cutoff);
	db_bind_int(stmt, 3, clock_unix());
	db_bind_int(stmt, 4, cursor);
	db_bind_int(stmt, 5, cursor + SEQS_MAX);
	db_bind_int(stmt, 6, cutoff);
	return stmt;
}

static int
read_idle(struct db_tx *tx, struct idle_threads *idle)
{
	struct db_stmt *stmt = prepare_look(tx, idle->cursor, idle->cutoff);
	long long end_ms = clock_ms() + LOOK_MS;
	enum db_result result;
	int looked_at = 0;

	idle->cursor += SEQS_MAX;
	while ((result = db_step(stmt)) == DB_ROW) {
		if (db_is_null(stmt, 3) && db_is_null(stmt, 4))
			idle->found[idle->len++] =
			    (struct idle_thread){db_int(stmt, 0), db_int(stmt, 1), db_int(stmt, 2)};
		if (++looked_at == LOOKED_AT_MAX || idle->len == idle->max || clock_ms() > end_ms) {
			idle->cursor = db_int(stmt, 0);
			break;
		}
	}
	return db_finish(stmt, result) < 0 ? -1 : 0;
}

bool
idle_threads_look(struct db_tx *tx, void *arg)
{
	struct idle_threads *idle = arg;
	long long last;

	idle->len = 0;
	if (read_last(tx, &last) != 1 || read_idle(tx, idle) < 0)
		return false;
	idle->ended = idle->cursor >= last;
	return true;
}

struct deletion {
	const struct budgets *budgets;
	const struct idle_thread *idle;
	int deleted;
};

/*
 * A message or run that came since the look keeps the thread. One that comes later finds no thread.
 */
static bool
write_deletion(struct db_tx *tx, void *arg)
{
	struct deletion *deletion = arg;
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT 1 FROM threads t WHERE t.seq = ? AND t.tenant <> " REMOVED_TENANT
	    " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.thread = t.seq AND m.seq > ?) "
	    "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread = t.seq AND r.seq > ?)");
	long long one;

	db_bind_int(stmt, 1, deletion->idle->thread);
	db_bind_int(stmt, 2, deletion->idle->last_message);
	db_bind_int(stmt, 3, deletion->idle->last_run);
	deletion->deleted = record_number(stmt, &one);
	if (deletion->deleted == 1 &&
	    thread_delete(tx, deletion->budgets, deletion->idle->thread) < 0)
		deletion->deleted = -1;
	return deletion->deleted == 1;
}

int
idle_thread_delete(struct db *db, const struct budgets *budgets, const struct idle_thread *idle)
{
	struct deletion deletion = {budgets, idle, -1};

	return db_write(db, DB_WRITE, write_deletion, &deletion) < 0 ? -1 : deletion.deleted;
}
