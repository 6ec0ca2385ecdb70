/* The growing buffer: its maximum, what a failure leaves, and that it is always a string. */
#include "support.h"

#include "text/buf.h"

struct row {
	const char *name;
	size_t max;
	const char *pieces[4];
	const char *text; /* NULL: nothing was ever appended */
	bool failed;
};

static const struct row rows[] = {
    {"nothing", 4, {NULL}, NULL, false},
    {"an empty piece", 4, {""}, "", false},
    {"an empty piece, no room at all", 0, {""}, "", false},
    {"one byte, no room at all", 0, {"a"}, NULL, true},
    {"up to the maximum", 4, {"ab", "cd"}, "abcd", false},
    {"past it", 4, {"ab", "cde"}, "ab", true},
    {"past it at once", 4, {"abcde"}, NULL, true},
    {"nothing goes in after a failure", 4, {"ab", "cde", "f"}, "ab", true},
    {"not even nothing", 4, {"ab", "cde", ""}, "ab", true},
};

static void
check_row(const struct row *row, int (*append)(struct buf *, const char *))
{
	struct buf buf = BUF_INIT(row->max);
	bool failed = false;
	char *taken;

	for (size_t i = 0; i < COUNT(row->pieces) && row->pieces[i]; i++) {
		int result = append(&buf, row->pieces[i]);

		/* Once failed, always failed. */
		check_int(row->name, result == -1, buf.failed);
		assert_true(result == -1 || !failed);
		failed = result == -1;
	}
	check_int(row->name, buf.failed, row->failed);
	check_text(row->name, buf.data, row->text);
	check_int(row->name, (long long)buf.len, row->text ? (long long)strlen(row->text) : 0);
	taken = buf_take(&buf);
	check_text(row->name, taken, row->failed ? NULL : row->text ? row->text : "");
	free(taken);
	/* After take or free it is a new buffer with the old maximum. */
	check_text(row->name, buf.data, NULL);
	check_int(row->name, (long long)buf.max, (long long)row->max);
	check_int(row->name, append(&buf, ""), 0);
	buf_free(&buf);
}

static int
append_bytes(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

static int
append_formatted(struct buf *buf, const char *text)
{
	return buf_printf(buf, "%s", text);
}

static void
test_maximum(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(&rows[i], append_bytes);
		check_row(&rows[i], buf_puts);
		check_row(&rows[i], append_formatted);
	}
}

static void
test_drop(void **state)
{
	static const struct {
		const char *text;
		size_t drop;
		const char *left;
	} drops[] = {
	    {"abcd", 0, "abcd"},
	    {"abcd", 1, "bcd"},
	    {"abcd", 3, "d"},
	    {"abcd", 4, ""},
	    {"abcd", 5, ""},
	    {"abcd", (size_t)-1, ""},
	    {"", 1, ""},
	};
	struct buf none = BUF_INIT(8);

	(void)state;
	for (size_t i = 0; i < COUNT(drops); i++) {
		struct buf buf = BUF_INIT(8);

		buf_puts(&buf, drops[i].text);
		buf_drop(&buf, drops[i].drop);
		check_text(drops[i].text, buf.data, drops[i].left);
		check_int(drops[i].text, (long long)buf.len, (long long)strlen(drops[i].left));
		/* Dropped bytes make room. */
		check_int(drops[i].text, buf_puts(&buf, "efgh"), 0);
		buf_free(&buf);
	}
	buf_drop(&none, 1);
	assert_null(none.data);
}

/* Through all its doublings, byte by byte, with bytes that are no text. */
static void
test_growth(void **state)
{
	enum { LEN = 100000 };
	struct buf buf = BUF_INIT(LEN);

	(void)state;
	for (size_t i = 0; i < LEN; i++) {
		unsigned char byte = (unsigned char)(i % 251);

		if (buf_append(&buf, &byte, 1) < 0 || buf.len != i + 1 || buf.data[buf.len] != '\0')
			fail_msg("at %zu", i);
	}
	for (size_t i = 0; i < LEN; i++)
		if ((unsigned char)buf.data[i] != i % 251)
			fail_msg("at %zu", i);
	assert_int_equal(buf_append(&buf, "x", 1), -1);
	assert_int_equal(buf.len, LEN);
	buf_free(&buf);
}

/* A length near the largest number must not wrap around. */
static void
test_huge_len(void **state)
{
	struct buf buf = BUF_INIT((size_t)-1 / 2);

	(void)state;
	assert_int_equal(buf_puts(&buf, "abc"), 0);
	assert_int_equal(buf_append(&buf, "", (size_t)-1), -1);
	assert_true(buf.failed);
	assert_string_equal(buf.data, "abc");
	buf_free(&buf);
	assert_false(buf.failed);
}

static void
test_printf(void **state)
{
	struct buf buf = BUF_INIT(2000);

	(void)state;
	assert_int_equal(buf_printf(&buf, "%d-%s", 42, "x"), 0);
	assert_int_equal(buf_printf(&buf, "%c%1000d", '|', 7), 0);
	assert_int_equal(buf.len, 4 + 1 + 1000);
	assert_memory_equal(buf.data, "42-x|   ", 8);
	assert_string_equal(buf.data + buf.len - 3, "  7");
	assert_int_equal(buf_printf(&buf, "%1000d", 7), -1);
	assert_int_equal(buf.len, 4 + 1 + 1000);
	buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_maximum),
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_huge_len),
	    cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
