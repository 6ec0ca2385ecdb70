/*
 * What is reserved for a question, what it finally costs, and who settles abandoned reservations.
 */
#include "support.h"

#include "os/clock.h"
#include "records/budget.h"
#include "records/token_bucket.h"

enum { DAY_TOKENS = 86400 };

static char *folder, *path;
static struct db *db;
static struct budgets budgets;
static long long now_s;

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
	return now_s;
}

long long
clock_unix_ns(void)
{
	return now_s * 1000000000;
}

static int
set_up(void **state)
{
	char error[ERROR_SIZE];

	(void)state;
	folder = folder_new();
	path = path_in(folder, "test.db");
	db = db_open(path, true, error);
	assert_non_null(db);
	/* A token a second. */
	budgets = (struct budgets){.db = db, .gateway = DAY_TOKENS, .names = DAY_TOKENS};
	now_s = 1700000000;
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

/* The bucket's level; negative: a debt. */
static long long
left(void)
{
	const struct bucket bucket = {
	    .name = "tokens gateway", .capacity = DAY_TOKENS, .fill_s = DAY_TOKENS};
	struct db_tx *tx = db_begin(db, DB_READ);
	struct bucket_level level;

	assert_true(tx && bucket_read(tx, &bucket, 1, &level));
	db_rollback(tx);
	return level.left;
}

struct row {
	const char *name;
	long long bytes, answer_max;
	long long before; /* tokens spent before */
	enum budget_result result;
	long long answer, tokens; /* the answer's new limit, and all that is reserved */
};

static const struct row rows[] = {
    {"a short one", 100, 0, 0, BUDGET_RESERVED, 0, 51 + BUDGET_ANSWER},
    {"one with a limit", 100, 50, 0, BUDGET_RESERVED, 0, 51 + 50},
    {"one with a limit that is larger", 100, 70000, 0, BUDGET_RESERVED, 0, 51 + 70000},
    {"just enough", 100, 0, DAY_TOKENS - BUDGET_ANSWER - 51, BUDGET_RESERVED, 0,
	BUDGET_ANSWER + 51},
    {"a token less", 100, 0, DAY_TOKENS - BUDGET_ANSWER - 50, BUDGET_RESERVED, BUDGET_ANSWER - 1,
	BUDGET_ANSWER + 50},
    {"the least", 100, 0, DAY_TOKENS - BUDGET_ANSWER_MIN - 51, BUDGET_RESERVED, BUDGET_ANSWER_MIN,
	BUDGET_ANSWER_MIN + 51},
    {"less", 100, 0, DAY_TOKENS - BUDGET_ANSWER_MIN - 50, BUDGET_EMPTY, 0, 0},
    {"less, for a long context", 40000, 0, DAY_TOKENS - 22000, BUDGET_EMPTY, 0, 0},
    {"a context beyond a day's", 1000000, 0, 0, BUDGET_RESERVED, BUDGET_ANSWER_MIN, DAY_TOKENS},
    {"the same, and a token is gone", 1000000, 0, 1, BUDGET_EMPTY, 0, 0},
    {"nothing", 1, 1, DAY_TOKENS, BUDGET_EMPTY, 0, 0},
};

static enum budget_result
take(const char *id, long long bytes, long long answer_max, long long *answer, long long *wait_s)
{
	const struct budget_question question = {
	    .id = id, .bytes = bytes, .answer_max = answer_max, .timeout_s = 600};

	return budget_take(&budgets, "gateway", &question, answer, wait_s);
}

/* Spends tokens. */
static void
spend(long long tokens)
{
	long long answer, wait_s;

	assert_int_equal(take("spent", 1, 1, &answer, &wait_s), BUDGET_RESERVED);
	budget_give(&budgets, "spent", tokens, 0, 0);
}

static void
reservations_are_as_large_as_expected(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		long long answer, wait_s;

		set_up(state);
		if (row->before)
			spend(row->before);
		check_int(row->name, take("a", row->bytes, row->answer_max, &answer, &wait_s),
		    row->result);
		check_int(row->name, answer, row->answer);
		check_int(row->name, wait_s > 0, row->result == BUDGET_EMPTY);
		check_int(row->name, DAY_TOKENS - row->before - left(), row->tokens);
		/* Settled with a cost of 0 everything is returned, and only once. */
		budget_give(&budgets, "a", 0, 0, 0);
		budget_give(&budgets, "a", 0, 0, 0);
		check_int(row->name, left(), DAY_TOKENS - row->before);
		tear_down(state);
	}
}

static void
questions_cost_what_is_reported(void **state)
{
	static const struct {
		const char *name;
		long long cost, said, seconds;
		long long spent;
	} table[] = {
	    {"as it was said", 1234, 0, 0, 1234},
	    {"nothing", 0, 0, 0, 0},
	    {"more than was reserved", 20000, 0, 0, 20000},
	    {"more than there is", 3 * DAY_TOKENS, 0, 0, 3 * DAY_TOKENS},
	    {"more than can be", INT64_MAX / 2, 0, 0, 20000000},
	    {"not said, at once", -1, 0, 0, 501},
	    {"not said, by its words", -1, 300, 1, 501 + 300},
	    {"not said, by its time", -1, 300, 5, 501 + 5 * BUDGET_TOKENS_A_SECOND},
	    {"not said, and long", -1, 0, 600, 501 + BUDGET_ANSWER},
	    {"not said, since it was reserved", -1, 0, -1, 501 + 7 * BUDGET_TOKENS_A_SECOND},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		long long answer, wait_s;

		set_up(state);
		check_int(table[i].name, take("a", 1000, 0, &answer, &wait_s), BUDGET_RESERVED);
		now_s += 7;
		budget_give(&budgets, "a", table[i].cost, table[i].said, table[i].seconds);
		/* What 7 seconds bring back, if that much was missing. */
		check_int(table[i].name, DAY_TOKENS - left(),
		    table[i].spent > 7 ? table[i].spent - 7 : 0);
		tear_down(state);
	}
}

static void
each_name_has_its_own(void **state)
{
	const struct budget_question question = {.id = "x", .bytes = 1, .timeout_s = 600};
	long long answer, wait_s;

	(void)state;
	spend(DAY_TOKENS);
	assert_int_equal(budget_look(&budgets, "gateway", &wait_s), BUDGET_EMPTY);
	assert_int_equal(budget_look(&budgets, "alice", &wait_s), BUDGET_RESERVED);
	assert_int_equal(
	    budget_take(&budgets, "alice", &question, &answer, &wait_s), BUDGET_RESERVED);
	assert_int_equal(budget_look(&budgets, "bob", &wait_s), BUDGET_RESERVED);
	/* Without a bound nothing is counted. */
	budgets.gateway = 0;
	assert_int_equal(take("y", 1, 0, &answer, &wait_s), BUDGET_RESERVED);
	assert_int_equal(answer, 0);
}

static void
held_tokens_mean_a_short_wait(void **state)
{
	long long answer, wait_s;

	(void)state;
	assert_int_equal(take("a", 1, 80000, &answer, &wait_s), BUDGET_RESERVED);
	assert_int_equal(take("b", 1, 0, &answer, &wait_s), BUDGET_RESERVED);
	assert_true(answer > 6000 && answer < 6400);
	assert_int_equal(take("c", 1, 0, &answer, &wait_s), BUDGET_HELD);
	assert_int_equal(wait_s, 10);
	budget_give(&budgets, "a", 80000, 0, 0);
	budget_give(&budgets, "b", 6000, 0, 0);
	assert_int_equal(take("c", 1, 0, &answer, &wait_s), BUDGET_EMPTY);
	assert_true(wait_s > 1000);
}

/* As if their process had died. */
static void
overdue_reservations_are_settled(void **state)
{
	long long answer, wait_s;

	(void)state;
	assert_int_equal(take("a", 2, 80000, &answer, &wait_s), BUDGET_RESERVED);
	now_s += 600;
	assert_int_equal(take("b", 1, 0, &answer, &wait_s), BUDGET_RESERVED);
	budget_give(&budgets, "b", 0, 0, 0);
	now_s += 61;
	/* 661 seconds of 200 tokens exceed the reservation, so all of it is charged. */
	assert_int_equal(take("c", 1, 0, &answer, &wait_s), BUDGET_RESERVED);
	assert_true(answer > 0);
	/* Settling it once more changes nothing. */
	budget_give(&budgets, "a", 0, 0, 0);
	assert_int_equal(take("d", 1, 0, &answer, &wait_s), BUDGET_HELD);
}

/* Otherwise a caller that only looks would be told for hours to come back soon. */
static void
looking_settles_overdue_reservations(void **state)
{
	long long answer, wait_s;

	(void)state;
	assert_int_equal(take("a", 1, 86000, &answer, &wait_s), BUDGET_RESERVED);
	assert_int_equal(budget_look(&budgets, "gateway", &wait_s), BUDGET_HELD);
	now_s += 661;
	assert_int_equal(budget_look(&budgets, "gateway", &wait_s), BUDGET_EMPTY);
	assert_true(wait_s > 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reservations_are_as_large_as_expected),
	    cmocka_unit_test(questions_cost_what_is_reported),
	    cmocka_unit_test_setup_teardown(each_name_has_its_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(held_tokens_mean_a_short_wait, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(overdue_reservations_are_settled, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		looking_settles_overdue_reservations, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
