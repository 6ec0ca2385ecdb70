#include "records/thread_delete.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "records/run.h"
#include "records/run_options.h"

/* Committing a piece takes as long again, or longer. */
enum { PIECE_MS = 5 };

/* One row at a time, because it may have megabytes. The thread itself is last. */
static const char *const deletions[] = {
    ("DELETE FROM messages WHERE seq = (SELECT min(seq) FROM messages WHERE thread = ?) "
     "RETURNING NULL"),
    "DELETE FROM runs WHERE seq = (SELECT min(seq) FROM runs WHERE thread = ?) RETURNING options",
    "DELETE FROM threads WHERE seq = ? RETURNING NULL",
};
enum { DELETIONS_LEN = sizeof deletions / sizeof *deletions };

static int
execute(struct db_tx *tx, const char *sql, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx, sql);

	db_bind_int(stmt, 1, thread);
	return db_execute(stmt);
}

/*
 * Runs a deletion that returns, for each row, the seq of a run's options, or NULL, and releases
 * these. Returns how many rows; -1: failed.
 */
static int
delete_rows(struct db_tx *tx, const char *sql, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx, sql);
	enum db_result result;
	int deleted = 0;

	db_bind_int(stmt, 1, thread);
	while ((result = db_step(stmt)) == DB_ROW) {
		if (!db_is_null(stmt, 0) && run_options_release(tx, db_int(stmt, 0)) < 0)
			return db_finish(stmt, DB_ERROR);
		deleted++;
	}
	return db_finish(stmt, result) < 0 ? -1 : deleted;
}

static int
delete_piece(struct db_tx *tx, long long thread)
{
	long long end_ms = clock_ms() + PIECE_MS;

	for (int i = 0; i < DELETIONS_LEN && clock_ms() <= end_ms;) {
		int deleted = delete_rows(tx, deletions[i], thread);

		if (deleted < 0)
			return -1;
		i += deleted == 0;
	}
	return 0;
}

/*
 * Settles queued runs, which have cost nothing. The processes that execute the others settle these.
 */
static int
settle_queued(struct db_tx *tx, const struct budgets *budgets, long long thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT id FROM runs WHERE thread = ? AND status = 'queued'");
	enum db_result result;
	bool settled = true;

	db_bind_int(stmt, 1, thread);
	while (settled && (result = db_step(stmt)) == DB_ROW)
		settled = budget_settle(tx, budgets, db_text(stmt, 0), 0);
	return db_finish(stmt, settled ? result : DB_ERROR) == DB_DONE ? 0 : -1;
}

int
thread_delete(struct db_tx *tx, const struct budgets *budgets, long long thread)
{
	/* Frees its id for an import of the same thread. */
	if (settle_queued(tx, budgets, thread) < 0 ||
	    execute(tx,
		"UPDATE threads SET tenant = " REMOVED_TENANT ", id = 'removed_' || seq "
		"WHERE seq = ?",
		thread) < 0 ||
	    execute(tx,
		"DELETE FROM work WHERE kind = 'run' AND subject IN "
		"(SELECT seq FROM runs WHERE thread = ?)",
		thread) < 0 ||
	    delete_rows(tx,
		"DELETE FROM runs WHERE thread = ? AND " RUN_ACTIVE("") " RETURNING options",
		thread) < 0)
		return -1;
	return delete_piece(tx, thread);
}

/* Sets *thread to a thread that is being deleted; 0: there is none. */
static bool
find(struct db_tx *tx, void *thread)
{
	return record_number(db_prepare(tx,
				 "SELECT coalesce(min(seq), 0) FROM threads "
				 "WHERE tenant = " REMOVED_TENANT),
		   thread) == 1;
}

static bool
write_piece(struct db_tx *tx, void *thread)
{
	return delete_piece(tx, *(const long long *)thread) == 0;
}

int
thread_delete_step(struct db *db)
{
	long long thread;

	if (db_read(db, find, &thread) != 1)
		return -1;
	if (thread == 0)
		return 0;
	return db_write(db, DB_WRITE, write_piece, &thread) == 1 ? 1 : -1;
}

void
thread_delete_finish(struct db *db)
{
	long long begun_ms = clock_ms();

	while (thread_delete_step(db) == 1) {
		interrupt_sleep(NULL, clock_ms() - begun_ms);
		begun_ms = clock_ms();
	}
}
