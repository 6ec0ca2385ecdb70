#include "db/sqlite_migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/sqlite_connect.h"
#include "schema.inc.h"

static int
exec(sqlite3 *handle, const char *sql)
{
	return sqlite3_exec(handle, sql, NULL, NULL, NULL);
}

/* The number that a query answers. An SQLite code. */
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

/* A version alone proves nothing: other programs count theirs, too. */
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

/* Another process may be migrating, too: what version it is counts only inside the transaction. */
int
migrate(sqlite3 *handle, const char *path, char *error)
{
	long long newest = 0, version = 0, tables = 0;
	char reason[REASON_SIZE];

	while (schema_part(newest + 1))
		newest++;
	if (query_number(handle, "PRAGMA user_version", &version) == SQLITE_OK && version == newest)
		return check_tables(handle, path, error);
	if (connect_exec(handle, "BEGIN IMMEDIATE") != SQLITE_OK ||
	    query_number(handle, "PRAGMA user_version", &version) != SQLITE_OK ||
	    query_number(handle, "SELECT count(*) FROM sqlite_master", &tables) != SQLITE_OK)
		goto fail;
	if (version < 0 || version > newest) {
		snprintf(error, ERROR_SIZE,
		    "the database %s has schema version %lld, made by a newer program; this "
		    "one, " VERSION ", knows versions up to %lld",
		    path, version, newest);
		goto undo;
	}
	if (version == 0 && tables > 0) {
		snprintf(error, ERROR_SIZE,
		    "the database %s is another program's: it has tables that are not known here",
		    path);
		goto undo;
	}
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
