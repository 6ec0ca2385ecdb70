/*
 * db.h on SQLite. It uses a write-ahead log where the file system supports it, so that readers and
 * the writer do not wait for each other. One connection writes, in IMMEDIATE transactions. A
 * transaction that begins by reading could fail at its first write, with SQLITE_BUSY and without a
 * wait.
 */
#include "db/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "db/group_commit.h"
#include "db/sqlite_checkpoint.h"
#include "db/sqlite_migrate.h"
#include "obs/log.h"
#include "text/memory.h"

enum {
	STMTS_MAX = 96, /* prepared statements a connection keeps; the program has fewer */
	COUNTED_MAX = 8 /* different metrics in a transaction; the program has fewer */
};

struct db_stmt {
	const char *sql;
	sqlite3_stmt *stmt;
	struct conn *conn;
	int error; /* of prepare or bind, an SQLite code */
};

struct conn {
	sqlite3 *handle;
	struct db_stmt stmts[STMTS_MAX];
	int stmts_len;
	struct conn *next;
};

/* A metric to be counted when the transaction is committed. */
struct counted {
	enum metric metric;
	const char *label; /* NULL: nothing */
	long long times;
};

enum outcome { WORK_NOT_DONE, WORK_TAKEN_BACK, WORK_WRITTEN };

struct db_tx {
	struct writer writer; /* the first member: a pointer to one is a pointer to the other */
	struct db *db;
	struct conn *conn;
	enum db_mode mode;
	long long since_us; /* when it queued up, by metrics_clock() */
	/* Set by db_write(). */
	db_work_fn *work;
	void *arg;
	enum outcome outcome;
	bool shared; /* the transaction also has the work of earlier writers */
	struct counted counted[COUNTED_MAX];
};

struct db {
	char *path;
	struct place place;
	struct stat file; /* the file as it was when it was opened */
	/* Writing threads take turns here, because SQLite's own wait is a poll with sleeps. */
	struct writers writers;
	struct conn *writer;
	struct checkpointer *checkpointer;
	bool durable_now; /* whether the writer's commits wait for the disk now */
	/*
	 * The idle readers. All threads take and return them; a thread that finds none, and may not
	 * open another, waits.
	 */
	pthread_mutex_t readers_lock;
	pthread_cond_t reader_given;
	struct conn *readers;
	int readers_len; /* including those in use */
};

static void
log_failure(struct conn *conn, const char *what)
{
	char reason[REASON_SIZE] = "an earlier error has ended the transaction";

	if (sqlite3_errcode(conn->handle) != SQLITE_OK)
		connect_reason(conn->handle, reason);
	log_error(
	    "the database %s: %s: %s", sqlite3_db_filename(conn->handle, "main"), what, reason);
}

static void
conn_close(struct conn *conn)
{
	if (!conn)
		return;
	for (int i = 0; i < conn->stmts_len; i++)
		sqlite3_finalize(conn->stmts[i].stmt);
	sqlite3_close(conn->handle);
	free(conn);
}

static struct conn *
conn_new(sqlite3 *handle)
{
	struct conn *conn = handle ? calloc(1, sizeof *conn) : NULL;

	if (conn)
		conn->handle = handle;
	else
		sqlite3_close(handle);
	return conn;
}

/* Where the connection keeps the statement, or will keep it. */
static struct db_stmt *
stmt_place(struct conn *conn, const char *sql)
{
	struct db_stmt *stmt;

	for (int i = 0; i < conn->stmts_len; i++)
		if (conn->stmts[i].sql == sql)
			return &conn->stmts[i];
	/* The cache is full: replace its last entry. */
	if (conn->stmts_len == STMTS_MAX)
		sqlite3_finalize(conn->stmts[--conn->stmts_len].stmt);
	stmt = &conn->stmts[conn->stmts_len++];
	*stmt = (struct db_stmt){.sql = sql, .conn = conn};
	return stmt;
}

static struct db_stmt *
conn_prepare(struct conn *conn, const char *sql)
{
	struct db_stmt *stmt = stmt_place(conn, sql);

	if (!stmt->stmt)
		stmt->error = sqlite3_prepare_v3(
		    conn->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->stmt, NULL);
	return stmt;
}

/* Runs a statement without rows, a literal, such as BEGIN. Returns an SQLite code. */
static int
conn_run(struct conn *conn, const char *sql)
{
	struct db_stmt *stmt = conn_prepare(conn, sql);
	int code = stmt->error != SQLITE_OK ? stmt->error : sqlite3_step(stmt->stmt);

	db_finish(stmt, DB_DONE);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int
find_file(struct db *db, char *error)
{
	if (stat(db->path, &db->file) == 0)
		return 0;
	snprintf(error, ERROR_SIZE, "the database %s is gone: %s", db->path, strerror(errno));
	return -1;
}

/*
 * Whether the file is still the one that was opened. SQLite goes on with a file that was deleted or
 * replaced, and what it then stores is lost when the process ends. It even goes on with one that
 * was emptied, as far as its pages are in memory.
 */
static bool
is_in_place(const struct db *db)
{
	struct stat now;

	if (stat(db->path, &now) == 0 && now.st_ino == db->file.st_ino &&
	    now.st_dev == db->file.st_dev && now.st_size > 0)
		return true;
	log_error("the database %s was moved, deleted or emptied while it is in use: put it back, "
		  "or restart the program",
	    db->path);
	return false;
}

struct db *
db_open(const char *path, bool durable, char error[ERROR_SIZE])
{
	struct db *db = calloc(1, sizeof *db);

	/*
	 * Its memory statistics take one lock for all threads. SQLite refuses this once it is in
	 * use; then it is not needed.
	 */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	snprintf(error, ERROR_SIZE, "out of memory");
	if (!db || !(db->path = strdup(path))) {
		free(db);
		return NULL;
	}
	db->place = (struct place){.path = db->path, .durable = durable};
	db->durable_now = durable;
	writers_init(&db->writers);
	pthread_mutex_init(&db->readers_lock, NULL);
	pthread_cond_init(&db->reader_given, NULL);
	db->writer = conn_new(connect_first(&db->place, error, ERROR_SIZE));
	if (db->writer && migrate(db->writer->handle, db->path, error) == 0 &&
	    find_file(db, error) == 0) {
		db->checkpointer = checkpointer_new(&db->place, db->writer->handle);
		return db;
	}
	db_close(db);
	return NULL;
}

void
db_close(struct db *db)
{
	struct conn *conn;

	if (!db)
		return;
	while ((conn = db->readers)) {
		db->readers = conn->next;
		conn_close(conn);
	}
	checkpointer_free(db->checkpointer);
	conn_close(db->writer);
	writers_free(&db->writers);
	pthread_cond_destroy(&db->reader_given);
	pthread_mutex_destroy(&db->readers_lock);
	free(db->path);
	free(db);
}

static void
reader_give(struct db *db, struct conn *conn)
{
	pthread_mutex_lock(&db->readers_lock);
	conn->next = db->readers;
	db->readers = conn;
	pthread_cond_signal(&db->reader_given);
	pthread_mutex_unlock(&db->readers_lock);
}

/* Opens another reading connection. NULL: failed, which has been logged. */
static struct conn *
reader_new(struct db *db)
{
	char error[ERROR_SIZE] = "out of memory";
	struct conn *conn = conn_new(connect_again(&db->place, error, sizeof error));

	if (conn)
		return conn;
	log_error("%s", error);
	pthread_mutex_lock(&db->readers_lock);
	db->readers_len--;
	pthread_cond_signal(&db->reader_given);
	pthread_mutex_unlock(&db->readers_lock);
	return NULL;
}

/* No timeout: we wait only for other readers, and reads are short. */
static struct conn *
reader_take(struct db *db)
{
	struct conn *conn;

	if (!is_in_place(db))
		return NULL;
	pthread_mutex_lock(&db->readers_lock);
	while (!db->readers && db->readers_len == DB_READERS_MAX)
		pthread_cond_wait(&db->reader_given, &db->readers_lock);
	conn = db->readers;
	if (conn)
		db->readers = conn->next;
	else
		db->readers_len++;
	pthread_mutex_unlock(&db->readers_lock);
	return conn ? conn : reader_new(db);
}

/* Sets whether the writer's commits wait for the disk. False: unchanged, which has been logged. */
static bool
make_durable(struct db *db, bool durable)
{
	const char *sql = connect_synchronous(&db->place, durable);

	if (db->durable_now == durable)
		return true;
	/* Not a prepared statement: such a pragma already acts while it is prepared. */
	if (sqlite3_exec(db->writer->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
		log_failure(db->writer, "synchronous");
		return false;
	}
	db->durable_now = durable;
	return true;
}

/* Rolls everything back, including the work of earlier writers. */
static void
drop_all(struct db *db)
{
	conn_run(db->writer, "ROLLBACK");
	writers_settle(&db->writers, false);
}

/* Commits everything, including the work of earlier writers. */
static bool
commit_all(struct db *db)
{
	bool kept = conn_run(db->writer, "COMMIT") == SQLITE_OK;

	if (kept) {
		writers_settle(&db->writers, true);
	} else {
		log_failure(db->writer, "commit");
		drop_all(db);
	}
	return kept;
}

/*
 * Gives up the turn of a writer that has written nothing. Commits the work of earlier writers if no
 * other writer takes over.
 */
static void
writer_give(struct db *db)
{
	if (writers_have_passed(&db->writers)) {
		if (writers_pass(&db->writers, NULL))
			return;
		commit_all(db);
	}
	writers_give(&db->writers);
}

/* Waits for the turn, with a timeout. A writer whose time is up leaves the queue and fails. */
static struct conn *
writer_take(struct db *db, struct db_tx *tx)
{
	bool durable = db->place.durable && tx->mode == DB_WRITE, in_place;

	tx->writer.durable = durable;
	if (!writers_take(&db->writers, &tx->writer, BUSY_TIMEOUT_MS)) {
		log_error("the database %s: begin: other writers took too long", db->path);
		return NULL;
	}
	if (tx->writer.done)
		return db->writer;
	/* The pragma has no effect inside a transaction. */
	if (durable && !db->durable_now && writers_have_passed(&db->writers))
		commit_all(db);
	in_place = is_in_place(db);
	if (in_place && (writers_have_passed(&db->writers) || make_durable(db, durable)))
		return db->writer;
	/* The work of earlier writers would be lost with the file. */
	if (!in_place && writers_have_passed(&db->writers))
		drop_all(db);
	writer_give(db);
	return NULL;
}

/*
 * Waits for the turn among this process's writers, then for the database's lock, which all
 * processes share. In a transaction with earlier writers, these hold that lock already.
 */
static int
begin_write(struct db_tx *tx)
{
	int code = SQLITE_OK;

	tx->since_us = metrics_clock();
	tx->conn = writer_take(tx->db, tx);
	if (tx->writer.done)
		return code;
	tx->shared = tx->conn && writers_have_passed(&tx->db->writers);
	if (tx->conn)
		code = conn_run(tx->conn, tx->shared ? "SAVEPOINT own" : "BEGIN IMMEDIATE");
	metrics_observe(METRIC_WRITE_WAIT, tx->since_us);
	return code;
}

static int
begin_read(struct db_tx *tx)
{
	tx->conn = reader_take(tx->db);
	return tx->conn ? conn_run(tx->conn, "BEGIN") : SQLITE_OK;
}

struct db_tx *
db_begin(struct db *db, enum db_mode mode)
{
	struct db_tx *tx = calloc(1, sizeof *tx);
	int code;

	if (!tx)
		return NULL;
	tx->db = db;
	tx->mode = mode;
	code = mode == DB_READ ? begin_read(tx) : begin_write(tx);
	if (!tx->conn) {
		free(tx);
		return NULL;
	}
	if (code == SQLITE_OK)
		return tx;
	log_failure(tx->conn, "begin");
	if (mode == DB_READ)
		reader_give(db, tx->conn);
	else
		writer_give(db);
	free(tx);
	return NULL;
}

void
db_count(struct db_tx *tx, enum metric metric, const char *label)
{
	for (int i = 0; i < COUNTED_MAX; i++) {
		struct counted *counted = &tx->counted[i];

		if (!counted->label)
			*counted = (struct counted){metric, label, 0};
		if (counted->metric == metric && strcmp(counted->label, label) == 0) {
			counted->times++;
			return;
		}
	}
}

static void
count_committed(const struct db_tx *tx)
{
	for (int i = 0; i < COUNTED_MAX && tx->counted[i].label; i++)
		metrics_add(
		    tx->counted[i].metric, tx->counted[i].times, tx->counted[i].label, NULL, NULL);
}

/*
 * Whether SQLite has ended the transaction by itself, as it does after some errors, with nothing
 * committed. Anything written after that would be committed at once, alone.
 */
static bool
is_over(const struct conn *conn)
{
	return sqlite3_get_autocommit(conn->handle);
}

/* Undoes what this writer has written. The work of earlier writers stays, if SQLite allows it. */
static void
undo(struct db_tx *tx)
{
	if (tx->shared && conn_run(tx->conn, "ROLLBACK TO own") == SQLITE_OK &&
	    conn_run(tx->conn, "RELEASE own") == SQLITE_OK)
		return;
	if (tx->shared)
		drop_all(tx->db);
	else
		conn_run(tx->conn, "ROLLBACK");
}

/* Calls the work. If memory ran out meanwhile, what it wrote may lack something and is not kept. */
static enum outcome
done_by(struct db_tx *tx)
{
	bool kept = tx->work(tx, tx->arg);

	if (memory_is_out())
		return WORK_NOT_DONE;
	return kept ? WORK_WRITTEN : WORK_TAKEN_BACK;
}

/* Does the work of another writer that waits for its turn. */
static void
do_work(struct db_tx *tx)
{
	bool out_of_memory;

	metrics_observe(METRIC_WRITE_WAIT, tx->since_us);
	tx->conn = tx->db->writer;
	tx->shared = true;
	if (conn_run(tx->conn, "SAVEPOINT own") != SQLITE_OK) {
		log_failure(tx->conn, "begin");
		return;
	}
	out_of_memory = memory_begin();
	tx->outcome = done_by(tx);
	memory_end(out_of_memory);
	if (tx->outcome != WORK_WRITTEN || conn_run(tx->conn, "RELEASE own") != SQLITE_OK)
		undo(tx);
}

/* Does the work of the next writers in the queue, as long as the database accepts it. */
static void
work_for_others(struct db *db)
{
	struct writer *next;

	while (!is_over(db->writer) && is_in_place(db) &&
	    (next = writers_next(&db->writers, db->durable_now)))
		do_work((struct db_tx *)next);
}

/* Ends the turn: passes on what was written, or commits it. Returns whether it is committed. */
static bool
end_turn(struct db_tx *tx)
{
	struct db *db = tx->db;
	bool kept;

	work_for_others(db);
	if (is_over(db->writer)) {
		drop_all(db);
		writers_give(&db->writers);
		return false;
	}
	if (writers_pass(&db->writers, &tx->writer))
		return tx->writer.kept;
	kept = commit_all(db);
	writers_give(&db->writers);
	return kept;
}

/* Commits the transaction's work. Returns whether that succeeded. */
static bool
commit_write(struct db_tx *tx)
{
	if (!is_over(tx->conn) && (!tx->shared || conn_run(tx->conn, "RELEASE own") == SQLITE_OK))
		return end_turn(tx);
	log_failure(tx->conn, "commit");
	undo(tx);
	writer_give(tx->db);
	return false;
}

/*
 * A rollback also waits until earlier writers' work is committed, because this writer may have seen
 * it.
 */
static void
rollback_write(struct db_tx *tx)
{
	undo(tx);
	if (writers_have_passed(&tx->db->writers))
		end_turn(tx);
	else
		writers_give(&tx->db->writers);
}

int
db_commit(struct db_tx *tx)
{
	bool kept;

	if (tx->mode == DB_READ) {
		db_rollback(tx);
		return 0;
	}
	kept = commit_write(tx);
	if (kept)
		count_committed(tx);
	free(tx);
	return kept ? 0 : -1;
}

void
db_rollback(struct db_tx *tx)
{
	if (!tx)
		return;
	if (tx->mode == DB_READ) {
		conn_run(tx->conn, "ROLLBACK");
		reader_give(tx->db, tx->conn);
	} else {
		rollback_write(tx);
	}
	free(tx);
}

int
db_write(struct db *db, enum db_mode mode, db_work_fn *work, void *arg)
{
	struct db_tx tx = {
	    .writer = {.by_anybody = true}, .db = db, .mode = mode, .work = work, .arg = arg};
	int code;
	bool kept;

	/* Memory ran out: what is about to be written may lack something. */
	if (memory_is_out())
		return -1;
	code = begin_write(&tx);
	kept = tx.writer.kept;
	if (!tx.conn)
		return -1;
	if (!tx.writer.done && code != SQLITE_OK) {
		log_failure(tx.conn, "begin");
		writer_give(db);
		return -1;
	}
	if (!tx.writer.done) {
		tx.outcome = done_by(&tx);
		if (tx.outcome == WORK_WRITTEN)
			kept = commit_write(&tx);
		else
			rollback_write(&tx);
	}
	if (tx.outcome == WORK_TAKEN_BACK)
		return 0;
	if (tx.outcome == WORK_NOT_DONE || !kept)
		return -1;
	count_committed(&tx);
	return 1;
}

int
db_read(struct db *db, db_work_fn *work, void *arg)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	bool done;

	if (!tx)
		return -1;
	done = work(tx, arg);
	db_rollback(tx);
	return memory_is_out() ? -1 : done;
}

struct db_stmt *
db_prepare(struct db_tx *tx, const char *sql)
{
	return conn_prepare(tx->conn, sql);
}

static void
keep_error(struct db_stmt *stmt, int code)
{
	if (code != SQLITE_OK && stmt->error == SQLITE_OK)
		stmt->error = code;
}

void
db_bind_text(struct db_stmt *stmt, int index, const char *value)
{
	keep_error(stmt, sqlite3_bind_text(stmt->stmt, index, value, -1, SQLITE_TRANSIENT));
}

void
db_bind_int(struct db_stmt *stmt, int index, long long value)
{
	keep_error(stmt, sqlite3_bind_int64(stmt->stmt, index, value));
}

void
db_bind_time(struct db_stmt *stmt, int index, long long at)
{
	keep_error(stmt,
	    at ? sqlite3_bind_int64(stmt->stmt, index, at) : sqlite3_bind_null(stmt->stmt, index));
}

enum db_result
db_step(struct db_stmt *stmt)
{
	int code = stmt->error;

	if (code == SQLITE_OK)
		code = is_over(stmt->conn) ? SQLITE_ABORT : sqlite3_step(stmt->stmt);
	if (code == SQLITE_ROW)
		return DB_ROW;
	if (code == SQLITE_DONE)
		return DB_DONE;
	log_failure(stmt->conn, stmt->sql);
	return DB_ERROR;
}

const char *
db_text(struct db_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt->stmt, column);
}

long long
db_int(struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->stmt, column);
}

bool
db_is_null(struct db_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt->stmt, column) == SQLITE_NULL;
}

size_t
db_bytes(struct db_stmt *stmt, int column)
{
	return (size_t)sqlite3_column_bytes(stmt->stmt, column);
}

size_t
db_row_size(struct db_stmt *stmt)
{
	size_t size = 0;

	for (int i = 0; i < sqlite3_column_count(stmt->stmt); i++)
		if (sqlite3_column_type(stmt->stmt, i) == SQLITE_TEXT)
			size += (size_t)sqlite3_column_bytes(stmt->stmt, i);
	return size;
}

enum db_result
db_finish(struct db_stmt *stmt, enum db_result result)
{
	if (stmt->stmt) {
		sqlite3_reset(stmt->stmt);
		sqlite3_clear_bindings(stmt->stmt);
	}
	stmt->error = SQLITE_OK;
	return result;
}

int
db_execute(struct db_stmt *stmt)
{
	/* sqlite3_changes() must be asked before another statement runs on the connection. */
	return db_finish(stmt, db_step(stmt)) == DB_DONE
	    ? (int)sqlite3_changes64(stmt->conn->handle)
	    : -1;
}
