/* Token buckets: their capacity and refilling, with one user and with many. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "records/token_bucket.h"

static char *folder, *path;
static struct db *db;
static long long now_ms; /* the clock that the buckets see */

/* Replaces the program's clock. */
long long
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

long long
clock_unix(void)
{
	return now_ms / 1000;
}

long long
clock_unix_ns(void)
{
	return now_ms * 1000000;
}

static struct db *
open_db(void)
{
	char error[ERROR_SIZE];
	struct db *opened = db_open(path, true, error);

	if (!opened)
		fail_msg("%s", error);
	return opened;
}

static int
set_up(void **state)
{
	(void)state;
	folder = folder_new();
	path = path_in(folder, "test.db");
	db = open_db();
	now_ms = 1700000000000;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	db_close(db);
	free(path);
	folder_remove(folder);
	return 0;
}

static long long
rows(void)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	struct db_stmt *stmt = db_prepare(tx, "SELECT count(*) FROM buckets");
	long long count = db_step(stmt) == DB_ROW ? db_int(stmt, 0) : -1;

	db_finish(stmt, DB_DONE);
	db_rollback(tx);
	return count;
}

static struct bucket
a_minute(const char *name, long long capacity)
{
	return (struct bucket){.name = name, .capacity = capacity, .fill_s = 60};
}

/* 0: taken; otherwise the seconds to wait. */
static long long
take(struct bucket bucket)
{
	long long wait_s = 0;
	enum bucket_result result = bucket_take_one(db, &bucket, &wait_s);

	assert_int_not_equal(result, BUCKET_FAILED);
	return result == BUCKET_TAKEN ? 0 : wait_s;
}

static void
a_bucket_refills_over_its_time(void **state)
{
	static const struct {
		const char *name;
		long long later_ms;
		long long capacity;
		int taken;      /* how many can be taken before one is refused */
		long long wait; /* the wait then */
	} table[] = {
	    {"thirty at once", 0, 30, 30, 2},
	    {"none the next moment", 0, 30, 0, 2},
	    {"one after two seconds", 2000, 30, 1, 2},
	    {"not before they are over", 1999, 30, 0, 1},
	    {"eleven after twenty-two", 20001, 30, 11, 2},
	    {"no more than it holds", 3600000, 30, 30, 2},
	    {"seven do not divide a minute", 3600000, 7, 7, 9},
	    {"one", 3600000, 1, 1, 60},
	    {"a clock that was set back", -1000, 30, 0, 3},
	    {"by an hour, which forgives nothing", -3600000, 30, 0, 2},
	    {"many", 3600000, 1000000, 500, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		now_ms += table[i].later_ms;
		for (int j = 0; j < table[i].taken; j++)
			check_int(table[i].name, take(a_minute("a", table[i].capacity)), 0);
		check_int(table[i].name, take(a_minute("a", table[i].capacity)), table[i].wait);
	}
}

static void
each_name_has_its_own(void **state)
{
	(void)state;
	assert_int_equal(take(a_minute("a", 1)), 0);
	assert_int_equal(take(a_minute("b", 1)), 0);
	assert_int_equal(take(a_minute("a", 1)), 60);
}

enum { HOUR = 3600, DAY = 24 * HOUR };

/* A unit a second. */
static const struct bucket day = {.name = "tokens", .capacity = DAY, .fill_s = DAY};

/* Takes units; returns what is left, and in *wait_s when there is one again. */
static long long
use(long long units, long long *wait_s)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct bucket_level level;

	assert_true(tx && bucket_take(tx, &day, units) && bucket_read(tx, &day, 1, &level));
	assert_int_equal(db_commit(tx), 0);
	if (level.set_back)
		bucket_mend(db, &day);
	*wait_s = level.wait_s;
	return level.left;
}

static void
a_debt_is_paid_off_first(void **state)
{
	static const struct {
		const char *name;
		long long later_s, units;
		long long left, wait_s;
	} table[] = {
	    {"all but an hour's", 0, DAY - HOUR, HOUR, 0},
	    {"more than there is", 0, 3 * DAY, HOUR - 3 * DAY, 3 * DAY - HOUR + 1},
	    {"a day later", DAY, 0, HOUR - 2 * DAY, 2 * DAY - HOUR + 1},
	    {"the clock set back by a month", -30 * DAY, 0, HOUR - 2 * DAY, 2 * DAY - HOUR + 1},
	    {"and a minute", -60, 0, HOUR - 2 * DAY - 60, 2 * DAY - HOUR + 61},
	    {"which it gets back", 60, 0, HOUR - 2 * DAY, 2 * DAY - HOUR + 1},
	    {"some came to nothing", 0, -DAY, HOUR - DAY, DAY - HOUR + 1},
	    {"more than was taken", 0, -9 * DAY, DAY, 0},
	    {"an absurd use", 0, INT64_MAX / 2, DAY - 50LL * 365 * DAY,
		49LL * 365 * DAY + 364 * DAY + 1},
	};
	long long wait_s;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		now_ms += table[i].later_s * 1000;
		check_int(table[i].name, use(table[i].units, &wait_s), table[i].left);
		check_int(table[i].name, wait_s, table[i].wait_s);
	}
}

static void
full_buckets_have_no_row(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		assert_int_equal(take(a_minute(name, 30)), 0);
	}
	assert_int_equal(rows(), 100);
	now_ms += 3000;
	for (int i = 0; i < 20; i++)
		assert_int_equal(take(a_minute("one", 30)), 0);
	assert_int_equal(rows(), 1);
}

static void
a_bucket_survives_its_process(void **state)
{
	(void)state;
	assert_int_equal(take(a_minute("a", 1)), 0);
	db_close(db);
	db = open_db();
	assert_int_equal(take(a_minute("a", 1)), 60);
}

enum { PROCESSES = 4, EACH = 40, THERE = 90 };

static void
processes_count_together(void **state)
{
	int taken = 0;

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() != 0)
			continue;
		db = open_db();
		for (int j = 0; j < EACH; j++)
			taken += take(a_minute("a", THERE)) == 0;
		_exit(taken);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(wait(&status) > 0 && WIFEXITED(status));
		taken += WEXITSTATUS(status);
	}
	assert_int_equal(taken, THERE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_bucket_refills_over_its_time, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(each_name_has_its_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_debt_is_paid_off_first, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(full_buckets_have_no_row, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_bucket_survives_its_process, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(processes_count_together, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("buckets", tests, NULL, NULL);
}
