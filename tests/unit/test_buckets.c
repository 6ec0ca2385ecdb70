/* Token buckets: how much they hold and when they are full again, alone and with many who take. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "db/buckets.h"
#include "util/clock.h"

static char *folder, *path;
static struct db *db;
static long long now_ms; /* the clock that the buckets see */

/* Instead of the program's own. */
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
	char error[DB_ERROR_SIZE];
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
	return (struct bucket){.name = name, .capacity = capacity, .fill_s = 60, .units = 1};
}

/* 0: taken; else the seconds to wait. */
static long long
take(struct bucket bucket)
{
	long long wait_s = 0;
	int empty;
	enum buckets_result result = buckets_take(db, &bucket, 1, &empty, &wait_s);

	assert_int_not_equal(result, BUCKETS_FAILED);
	return result == BUCKETS_TAKEN ? 0 : wait_s;
}

static void
what_a_minute_holds(void **state)
{
	static const struct {
		const char *name;
		long long later_ms;
		long long capacity;
		int taken;      /* so many, and the next is refused */
		long long wait; /* for so many seconds */
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
	    {"by a day", -86400000, 30, 30, 2},
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

static void
all_or_none(void **state)
{
	struct bucket buckets[2] = {a_minute("a", 2), a_minute("b", 1)};
	long long wait_s;
	int empty;

	(void)state;
	assert_int_equal(buckets_take(db, buckets, 2, &empty, &wait_s), BUCKETS_TAKEN);
	assert_int_equal(buckets_take(db, buckets, 2, &empty, &wait_s), BUCKETS_EMPTY);
	assert_int_equal(empty, 1);
	assert_int_equal(wait_s, 60);
	/* Of the first nothing was taken then. */
	assert_int_equal(take(a_minute("a", 2)), 0);
	assert_int_equal(take(a_minute("a", 2)), 30);
}

static struct bucket
a_day(long long units)
{
	return (struct bucket){
	    .name = "tokens", .capacity = 86400, .fill_s = 86400, .units = units, .settled = true};
}

/* Takes, and the use costs so many; what was taken first. */
static long long
use(long long units, long long cost)
{
	struct bucket bucket = a_day(units);
	long long wait_s;
	int empty;

	assert_int_equal(buckets_take(db, &bucket, 1, &empty, &wait_s), BUCKETS_TAKEN);
	bucket_settle(db, &bucket, cost);
	return bucket.taken;
}

static void
what_a_use_costs_is_known_afterwards(void **state)
{
	(void)state;
	/* A token a second: an hour's worth, all but the last. */
	assert_int_equal(use(10, 86400 - 3600), 10);
	assert_int_equal(use(10, 3599), 86400 - 3600);
	assert_int_equal(take(a_day(1)), 0);
	/* It owed, and what uses take in the mean was taken. */
	assert_true(take(a_day(1)) > 60000);
}

static void
it_pays_back_what_was_taken_too_much(void **state)
{
	(void)state;
	assert_int_equal(use(50000, 100), 50000);
	assert_int_equal(use(86000, 100), 86000);
	/* Nothing came of it: that is not what a use costs. */
	assert_int_equal(use(1, 0), 100);
	assert_int_equal(use(1, 86199), 100);
	assert_int_equal(take(a_day(1)), 0);
}

static void
who_come_at_once_do_not_take_much_more_than_there_is(void **state)
{
	int taken = 0;

	(void)state;
	use(1, 10000);
	while (taken < 100 && take(a_day(1)) == 0)
		taken++;
	assert_int_equal(taken, 8);
}

static void
what_a_use_has_taken_does_not_count_against_it(void **state)
{
	struct bucket mine = a_day(86400), more = a_day(100);

	(void)state;
	assert_int_equal(take(mine), 0);
	assert_true(take(more) > 0);
	more.taken_before = 86400;
	assert_int_equal(take(more), 0);
	more.taken_before = 50;
	assert_int_equal(take(more), 51);
}

/* It would be paid back, and who takes much would have it for nothing. */
static void
it_does_not_say_that_it_gave_what_it_cannot(void **state)
{
	struct bucket bucket = a_day(86400);
	long long wait_s;
	int empty;

	(void)state;
	bucket.settled = false;
	for (int i = 0; i < 3; i++) {
		bucket.taken_before = i * 86400;
		assert_int_equal(buckets_take(db, &bucket, 1, &empty, &wait_s), BUCKETS_TAKEN);
		assert_int_equal(bucket.taken, i < 2 ? 86400 : 0);
	}
}

static void
it_owes_no_more_than_it_holds(void **state)
{
	(void)state;
	use(1, 1000000000);
	assert_int_equal(take(a_day(1)), 86401);
	now_ms += 86401000;
	assert_int_equal(take(a_day(1)), 0);
}

/* More than it can owe is not taken, and so is not paid back either. */
static void
a_huge_use_that_came_to_nothing_changes_nothing(void **state)
{
	(void)state;
	use(1, 80000);
	assert_true(use(10000000, 0) <= 86400);
	use(1, 6399);
	assert_int_equal(take(a_day(1)), 0);
	assert_true(take(a_day(1)) > 0);
}

static void
full_ones_are_not_kept(void **state)
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
survives_its_process(void **state)
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
	    cmocka_unit_test_setup_teardown(what_a_minute_holds, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(each_name_has_its_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(all_or_none, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_a_use_costs_is_known_afterwards, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		it_pays_back_what_was_taken_too_much, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_come_at_once_do_not_take_much_more_than_there_is, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_a_use_has_taken_does_not_count_against_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		it_does_not_say_that_it_gave_what_it_cannot, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(it_owes_no_more_than_it_holds, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_huge_use_that_came_to_nothing_changes_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(full_ones_are_not_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(survives_its_process, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(processes_count_together, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("buckets", tests, NULL, NULL);
}
