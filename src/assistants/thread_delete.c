#include "assistants/thread_delete.h"

#include "assistants/runs.h"
#include "os/clock.h"
#include "os/interrupt.h"

/* To write down what was deleted takes as long again, and longer. */
enum { PIECE_MS = 5 };

/* A row at a time: one may have megabytes. The thread itself comes last. */
static const char *const rows[] = {
    "DELETE FROM messages WHERE seq = (SELECT min(seq) FROM messages WHERE thread = ?)",
    "DELETE FROM runs WHERE seq = (SELECT min(seq) FROM runs WHERE thread = ?)",
    "DELETE FROM threads WHERE seq = ?",
};
enum { ROWS_LEN = sizeof rows / sizeof *rows };

static enum db_result
execute(struct db_tx *tx, const char *sql, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx, sql);

	db_bind_int(stmt, 1, thread);
	return db_finish(stmt, db_step(stmt));
}

/* As much as others may be made to wait for. */
static int
remove_piece(struct db_tx *tx, long long thread)
{
	long long end_ms = clock_ms() + PIECE_MS;

	for (int i = 0; i < ROWS_LEN && clock_ms() <= end_ms;) {
		if (execute(tx, rows[i], thread) != DB_DONE)
			return -1;
		i += db_changes(tx) == 0;
	}
	return 0;
}

/* Runs that nobody had taken up have cost nothing; the others' runners say what they did. */
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
	return db_finish(stmt, result) == DB_ERROR || !settled ? -1 : 0;
}

int
removal_begin(struct db_tx *tx, const struct budgets *budgets, long long thread)
{
	/* Its id is free for who moves the thread in again. */
	if (settle_queued(tx, budgets, thread) < 0 ||
	    execute(tx,
		"UPDATE threads SET tenant = " REMOVAL_TENANT ", id = 'removed_' || seq "
		"WHERE seq = ?",
		thread) != DB_DONE ||
	    execute(tx, "DELETE FROM runs WHERE thread = ? AND " RUN_ACTIVE(""), thread) != DB_DONE)
		return -1;
	return remove_piece(tx, thread);
}

/* A thread that is on its way out. 1 found, 0 there is none, -1 failed. */
static int
find(struct db *db, long long *thread)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	enum db_result result = DB_ERROR;
	struct db_stmt *stmt;

	if (tx) {
		stmt =
		    db_prepare(tx, "SELECT min(seq) FROM threads WHERE tenant = " REMOVAL_TENANT);
		result = db_step(stmt);
		if (result == DB_ROW && db_is_null(stmt, 0))
			result = DB_DONE;
		else if (result == DB_ROW)
			*thread = db_int(stmt, 0);
		db_finish(stmt, result);
	}
	db_rollback(tx);
	return result;
}

int
removal_step(struct db *db)
{
	long long thread;
	struct db_tx *tx;
	int found = find(db, &thread);

	if (found != 1)
		return found;
	tx = db_begin(db, DB_WRITE);
	if (tx && remove_piece(tx, thread) == 0)
		return db_commit(tx) == 0 ? 1 : -1;
	db_rollback(tx);
	return -1;
}

void
removal_finish(struct db *db)
{
	long long begun_ms = clock_ms();

	while (removal_step(db) == 1) {
		interrupt_sleep(NULL, clock_ms() - begun_ms);
		begun_ms = clock_ms();
	}
}
