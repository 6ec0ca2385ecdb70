/* Where the database is: what the file system supports, and a file that disappears. */
#include "support.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "db/db.h"

static char *folder, *path;

/* Replaces statfs(2): the kind of file system to report. */
static unsigned long fs_type;
static bool statfs_fails;

int
statfs(const char *of, struct statfs *status)
{
	int result = (int)syscall(SYS_statfs, of, status);

	if (result == 0 && fs_type)
		status->f_type = (__typeof__(status->f_type))fs_type;
	errno = EIO;
	return statfs_fails ? -1 : result;
}

/* SQLite maps nothing but -shm. */
static atomic_bool mapping_fails;

void *
mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (mapping_fails && (flags & MAP_SHARED)) {
		errno = ENODEV;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

static int
set_up(void **state)
{
	(void)state;
	folder = folder_new();
	path = path_in(folder, "test.db");
	fs_type = 0;
	statfs_fails = mapping_fails = false;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(path);
	folder_remove(folder);
	return 0;
}

static struct db *
open_db(void)
{
	char error[ERROR_SIZE];
	struct db *db = db_open(path, true, error);

	if (!db)
		fail_msg("%s", error);
	return db;
}

/* The same, and what was logged, the caller's to free. */
static struct db *
open_logged(char **said)
{
	char error[ERROR_SIZE] = "";
	struct capture capture;
	struct db *db;

	capture_start(&capture);
	db = db_open(path, true, error);
	*said = capture_end(&capture);
	check_text("error", error[0] == '/' ? error : "", "");
	assert_non_null(db);
	return db;
}

static void
check_journal(const char *row, struct db *db, const char *expected)
{
	/* Readers that are opened later have the writer's settings. */
	for (int mode = DB_READ; mode <= DB_WRITE; mode++) {
		struct db_tx *tx = db_begin(db, (enum db_mode)mode);
		struct db_stmt *stmt = db_prepare(tx, "PRAGMA journal_mode");

		check_int(row, db_step(stmt), DB_ROW);
		check_text(row, db_text(stmt, 0), expected);
		db_finish(stmt, DB_DONE);
		assert_int_equal(db_commit(tx), 0);
	}
}

static void
add_thread(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO threads (id, tenant, created_at, body) "
	    "SELECT 'thread_' || count(*), '', 0, '' FROM threads");

	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	assert_int_equal(db_commit(tx), 0);
}

static long long
threads_in(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	struct db_stmt *stmt = db_prepare(tx, "SELECT count(*) FROM threads");
	long long count = db_step(stmt) == DB_ROW ? db_int(stmt, 0) : -1;

	db_finish(stmt, DB_DONE);
	db_rollback(tx);
	return count;
}

/* The same database moves from one to the other, and nothing is lost. */
static void
test_kinds(void **state)
{
	static const struct {
		const char *name;
		unsigned long type;
		const char *journal, *said;
	} rows[] = {
	    {"ext4", 0xef53, "wal", ""},
	    {"NFS", 0x6969, "delete",
		"test.db uses a rollback journal instead of a write-ahead log: it is "
		"on a network file system (NFS)"},
	    {"tmpfs", 0x01021994, "wal", ""},
	    {"CIFS", 0xff534d42, "delete", "(SMB)"},
	    {"CIFS, its sign kept", (unsigned long)(long)(int)0xff534d42, "delete", "(SMB)"},
	    {"SMB2", 0xfe534d42, "delete", "(SMB)"},
	    {"NFS again", 0x6969, "delete", "(NFS)"},
	    {"9P", 0x01021997, "delete", "(9P)"},
	    {"xfs", 0x58465342, "wal", ""},
	    {"FUSE", 0x65735546, "delete", "(FUSE)"},
	    {"Lustre", 0x0bd00bd0, "delete", "(Lustre)"},
	    {"overlay", 0x794c7630, "wal", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct db *db;
		char *said;

		fs_type = rows[i].type;
		db = open_logged(&said);
		if (*rows[i].said)
			check_has(rows[i].name, said, rows[i].said);
		else
			check_text(rows[i].name, said, "");
		check_journal(rows[i].name, db, rows[i].journal);
		add_thread(db);
		check_int(rows[i].name, threads_in(db), (long long)i + 1);
		db_close(db);
		free(said);
	}
}

/* An unknown file system counts as local. */
static void
test_kind_unknown(void **state)
{
	struct db *db;

	(void)state;
	statfs_fails = true;
	db = open_db();
	check_journal("unknown", db, "wal");
	db_close(db);
}

/* With and without a log that a killed process left. */
static void
test_no_shared_memory(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		struct db *db;
		char *said;

		mapping_fails = true;
		db = open_logged(&said);
		check_has("said", said,
		    "test.db uses a rollback journal instead of a write-ahead log: its file system "
		    "has no "
		    "shared memory (No such device)");
		free(said);
		check_journal("no memory", db, "delete");
		add_thread(db);
		check_int("threads", threads_in(db), 2 * round + 1);
		db_close(db);
		mapping_fails = false;
		db = open_logged(&said);
		check_text("said", said, "");
		free(said);
		check_journal("memory", db, "wal");
		add_thread(db);
		db_close(db);
	}
}

/*
 * Loss of power undoes whole transactions: with a rollback journal, NORMAL could leave a damaged
 * database.
 */
static void
test_synchronous(void **state)
{
	enum { NORMAL = 1, FULL, EXTRA };
	static const struct {
		bool rollback, durable;
		enum db_mode mode;
		int synchronous;
	} rows[] = {
	    {false, true, DB_WRITE, EXTRA},
	    {false, true, DB_WRITE_RELAXED, NORMAL},
	    {false, false, DB_WRITE, NORMAL},
	    {true, true, DB_WRITE, EXTRA},
	    {true, true, DB_WRITE_RELAXED, FULL},
	    {true, false, DB_WRITE, FULL},
	    {true, false, DB_WRITE_RELAXED, FULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char error[ERROR_SIZE], row[32];
		struct capture capture;
		struct db_stmt *stmt;
		struct db_tx *tx;
		struct db *db;

		snprintf(row, sizeof row, "row %zu", i);
		mapping_fails = rows[i].rollback;
		capture_start(&capture);
		db = db_open(path, rows[i].durable, error);
		free(capture_end(&capture));
		assert_non_null(db);
		tx = db_begin(db, rows[i].mode);
		stmt = db_prepare(tx, "PRAGMA synchronous");
		check_int(row, db_step(stmt), DB_ROW);
		check_int(row, db_int(stmt, 0), rows[i].synchronous);
		db_finish(stmt, DB_DONE);
		db_rollback(tx);
		db_close(db);
	}
}

/* Opening it beside other processes changes nothing for them, not for a moment. */
static void
test_beside_others(void **state)
{
	struct db *first, *second;
	char *said;

	(void)state;
	mapping_fails = true;
	first = open_logged(&said);
	free(said);
	for (int i = 0; i < 3; i++) {
		struct db_tx *tx = db_begin(first, DB_READ);
		struct db_stmt *stmt = db_prepare(tx, "SELECT count(*) FROM threads");

		/* A reader would keep the journal from being changed. */
		assert_int_equal(db_step(stmt), DB_ROW);
		second = open_logged(&said);
		free(said);
		db_finish(stmt, DB_DONE);
		assert_int_equal(db_commit(tx), 0);
		add_thread(second);
		db_close(second);
		add_thread(first);
	}
	check_int("threads", threads_in(first), 6);
	db_close(first);
}

/* No transaction begins, and the log says so, until the file is back. */
static void
test_gone(void **state)
{
	char *away = path_in(folder, "away.db");
	struct db *db = open_db();

	(void)state;
	add_thread(db);
	for (int mode = DB_READ; mode <= DB_WRITE; mode++) {
		struct capture capture;
		struct db_tx *tx;
		char *said;

		assert_int_equal(rename(path, away), 0);
		capture_start(&capture);
		tx = db_begin(db, (enum db_mode)mode);
		said = capture_end(&capture);
		assert_null(tx);
		check_has("said", said, "test.db was moved, deleted or emptied");
		free(said);
		/* Another file in its place does not count. */
		file_write(path, "another");
		capture_start(&capture);
		tx = db_begin(db, (enum db_mode)mode);
		free(capture_end(&capture));
		assert_null(tx);
		assert_int_equal(rename(away, path), 0);
		check_int("threads", threads_in(db), 1);
	}
	add_thread(db);
	db_close(db);
	free(away);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_kind_unknown, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_no_shared_memory, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_synchronous, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_beside_others, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("db_place", tests, NULL, NULL);
}
