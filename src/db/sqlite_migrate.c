#include "db/sqlite_migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/db.h"
#include "db/sqlite_connect.h"
#include "obs/log.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/hash.h"
#include "schema.inc.h"

enum { OTHERS_MS = 600000 };

static int
exec(sqlite3 *handle, const char *sql)
{
	return sqlite3_exec(handle, sql, NULL, NULL, NULL);
}

/* Reads the number that a query returns. Returns an SQLite code. */
static int
query_number(sqlite3 *handle, const char *sql, long long *number)
{
	sqlite3_stmt *stmt;
	int code = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* The part of the schema after the line "-- version N"; NULL: there is no such version. */
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
run_part(sqlite3 *handle, long long version)
{
	const char *part = schema_part(version);
	const char *end = strstr(part, "\n-- version ");
	char *sql = end ? strndup(part, (size_t)(end - part)) : strdup(part);
	char pragma[64];
	int code;

	if (!sql)
		return SQLITE_NOMEM;
	code = exec(handle, sql);
	free(sql);
	if (code != SQLITE_OK)
		return code;
	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %lld", version);
	return exec(handle, pragma);
}

/* The version alone proves nothing: other programs number theirs, too. */
static int
check_tables(sqlite3 *handle, const char *path, char *error)
{
	char reason[REASON_SIZE];
	sqlite3_stmt *stmt;
	int code = sqlite3_prepare_v2(handle,
	    "SELECT 1 FROM assistants, threads, runs, messages, run_steps", -1, &stmt, NULL);

	if (code != SQLITE_OK) {
		connect_reason(handle, reason);
		snprintf(error, ERROR_SIZE, "the database %s cannot be used: %s", path, reason);
	}
	sqlite3_finalize(stmt);
	return code == SQLITE_OK ? 0 : -1;
}

/* SQL's sha256(text), in hexadecimal, for the migrations. */
static void
sha256(sqlite3_context *context, int args, sqlite3_value **values)
{
	char hex[SHA256_HEX_SIZE];

	(void)args;
	sha256_hex(sqlite3_value_text(values[0]), (size_t)sqlite3_value_bytes(values[0]), hex);
	sqlite3_result_text(context, hex, -1, SQLITE_TRANSIENT);
}

/*
 * By another connection: SQLite cannot copy from one that is in a writing transaction. Returns an
 * SQLite code.
 */
static int
copy_to(const char *path, const char *to)
{
	sqlite3 *from = NULL, *copy = NULL;
	sqlite3_backup *backup = NULL;
	int code = sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY, NULL), closed;

	if (code == SQLITE_OK)
		code = sqlite3_open(to, &copy);
	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(from, BUSY_TIMEOUT_MS);
		backup = sqlite3_backup_init(copy, "main", from, "main");
		code = sqlite3_errcode(copy);
	}
	if (backup) {
		sqlite3_backup_step(backup, -1);
		code = sqlite3_backup_finish(backup);
	}
	closed = sqlite3_close(copy);
	sqlite3_close(from);
	return code != SQLITE_OK ? code : closed;
}

/* Whether the disk has room for a copy, and for what the migration rewrites. */
static bool
has_room(sqlite3 *handle, const char *path)
{
	long long pages = 0, page_size = 0;
	struct statvfs disk;

	return query_number(handle, "PRAGMA page_count", &pages) == SQLITE_OK &&
	    query_number(handle, "PRAGMA page_size", &page_size) == SQLITE_OK &&
	    statvfs(path, &disk) == 0 &&
	    (long long)disk.f_bavail * (long long)disk.f_frsize > 3 * pages * page_size;
}

/*
 * Copies the database beside itself, as the way back to the older program. The copy gets its name
 * only when it is complete and on disk.
 */
static void
copy_aside(sqlite3 *handle, const char *path, long long version)
{
	char copy[4096], partial[sizeof copy + sizeof ".part"];
	int code;

	snprintf(copy, sizeof copy, "%s.version-%lld", path, version);
	snprintf(partial, sizeof partial, "%s.part", copy);
	if (!has_room(handle, path)) {
		log_warn("the database gets a new schema without a copy of the old one: the disk "
			 "has no room for it");
		return;
	}
	unlink(partial);
	code = copy_to(path, partial);
	if (code == SQLITE_OK && rename(partial, copy) == 0) {
		file_sync_folder(copy);
		log_info(
		    "the database gets a new schema; a copy of the old one is in %s, which can "
		    "be deleted",
		    copy);
		return;
	}
	log_warn("the database gets a new schema without a copy of the old one: %s",
	    code != SQLITE_OK ? sqlite3_errstr(code) : strerror(errno));
	unlink(partial);
}

/*
 * Begins the transaction. Waits longer than usual, because another process may be migrating.
 * Returns an SQLite code.
 */
static int
begin_patiently(sqlite3 *handle, const char *path)
{
	long long end_ms = clock_ms() + OTHERS_MS;
	int code = connect_exec(handle, "BEGIN IMMEDIATE");

	if (code == SQLITE_BUSY)
		log_info("the database %s has an older schema, and is locked: waiting until "
			 "another process has migrated it",
		    path);
	while (code == SQLITE_BUSY && clock_ms() < end_ms)
		code = connect_exec(handle, "BEGIN IMMEDIATE");
	return code;
}

/* Another process may be migrating, too, so the version counts only inside the transaction. */
int
migrate(sqlite3 *handle, const char *path, char *error)
{
	long long newest = 0, version = 0, tables = 0;
	char reason[REASON_SIZE];

	while (schema_part(newest + 1))
		newest++;
	if (query_number(handle, "PRAGMA user_version", &version) == SQLITE_OK && version == newest)
		return check_tables(handle, path, error);
	if (begin_patiently(handle, path) != SQLITE_OK ||
	    query_number(handle, "PRAGMA user_version", &version) != SQLITE_OK ||
	    query_number(handle, "SELECT count(*) FROM sqlite_master", &tables) != SQLITE_OK)
		goto fail;
	if (version < 0 || version > newest) {
		snprintf(error, ERROR_SIZE,
		    "the database %s has schema version %lld, made by a newer program; this "
		    "one, " VERSION ", accepts versions up to %lld",
		    path, version, newest);
		goto undo;
	}
	if (version == 0 && tables > 0) {
		snprintf(error, ERROR_SIZE,
		    "the database %s belongs to another program: it has tables that this program "
		    "did not make",
		    path);
		goto undo;
	}
	if (sqlite3_create_function(handle, "sha256", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
		sha256, NULL, NULL) != SQLITE_OK)
		goto fail;
	if (version > 0 && version < newest)
		copy_aside(handle, path, version);
	while (version < newest)
		if (run_part(handle, ++version) != SQLITE_OK)
			goto fail;
	if (exec(handle, "COMMIT") == SQLITE_OK)
		return 0;
fail:
	connect_reason(handle, reason);
	snprintf(error, ERROR_SIZE, "the database %s cannot be brought to schema version %lld: %s",
	    path, newest, reason);
undo:
	exec(handle, "ROLLBACK");
	return -1;
}
