/*
 * db.h on SQLite. Write-ahead log, so that readers and the writer do not wait for each other; one
 * connection writes, in IMMEDIATE transactions, since one that begins by reading could find at its
 * first write that it may not (SQLITE_BUSY without a wait).
 */
#include "db/db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>

#include "schema.inc.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/log.h"

enum {
	BUSY_TIMEOUT_MS = 10000,
	STMTS_MAX = 64, /* prepared statements a connection keeps; the program has fewer */
	READERS_KEPT = 16,
	OPEN_STEP_MS = 10
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

struct db_tx {
	struct db *db;
	struct conn *conn;
	enum db_mode mode;
};

struct db {
	char *path;
	bool durable;
	/* Threads that write take turns here: SQLite's own wait is a poll with sleeps. */
	pthread_mutex_t write_lock;
	struct conn *writer;
	/* The idle readers, taken and given by all threads. */
	pthread_mutex_t readers_lock;
	struct conn *readers;
	int readers_len;
};

static void
log_failure(struct conn *conn, const char *what)
{
	log_error("database: %s: %s", what, sqlite3_errmsg(conn->handle));
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

static int
conn_exec(struct conn *conn, const char *sql)
{
	return sqlite3_exec(conn->handle, sql, NULL, NULL, NULL);
}

/*
 * SQLite answers "busy" at once where waiting could deadlock, as when another process switches to
 * WAL.
 */
static int
exec_patiently(struct conn *conn, const char *sql)
{
	long long end = clock_ms() + BUSY_TIMEOUT_MS;
	int code;

	while ((code = conn_exec(conn, sql)) == SQLITE_BUSY && clock_ms() < end)
		interrupt_sleep(NULL, OPEN_STEP_MS);
	return code;
}

static struct conn *
conn_open(const struct db *db, char *error)
{
	struct conn *conn = calloc(1, sizeof *conn);
	int code;

	if (!conn)
		return NULL;
	/* A connection is never in two threads' hands at once: SQLite need not lock it. */
	code = sqlite3_open_v2(db->path, &conn->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK) {
		sqlite3_extended_result_codes(conn->handle, 1);
		sqlite3_busy_timeout(conn->handle, BUSY_TIMEOUT_MS);
		code = exec_patiently(conn, "PRAGMA journal_mode = WAL");
	}
	if (code == SQLITE_OK)
		code = exec_patiently(conn, "PRAGMA foreign_keys = ON");
	if (code == SQLITE_OK)
		code = exec_patiently(conn,
		    db->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (code == SQLITE_OK)
		return conn;
	snprintf(error, DB_ERROR_SIZE, "the database %s cannot be opened: %s", db->path,
	    conn->handle ? sqlite3_errmsg(conn->handle) : sqlite3_errstr(code));
	conn_close(conn);
	return NULL;
}

/*
 * Some file systems have no shared memory: SQLite stays with its rollback journal there, and is
 * slower.
 */
static void
warn_without_wal(const struct db *db)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db->writer->handle, "PRAGMA journal_mode", -1, &stmt, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW &&
	    strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
		log_warn("the database %s cannot use a write-ahead log on this file system: "
			 "journal mode %s",
		    db->path, (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}

static long long
schema_version(struct conn *conn)
{
	sqlite3_stmt *stmt;
	long long version = -1;

	if (sqlite3_prepare_v2(conn->handle, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return version;
}

/* The part of the schema after the line "-- version N"; NULL when there is no such version. */
static const char *
schema_part(long long version)
{
	char mark[48];
	const char *at;

	snprintf(mark, sizeof mark, "\n-- version %lld\n", version);
	at = strstr(schema_sql, mark);
	return at ? at + strlen(mark) : NULL;
}

static int
run_part(struct conn *conn, long long version)
{
	const char *part = schema_part(version);
	const char *end = strstr(part, "\n-- version ");
	char *sql = end ? strndup(part, (size_t)(end - part)) : strdup(part);
	char pragma[64];
	int code;

	if (!sql)
		return SQLITE_NOMEM;
	code = conn_exec(conn, sql);
	free(sql);
	if (code != SQLITE_OK)
		return code;
	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %lld", version);
	return conn_exec(conn, pragma);
}

/* Another process may be migrating, too: what version it is counts only inside the transaction. */
static int
migrate(struct db *db, char *error)
{
	struct conn *conn = db->writer;
	long long newest = 0, version = schema_version(conn);

	while (schema_part(newest + 1))
		newest++;
	if (version == newest)
		return 0;
	if (exec_patiently(conn, "BEGIN IMMEDIATE") != SQLITE_OK)
		goto fail;
	version = schema_version(conn);
	if (version < 0 || version > newest) {
		snprintf(error, DB_ERROR_SIZE,
		    "the database %s has schema version %lld, made by a newer program; this "
		    "one, " VERSION ", knows versions up to %lld",
		    db->path, version, newest);
		conn_exec(conn, "ROLLBACK");
		return -1;
	}
	while (version < newest)
		if (run_part(conn, ++version) != SQLITE_OK)
			goto fail;
	if (conn_exec(conn, "COMMIT") == SQLITE_OK)
		return 0;
fail:
	snprintf(error, DB_ERROR_SIZE,
	    "the database %s cannot be brought to schema version %lld: %s", db->path, newest,
	    sqlite3_errmsg(conn->handle));
	conn_exec(conn, "ROLLBACK");
	return -1;
}

struct db *
db_open(const char *path, bool durable, char error[DB_ERROR_SIZE])
{
	struct db *db = calloc(1, sizeof *db);

	snprintf(error, DB_ERROR_SIZE, "out of memory");
	if (!db || !(db->path = strdup(path))) {
		free(db);
		return NULL;
	}
	db->durable = durable;
	pthread_mutex_init(&db->write_lock, NULL);
	pthread_mutex_init(&db->readers_lock, NULL);
	db->writer = conn_open(db, error);
	if (db->writer && migrate(db, error) == 0) {
		warn_without_wal(db);
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
	conn_close(db->writer);
	pthread_mutex_destroy(&db->write_lock);
	pthread_mutex_destroy(&db->readers_lock);
	free(db->path);
	free(db);
}

static struct conn *
reader_take(struct db *db)
{
	char error[DB_ERROR_SIZE] = "out of memory";
	struct conn *conn;

	pthread_mutex_lock(&db->readers_lock);
	conn = db->readers;
	if (conn) {
		db->readers = conn->next;
		db->readers_len--;
	}
	pthread_mutex_unlock(&db->readers_lock);
	if (!conn && !(conn = conn_open(db, error)))
		log_error("%s", error);
	return conn;
}

static void
reader_give(struct db *db, struct conn *conn)
{
	pthread_mutex_lock(&db->readers_lock);
	if (db->readers_len < READERS_KEPT) {
		conn->next = db->readers;
		db->readers = conn;
		db->readers_len++;
		conn = NULL;
	}
	pthread_mutex_unlock(&db->readers_lock);
	conn_close(conn);
}

static void
tx_end(struct db_tx *tx)
{
	if (tx->mode == DB_WRITE)
		pthread_mutex_unlock(&tx->db->write_lock);
	else
		reader_give(tx->db, tx->conn);
	free(tx);
}

/*
 * The writers' queue is bounded in time: who comes too late is told so, and does not come later
 * still.
 */
static bool
take_turn(struct db *db)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += BUSY_TIMEOUT_MS / 1000;
	if (pthread_mutex_timedlock(&db->write_lock, &end) == 0)
		return true;
	log_error("database: begin: others write for too long");
	return false;
}

struct db_tx *
db_begin(struct db *db, enum db_mode mode)
{
	struct db_tx *tx = calloc(1, sizeof *tx);

	if (!tx)
		return NULL;
	tx->db = db;
	tx->mode = mode;
	if (mode == DB_WRITE) {
		if (!take_turn(db)) {
			free(tx);
			return NULL;
		}
		tx->conn = db->writer;
	} else if (!(tx->conn = reader_take(db))) {
		free(tx);
		return NULL;
	}
	if (conn_exec(tx->conn, mode == DB_WRITE ? "BEGIN IMMEDIATE" : "BEGIN") == SQLITE_OK)
		return tx;
	log_failure(tx->conn, "begin");
	tx_end(tx);
	return NULL;
}

int
db_commit(struct db_tx *tx)
{
	int result = 0;

	if (conn_exec(tx->conn, "COMMIT") != SQLITE_OK) {
		log_failure(tx->conn, "commit");
		conn_exec(tx->conn, "ROLLBACK");
		result = -1;
	}
	tx_end(tx);
	return result;
}

void
db_rollback(struct db_tx *tx)
{
	if (!tx)
		return;
	conn_exec(tx->conn, "ROLLBACK");
	tx_end(tx);
}

/* The connection's place for the statement, with or without a prepared form. */
static struct db_stmt *
stmt_place(struct conn *conn, const char *sql)
{
	struct db_stmt *stmt;

	for (int i = 0; i < conn->stmts_len; i++)
		if (conn->stmts[i].sql == sql)
			return &conn->stmts[i];
	/* Full: the last one makes room. */
	if (conn->stmts_len == STMTS_MAX)
		sqlite3_finalize(conn->stmts[--conn->stmts_len].stmt);
	stmt = &conn->stmts[conn->stmts_len++];
	*stmt = (struct db_stmt){.sql = sql, .conn = conn};
	return stmt;
}

struct db_stmt *
db_prepare(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = stmt_place(tx->conn, sql);

	if (!stmt->stmt)
		stmt->error = sqlite3_prepare_v3(
		    tx->conn->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->stmt, NULL);
	return stmt;
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
	int code = stmt->error != SQLITE_OK ? stmt->error : sqlite3_step(stmt->stmt);

	if (code == SQLITE_ROW)
		return DB_ROW;
	if (code == SQLITE_DONE)
		return DB_DONE;
	if (code == SQLITE_CONSTRAINT_UNIQUE)
		return DB_CONFLICT;
	log_error("database: %s: %s", stmt->sql, sqlite3_errmsg(stmt->conn->handle));
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

long long
db_changes(struct db_tx *tx)
{
	return sqlite3_changes64(tx->conn->handle);
}

long long
db_insert_seq(struct db_tx *tx)
{
	return sqlite3_last_insert_rowid(tx->conn->handle);
}
