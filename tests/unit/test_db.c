/* The database: schema, isolation, and several transactions at once. */
#include "support.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "db/db.h"
#include "os/interrupt.h"
#include "schema.inc.h"

static struct {
	char *folder, *path;
	char error[ERROR_SIZE];
} here;

static int
set_up(void **state)
{
	(void)state;
	here.folder = folder_new();
	here.path = path_in(here.folder, "test.db");
	here.error[0] = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(here.path);
	folder_remove(here.folder);
	return 0;
}

static struct db *
open_db(void)
{
	struct db *db = db_open(here.path, false, here.error);

	if (!db)
		fail_msg("%s", here.error);
	return db;
}

/* The number that a statement without parameters returns. */
static long long
number(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_prepare(tx, sql);
	enum db_result result = db_step(stmt);
	long long value = result == DB_ROW ? db_int(stmt, 0) : -1;

	db_finish(stmt, result);
	return value;
}

static enum db_result
run(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_prepare(tx, sql);
	enum db_result result;

	do
		result = db_step(stmt);
	while (result == DB_ROW);
	return db_finish(stmt, result);
}

static enum db_result
add_thread(struct db_tx *tx, const char *id, const char *body)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "INSERT INTO threads (id, tenant, created_at, body) VALUES (?, 'me', ?, ?)");

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, 1234567890123);
	db_bind_text(stmt, 3, body);
	return db_finish(stmt, db_step(stmt));
}

static long long
threads_in(struct db_tx *tx)
{
	return number(tx, "SELECT count(*) FROM threads");
}

static long long
threads_now(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	long long count;

	assert_non_null(tx);
	count = threads_in(tx);
	assert_int_equal(db_commit(tx), 0);
	return count;
}

static void
add_committed(struct db *db, const char *id)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);

	assert_non_null(tx);
	assert_int_equal(add_thread(tx, id, "{}"), DB_DONE);
	assert_int_equal(db_commit(tx), 0);
}

static void
test_new(void **state)
{
	static const struct {
		bool durable;
		int synchronous; /* SQLite's EXTRA and NORMAL */
	} rows[] = {{true, 3}, {false, 1}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct db *db = db_open(here.path, rows[i].durable, here.error);

		assert_non_null(db);
		for (int mode = DB_READ; mode <= DB_WRITE; mode++) {
			struct db_tx *tx = db_begin(db, (enum db_mode)mode);

			assert_true(number(tx, "PRAGMA user_version") >= 1);
			assert_int_equal(
			    number(tx,
				"SELECT count(*) FROM sqlite_master WHERE name IN ("
				"'assistants', 'threads', 'runs', 'messages', 'run_steps')"),
			    5);
			assert_int_equal(number(tx, "PRAGMA foreign_keys"), 1);
			assert_int_equal(number(tx, "PRAGMA cell_size_check"), 1);
			assert_int_equal(number(tx, "PRAGMA synchronous"), rows[i].synchronous);
			assert_int_equal(threads_in(tx), 0);
			assert_int_equal(db_commit(tx), 0);
		}
		db_close(db);
	}
	db_close(NULL);
}

static void
test_reopen(void **state)
{
	struct db *db = open_db();

	(void)state;
	add_committed(db, "thread_1");
	db_close(db);
	db = open_db();
	assert_int_equal(threads_now(db), 1);
	add_committed(db, "thread_2");
	db_close(db);
	db = open_db();
	assert_int_equal(threads_now(db), 2);
	db_close(db);
}

static void
test_open_fails(void **state)
{
	char *missing = path_in(here.folder, "missing/test.db");
	char *text = path_in(here.folder, "text.db"), long_text[4000];
	const struct {
		const char *path, *said;
	} rows[] = {
	    {missing, "/missing/test.db cannot be opened"},
	    {here.folder, "cannot be opened"},
	    {text, "not a database"},
	};

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	file_write(text, long_text);
	for (size_t i = 0; i < COUNT(rows); i++) {
		here.error[0] = '\0';
		assert_null(db_open(rows[i].path, true, here.error));
		check_has(rows[i].path, here.error, rows[i].said);
	}
	free(missing);
	free(text);
}

/* Makes a database by `sql`, not by this program. */
static void
make_by_hand(const char *sql)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(here.path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static long long
version_of(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	long long version = number(tx, "PRAGMA user_version");

	assert_int_equal(db_commit(tx), 0);
	return version;
}

/* A database of a newer or another program is refused, and stays unchanged. */
static void
test_other_version(void **state)
{
	static const int versions[] = {1000, -7};
	struct db *db = open_db();
	char sql[200], back[64], said[64];

	(void)state;
	add_committed(db, "thread_1");
	snprintf(back, sizeof back, "PRAGMA user_version = %lld", version_of(db));
	db_close(db);
	for (size_t i = 0; i < COUNT(versions); i++) {
		snprintf(sql, sizeof sql, "PRAGMA user_version = %d", versions[i]);
		make_by_hand(sql);
		assert_null(db_open(here.path, true, here.error));
		snprintf(said, sizeof said, "schema version %d", versions[i]);
		check_has("version", here.error, said);
		/* Fails if it has changed. */
		snprintf(sql, sizeof sql,
		    "CREATE TEMP TABLE t (v CHECK (v = %d)); INSERT INTO t SELECT user_version "
		    "FROM pragma_user_version",
		    versions[i]);
		make_by_hand(sql);
	}
	make_by_hand(back);
	db = open_db();
	assert_int_equal(threads_now(db), 1);
	db_close(db);
}

/* Another program's database is refused, whatever its version, and gets no tables. */
static void
test_other_program(void **state)
{
	static const struct {
		int version;
		const char *said;
	} rows[] = {{0, "belongs to another program"}, {1, "no such table"}};

	(void)state;
	make_by_hand("CREATE TABLE messages (mine TEXT); INSERT INTO messages VALUES ('x')");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char pragma[64];

		snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", rows[i].version);
		make_by_hand(pragma);
		assert_null(db_open(here.path, true, here.error));
		check_has("other", here.error, rows[i].said);
		/* Fails if their number has changed. */
		make_by_hand("CREATE TEMP TABLE t (v CHECK (v = 1)); INSERT INTO t SELECT count(*) "
			     "FROM sqlite_master; INSERT INTO t SELECT count(*) FROM messages");
	}
}

/* A database of version 1 is migrated, and keeps its content. */
static void
test_older_version(void **state)
{
	char *first =
	    strndup(schema_sql, (size_t)(strstr(schema_sql, "-- version 2") - schema_sql));
	struct db *db;

	(void)state;
	make_by_hand(first);
	free(first);
	make_by_hand(
	    "PRAGMA user_version = 1; "
	    "INSERT INTO threads (id, tenant, created_at, body) VALUES ('t', 'a', 1, '{}'); "
	    "INSERT INTO runs (id, thread, assistant_id, created_at, expires_at, status, "
	    "body) VALUES ('r', 1, 'a', 1, 2, 'completed', '{}')");
	db = db_open(here.path, true, here.error);
	assert_non_null(db);
	db_close(db);
	make_by_hand(
	    "CREATE TEMP TABLE t (v CHECK (v = 1)); "
	    "INSERT INTO t SELECT count(*) FROM runs JOIN run_options o ON o.seq = options "
	    "WHERE o.body = '{}'");
}

/* Whether a file with this suffix is beside the database. */
static bool
is_beside(const char *suffix)
{
	char path[4096];

	snprintf(path, sizeof path, "%s%s", here.path, suffix);
	return access(path, F_OK) == 0;
}

/* Held, queued and finished runs with the same options, except for the metadata. */
static void
test_version_7(void **state)
{
	char *before =
	    strndup(schema_sql, (size_t)(strstr(schema_sql, "-- version 8") - schema_sql));
	struct capture capture;
	struct db *db;
	char *said;

	(void)state;
	make_by_hand(before);
	free(before);
	make_by_hand(
	    "PRAGMA user_version = 7; "
	    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) "
	    "INSERT INTO threads (id, tenant, created_at, body) SELECT 't' || i, 'a', 1, '{}' FROM "
	    "n; "
	    "INSERT INTO runs (id, thread, assistant_id, created_at, expires_at, status, body, "
	    "lease_holder, lease_until) VALUES "
	    "('r1', 1, 'a', 1, 2, 'queued', "
	    "'{\"model\":\"m\",\"metadata\":{\"k\":\"1\"},\"top_p\":1.0}', "
	    "NULL, NULL), "
	    "('r2', 2, 'a', 1, 2, 'in_progress', "
	    "'{\"model\":\"m\",\"metadata\":{\"k\":\"2\"},\"top_p\":1.0}', 'h', 7), "
	    "('r3', 3, 'a', 1, 2, 'cancelling', "
	    "'{\"model\":\"m\",\"metadata\":null,\"top_p\":1.0}', 'h', 7), "
	    "('r4', 4, 'a', 1, 2, 'requires_action', '{\"model\":\"m\"}', 'h', 7), "
	    "('r5', 5, 'a', 1, 2, 'requires_action', '{\"model\":\"m\"}', NULL, NULL), "
	    "('r6', 6, 'a', 1, 2, 'failed', '{\"model\":\"m\"}', 'h', 7), "
	    "('r7', 7, 'a', 1, 2, 'completed', '{\"model\":\"m\"}', NULL, NULL)");
	capture_start(&capture);
	db = db_open(here.path, true, here.error);
	said = capture_end(&capture);
	assert_non_null(db);
	db_close(db);
	check_has("logged", said, "test.db.version-7");
	free(said);
	assert_true(is_beside(".version-7"));
	assert_false(is_beside(".version-7.part"));
	make_by_hand(
	    "CREATE TEMP TABLE t (v TEXT CHECK (v IN ('r1||', 'r2|h|7', 'r3|h|7', 'r4|h|7'))); "
	    "INSERT INTO t SELECT id || '|' || coalesce(holder, '') || '|' || "
	    "coalesce(lease_until, '') FROM work JOIN runs ON seq = subject; "
	    "CREATE TEMP TABLE n (v CHECK (v = 2)); INSERT INTO n SELECT count(*) FROM "
	    "run_options; "
	    "INSERT INTO n SELECT count(*) - 2 FROM t; "
	    "CREATE TEMP TABLE m (v CHECK (v IN ('{\"k\":\"1\"}', '{\"k\":\"2\"}'))); "
	    "INSERT INTO m SELECT metadata FROM runs WHERE id IN ('r1', 'r2'); "
	    "CREATE TEMP TABLE o (v CHECK (v = "
	    "'{\"model\":\"m\",\"metadata\":null,\"top_p\":1.0}')); "
	    "INSERT INTO o SELECT o.body FROM runs r JOIN run_options o ON o.seq = r.options "
	    "WHERE r.id IN ('r1', 'r2', 'r3')");
}

/* A migration that fails half-way, here because a file may not grow, leaves nothing behind. */
static void
test_migration_fails(void **state)
{
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit before, small;
	struct db *db;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = 40000, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	db = db_open(here.path, true, here.error);
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, handler);
	assert_null(db);
	check_has("half-way", here.error, "cannot be brought to schema version");
	check_has("half-way", here.error, "(File too large)");
	make_by_hand("CREATE TEMP TABLE t (v CHECK (v = 0)); INSERT INTO t SELECT user_version "
		     "FROM pragma_user_version; INSERT INTO t SELECT count(*) FROM sqlite_master");
	db_close(open_db());
}

/* Others see what a writer does once it is committed; a reader's view does not change. */
static void
test_isolation(void **state)
{
	struct db *db = open_db();
	struct db_tx *writer, *early = db_begin(db, DB_READ), *late;

	(void)state;
	assert_int_equal(threads_in(early), 0);
	writer = db_begin(db, DB_WRITE);
	assert_int_equal(add_thread(writer, "thread_1", "{}"), DB_DONE);
	assert_int_equal(threads_in(writer), 1);
	late = db_begin(db, DB_READ);
	assert_int_equal(threads_in(early), 0);
	assert_int_equal(threads_now(db), 0);
	assert_int_equal(db_commit(writer), 0);
	assert_int_equal(threads_in(early), 0);
	/* Its view is that of its first statement, not of its beginning. */
	assert_int_equal(threads_in(late), 1);
	assert_int_equal(threads_now(db), 1);
	assert_int_equal(db_commit(early), 0);
	assert_int_equal(db_commit(late), 0);
	db_close(db);
}

static void
test_rollback(void **state)
{
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_WRITE);

	(void)state;
	assert_int_equal(add_thread(tx, "thread_1", "{}"), DB_DONE);
	db_rollback(tx);
	db_rollback(NULL);
	assert_int_equal(threads_now(db), 0);
	add_committed(db, "thread_1");
	assert_int_equal(threads_now(db), 1);
	db_close(db);
}

static long long
size_of(const char *end)
{
	struct stat status;
	char *path;

	assert_true(asprintf(&path, "%s%s", here.path, end) > 0);
	if (stat(path, &status) < 0)
		status.st_size = 0;
	free(path);
	return status.st_size;
}

/* Adds rows of several pages each. */
static void
add_many(struct db *db, int from, int to)
{
	static char body[9000];
	char id[32];

	memset(body, 'x', sizeof body - 1);
	for (int i = from; i < to; i++) {
		struct db_tx *tx = db_begin(db, DB_WRITE);

		snprintf(id, sizeof id, "thread_%d", i);
		assert_int_equal(add_thread(tx, id, body), DB_DONE);
		assert_int_equal(db_commit(tx), 0);
	}
}

/* How often the log has restarted, from its header. */
static uint32_t
times_begun(void)
{
	uint32_t header[8];
	char *path;
	FILE *file;

	assert_true(asprintf(&path, "%s-wal", here.path) > 0);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(header, sizeof header, 1, file), 1);
	fclose(file);
	free(path);
	return header[3];
}

/* The log is copied into the open database, and then restarts. */
static void
test_log(void **state)
{
	char error[ERROR_SIZE];
	/* Not durable, because that is faster. */
	struct db *db = db_open(here.path, false, error);
	long long before = size_of("");
	uint32_t begun;
	int added;

	(void)state;
	assert_non_null(db);
	add_many(db, 0, 50);
	assert_int_equal(size_of(""), before);
	add_many(db, 50, 400);
	while (size_of("") < 1000000)
		interrupt_sleep(NULL, 1);
	begun = times_begun();
	for (added = 400; times_begun() == begun; added++) {
		add_many(db, added, added + 1);
		interrupt_sleep(NULL, 1);
	}
	db_close(db);
	assert_int_equal(size_of("-wal"), 0);
	db = open_db();
	assert_int_equal(threads_now(db), added);
	db_close(db);
}

static void
test_values(void **state)
{
	static const char *const texts[] = {
	    "", "plain", "it's \"quoted\"; DROP TABLE threads", "\xf0\x9f\x98\x80", NULL};
	static const long long ints[] = {0, -1, INT64_MAX, INT64_MIN};
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_READ);

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t j = 0; j < COUNT(ints); j++) {
			struct db_stmt *stmt = db_prepare(tx, "SELECT ?, ?, ?, ?");
			char copied[64];

			snprintf(copied, sizeof copied, "%s", texts[i] ? texts[i] : "");
			db_bind_text(stmt, 1, texts[i] ? copied : NULL);
			memset(copied, 'x', sizeof copied - 1);
			db_bind_int(stmt, 2, ints[j]);
			db_bind_time(stmt, 3, 0);
			db_bind_time(stmt, 4, 1234567890123);
			assert_int_equal(db_step(stmt), DB_ROW);
			check_text("text", db_text(stmt, 0), texts[i]);
			check_int("null", db_is_null(stmt, 0), texts[i] == NULL);
			check_int("int", db_int(stmt, 1), ints[j]);
			check_int("null", db_is_null(stmt, 1), false);
			check_int("null", db_is_null(stmt, 2), true);
			check_text("null", db_text(stmt, 2), NULL);
			check_int("time", db_int(stmt, 3), 1234567890123);
			assert_int_equal(db_step(stmt), DB_DONE);
			db_finish(stmt, DB_DONE);
		}
	assert_int_equal(db_commit(tx), 0);
	db_close(db);
}

/* How many rows a statement changed; a violated unique index is no failure. */
static void
test_execute(void **state)
{
	static const struct {
		const char *sql;
		int changed;
	} rows[] = {
	    {"INSERT INTO threads (id, tenant, created_at, body) VALUES ('a', 't', 1, '{}') "
	     "ON CONFLICT DO NOTHING",
		1},
	    {"INSERT INTO threads (id, tenant, created_at, body) VALUES ('a', 't', 2, '{}') "
	     "ON CONFLICT DO NOTHING ",
		0},
	    {"INSERT INTO threads (id, tenant, created_at, body) VALUES ('b', 't', 1, '{}')", 1},
	    {"UPDATE threads SET created_at = 7", 2},
	    {"UPDATE threads SET created_at = 7 WHERE seq < 0", 0},
	};
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_WRITE);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].sql, db_execute(db_prepare(tx, rows[i].sql)), rows[i].changed);
	assert_int_equal(db_commit(tx), 0);
	assert_int_equal(threads_now(db), 2);
	db_close(db);
}

/* One active run per thread; deleting the thread deletes its runs. */
static void
test_schema_rules(void **state)
{
	static const char insert[] = "INSERT INTO runs (id, thread, assistant_id, created_at, "
				     "expires_at, status) SELECT 'run_' || count(*), 1, "
				     "'asst_1', 1, 1, 'queued' FROM runs WHERE true "
				     "ON CONFLICT DO NOTHING";
	static const char orphan[] = "INSERT INTO runs (id, thread, assistant_id, created_at, "
				     "expires_at, status) VALUES ('run_x', 99, '', 1, 1, "
				     "'queued')";
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct capture capture;
	enum db_result result;
	char *said;

	(void)state;
	assert_int_equal(add_thread(tx, "thread_1", "{}"), DB_DONE);
	assert_int_equal(db_execute(db_prepare(tx, insert)), 1);
	assert_int_equal(db_execute(db_prepare(tx, insert)), 0);
	assert_int_equal(run(tx, "UPDATE runs SET status = 'completed'"), DB_DONE);
	assert_int_equal(run(tx, insert), DB_DONE);
	assert_int_equal(number(tx, "SELECT count(*) FROM runs"), 2);
	capture_start(&capture);
	result = run(tx, orphan);
	said = capture_end(&capture);
	assert_int_equal(result, DB_ERROR);
	check_has("logged", said, "FOREIGN KEY");
	free(said);
	assert_int_equal(run(tx, "DELETE FROM threads"), DB_DONE);
	assert_int_equal(number(tx, "SELECT count(*) FROM runs"), 0);
	assert_int_equal(db_commit(tx), 0);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_new, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_reopen, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_open_fails, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_other_version, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_other_program, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_older_version, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_version_7, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_migration_fails, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_isolation, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_rollback, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_log, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_execute, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_schema_rules, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
