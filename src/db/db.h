/*
 * The database: transactions and statements. No SQL stands here; it is written in the room of its
 * object, with every value bound.
 *
 * What this hides: one connection that writes, under a lock, since SQLite has one writer; a pool of
 * connections that read beside it; statements prepared once a connection; the schema and its
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
	DB_READERS_MAX = 16 /* who reads beyond them waits; two descriptors each */
};

/*
 * Opens, or creates, the database file `path`, and brings its schema to this program's version.
 * `durable`: a commit survives loss of power (SQLite's synchronous=FULL), else only any end of the
 * program. NULL with one sentence in `error`; a database that a newer program made is refused.
 */
struct db *db_open(const char *path, bool durable, char error[ERROR_SIZE]);
void db_close(struct db *db);

enum db_mode {
	DB_READ,
	DB_WRITE,
	/* The same, but loss of power may undo it: with a write-ahead log nothing waits for the
	   disk. */
	DB_WRITE_RELAXED
};

/*
 * Begins. A writer waits for those before it, at most 20 s, and holds everyone else up: no calls to
 * the outside until it ends. A reader sees the moment of its first statement throughout; a thread
 * has one at a time. NULL when the database is busy or broken; it has been logged.
 */
struct db_tx *db_begin(struct db *db, enum db_mode mode);

/*
 * Ends the transaction, which is gone afterwards. Commit: 0, or -1 and nothing has been written.
 * What a writer has seen of those before it is kept by then, unless their own commit failed.
 */
int db_commit(struct db_tx *tx);
void db_rollback(struct db_tx *tx);

/*
 * A whole transaction that writes: `work` gets it, with `arg`, and says whether it is to be kept.
 * It need not be the caller's thread that does it: who stands in the queue has it done by who is
 * writing, and is woken once, when it is committed. 1 kept, 0 taken back as `work` said, -1 not
 * kept: the database is busy or broken, which has been logged; then `work` may not have been
 * called.
 */
typedef bool db_work_fn(struct db_tx *tx, void *arg);
int db_write(struct db *db, enum db_mode mode, db_work_fn *work, void *arg);

/*
 * The same for reading: a transaction that sees the moment of its first statement throughout, and
 * is taken back at its end. 1, or 0 as `work` said; -1: the database is busy or broken.
 */
int db_read(struct db *db, db_work_fn *work, void *arg);

/*
 * Counts one more of `metric`, whose label is the literal `label`, once the transaction is
 * committed.
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

/* Columns of the row, from 0. A text is the statement's, until the next step; NULL is SQL's. */
const char *db_text(struct db_stmt *stmt, int column);
long long db_int(struct db_stmt *stmt, int column);
bool db_is_null(struct db_stmt *stmt, int column);

/* Bytes of a text. */
size_t db_bytes(struct db_stmt *stmt, int column);

/* Bytes of the row's texts. */
size_t db_row_size(struct db_stmt *stmt);

/*
 * Done with the statement for now. Takes the result along, so that one-row writes read as one line.
 */
enum db_result db_finish(struct db_stmt *stmt, enum db_result result);

/* Runs and finishes a statement that gives no rows. How many rows it changed; -1 failed. */
int db_execute(struct db_stmt *stmt);

#endif
