/* Ids: their form, and that they differ. */
#include "support.h"

#include "os/id.h"
#include "os/interrupt.h"

enum { RANDOM_LEN = 24, TIME_LEN = 7, IDS = 8000 };

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
test_form(void **state)
{
	static const char *const prefixes[] = {
	    "", "a", "req_", "thread_", "12345678901234567890123"};
	char id[ID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		memset(id, '!', sizeof id);
		id_new(id, prefixes[i]);
		check_int(prefixes[i], (long long)strlen(id),
		    (long long)strlen(prefixes[i]) + RANDOM_LEN);
		check_int(prefixes[i], id_has_form(id, prefixes[i]), true);
		check_int(prefixes[i],
		    (long long)strspn(id + strlen(prefixes[i]),
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		    RANDOM_LEN);
	}
}

/* No id twice, and each position has each of the 62 letters about equally often. */
static void
test_random(void **state)
{
	static char ids[IDS][ID_SIZE];
	unsigned counts[256] = {0};

	(void)state;
	for (size_t i = 0; i < IDS; i++) {
		id_new(ids[i], "x_");
		for (const char *at = ids[i] + 2; *at; at++)
			counts[(unsigned char)*at]++;
	}
	qsort(ids, IDS, sizeof ids[0], compare);
	for (size_t i = 1; i < IDS; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	/*
	 * 3097 are expected, with a standard deviation of 55. With bytes just taken modulo 62,
	 * eight letters would come 3750 times.
	 */
	for (const char *at = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; *at;
	     at++)
		assert_in_range(counts[(unsigned char)*at], 3097 - 400, 3097 + 400);
}

/* Later ids sort later, and none comes twice. */
static void
test_in_order(void **state)
{
	static char ids[IDS][ID_SIZE];
	size_t steps = 0;

	(void)state;
	for (size_t i = 0; i < IDS; i++) {
		id_new_in_order(ids[i], "x_");
		assert_int_equal(strlen(ids[i]), 2 + RANDOM_LEN);
		if (i > 0)
			assert_true(memcmp(ids[i - 1], ids[i], 2 + TIME_LEN) <= 0);
		/* Several in each millisecond. */
		if (i % 100 == 0)
			interrupt_sleep(NULL, 1);
		steps += i > 0 && memcmp(ids[i - 1], ids[i], 2 + TIME_LEN) < 0;
	}
	assert_true(steps >= IDS / 100 - 1);
	qsort(ids, IDS, sizeof ids[0], compare);
	for (size_t i = 1; i < IDS; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

static void
test_has_form(void **state)
{
	static const struct {
		const char *id, *prefix;
		bool has;
	} rows[] = {
	    {"thread_a", "thread_", true},
	    {"thread_AZaz09_-", "thread_", true},
	    {"a", "", true},
	    {"thread_", "thread_", false},
	    {"", "", false},
	    {"", "thread_", false},
	    {"thread", "thread_", false},
	    {"Thread_a", "thread_", false},
	    {"run_a", "thread_", false},
	    {" thread_a", "thread_", false},
	    {"thread_a ", "thread_", false},
	    {"thread_a/b", "thread_", false},
	    {"thread_..", "thread_", false},
	    {"thread_a?b", "thread_", false},
	    {"thread_a%41", "thread_", false},
	    {"thread_a\n", "thread_", false},
	    {"thread_\xc3\xa9", "thread_", false},
	};
	char id[160];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].id, id_has_form(rows[i].id, rows[i].prefix), rows[i].has);
	memset(id, 'a', sizeof id);
	id[128] = '\0';
	assert_true(id_has_form(id, "a"));
	id[128] = 'a';
	id[129] = '\0';
	assert_false(id_has_form(id, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_in_order),
	    cmocka_unit_test(test_has_form),
	};

	return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
