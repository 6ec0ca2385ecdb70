/*
 * The database: transactions and statements. There is no SQL here: it stands in the file of its
 * object (records/, work/), with every value bound.
 *
 * This file hides one connection that writes, under a lock, because SQLite has one writer; a pool
 * of connections that read beside it; statements prepared once per connection; the schema and its
 * versions.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>

#include "obs/metrics.h"
#include "text/text.h"

struct db;      /* the database; one serves all threads */
struct db_tx;   /* a transaction, one thread's */
struct db_stmt; /* a statement that runs in a transaction */

enum {
	DB_READERS_MAX = 16 /* more readers wait; each needs two descriptors */
};

/*
 * Opens or creates the database file `path` and brings its schema to this program's version.
 * `durable`: a commit survives loss of power (SQLite's synchronous=EXTRA); otherwise it survives
 * only a killed process. NULL with one sentence in `error`. A database that a newer program made is
 * refused.
 */
struct db *db_open(const char *path, bool durable, char error[ERROR_SIZE]);
void db_close(struct db *db);

enum db_mode {
	DB_READ,
	DB_WRITE,
	/*
	 * Like DB_WRITE, but loss of power may undo it: with a write-ahead log, the commit does not
	 * wait for the disk.
	 */
	DB_WRITE_RELAXED
};

/*
 * Begins a transaction. A writer waits for earlier writers, at most 20 s, and blocks all later
 * ones, so it must not call anything outside the process before it ends. A reader sees the state as
 * of its first statement; a thread has one reader at a time. NULL: the database is busy or broken,
 * which has been logged.
 */
struct db_tx *db_begin(struct db *db, enum db_mode mode);

/*
 * Both end the transaction and free it. Commit: 0, or -1 and nothing was written. On return,
 * whatever this writer has seen of earlier writers is committed, unless their commit failed.
 */
int db_commit(struct db_tx *tx);
void db_rollback(struct db_tx *tx);

/*
 * A whole writing transaction: calls `work` with the transaction and `arg`; `work` returns whether
 * to keep what it wrote. It may run in another thread: the thread that is writing executes the work
 * of queued writers, commits it, and wakes each once. 1: committed. 0: rolled back, because `work`
 * returned false. -1: not committed, because memory is out, or the database is busy or broken,
 * which has been logged; `work` may not have been called.
 */
typedef bool db_work_fn(struct db_tx *tx, void *arg);
int db_write(struct db *db, enum db_mode mode, db_work_fn *work, void *arg);

/*
 * The same for reading: the transaction sees the state as of its first statement, and is rolled
 * back at its end. 1, or 0 if `work` returned false, or -1: memory is out, or the database is busy
 * or broken.
 */
int db_read(struct db *db, db_work_fn *work, void *arg);

/*
 * Adds one to `metric` with the label `label`, a string literal, once the transaction is committed.
 */
void db_count(struct db_tx *tx, enum metric metric, const char *label);

/*
 * Statements. `sql` must be a string literal: its address finds the prepared form. Parameters are
 * '?', bound in order from 1; texts are copied, NULL is SQL's. At most one use of the same `sql` at
 * a time in a transaction. A failure of prepare or bind is kept and returned by the next step, so
 * that only that must be checked.
 */
struct db_stmt *db_prepare(struct db_tx *tx, const char *sql);
void db_bind_text(struct db_stmt *stmt, int index, const char *value);
void db_bind_int(struct db_stmt *stmt, int index, long long value);
void db_bind_time(struct db_stmt *stmt, int index, long long at); /* Unix seconds; 0 is NULL */

enum db_result {
	DB_ERROR = -1, /* logged; roll back */
	DB_DONE = 0,   /* no further row */
	DB_ROW = 1,    /* columns can be read until the next step */
};
enum db_result db_step(struct db_stmt *stmt);

/*
 * Columns of the row, from 0. A text belongs to the statement, until the next step; NULL is SQL's
 * NULL.
 */
const char *db_text(struct db_stmt *stmt, int column);
long long db_int(struct db_stmt *stmt, int column);
bool db_is_null(struct db_stmt *stmt, int column);

/* The length of a text, in bytes. */
size_t db_bytes(struct db_stmt *stmt, int column);

/* The length of all texts of the row, in bytes. */
size_t db_row_size(struct db_stmt *stmt);

/* Resets the statement and returns `result`, so that writing one row reads as one line. */
enum db_result db_finish(struct db_stmt *stmt, enum db_result result);

/*
 * Runs and finishes a statement without result rows. Returns how many rows it changed; -1: it
 * failed.
 */
int db_execute(struct db_stmt *stmt);

#endif
