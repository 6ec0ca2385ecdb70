/* Text from outside: UTF-8, blanks, percent-encoding, numbers. */
#include "support.h"

#include <limits.h>

#include "text/text.h"

static void
test_utf8_copy(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *copy;
	} rows[] = {
	    {"", 1, ""},
	    {"", 9, ""},
	    {"ab", 9, "ab"},
	    {"ab", 3, "ab"},
	    {"ab", 2, "a"},
	    {"ab", 1, ""},
	    {"a\xe2\x82\xac", 5, "a\xe2\x82\xac"},
	    {"a\xe2\x82\xac", 4, "a"},
	    {"\xff", 4, "\xef\xbf\xbd"},
	    {"\xff", 3, ""},
	    {"a\xe2\x82", 9, "a\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *copy = malloc(rows[i].size), row[32];

		assert_non_null(copy);
		snprintf(row, sizeof row, "copy row %zu", i);
		utf8_copy(copy, rows[i].size, rows[i].text);
		check_text(row, copy, rows[i].copy);
		free(copy);
	}
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *text;
		size_t first; /* length of the first sequence */
		bool valid;
	} rows[] = {
	    {"a", 1, true},
	    {"\x7f", 1, true},
	    {"\xc3\xa9z", 2, true},
	    {"\xe2\x82\xac", 3, true},
	    {"\xf0\x9f\x98\x80", 4, true},
	    {"\xf4\x8f\xbf\xbf", 4, true},  /* U+10FFFF */
	    {"\xee\x80\x80", 3, true},      /* U+E000, after the surrogates */
	    {"\xef\xbf\xbf", 3, true},      /* U+FFFF */
	    {"\x80", 0, false},             /* a continuation without its start */
	    {"\xc0\x80", 0, false},         /* NUL, overlong */
	    {"\xc1\xbf", 0, false},         /* overlong */
	    {"\xe0\x9f\xbf", 0, false},     /* overlong */
	    {"\xf0\x8f\xbf\xbf", 0, false}, /* overlong */
	    {"\xed\xa0\x80", 0, false},     /* a surrogate */
	    {"\xed\xbf\xbf", 0, false},     /* a surrogate */
	    {"\xf4\x90\x80\x80", 0, false}, /* past U+10FFFF */
	    {"\xf5\x80\x80\x80", 0, false}, /* past it */
	    {"\xff", 0, false},
	    {"\xc3", 0, false}, /* cut */
	    {"\xe2\x82", 0, false},
	    {"\xf0\x9f\x98", 0, false},
	    {"\xc3z", 0, false},
	    {"\xe2\x82z", 0, false},
	    {"\xf0\x9f\x98z", 0, false},
	    {"\xf0\x9fz\x80", 0, false},
	    {"ab\xe2\x82\xac\xff", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *text = rows[i].text;
		char row[32];

		snprintf(row, sizeof row, "UTF-8 row %zu", i);
		check_int(row,
		    (long long)utf8_sequence_len((const unsigned char *)text, strlen(text)),
		    (long long)rows[i].first);
		check_int(row, utf8_valid(text, strlen(text)), rows[i].valid);
	}
	assert_int_equal(utf8_sequence_len((const unsigned char *)"", 0), 0);
	assert_true(utf8_valid("", 0));
	/* A NUL is a character like any other. */
	assert_true(utf8_valid("a\0b", 3));
	assert_false(utf8_valid("a\0\xff", 3));
}

/* There are as many well-formed sequences of each length as characters that need it. */
static void
test_utf8_all(void **state)
{
	unsigned two = 0, three = 0, four = 0;

	(void)state;
	for (unsigned a = 0x80; a <= 0xff; a++)
		for (unsigned b = 0; b <= 0xff; b++) {
			unsigned char at[4] = {(unsigned char)a, (unsigned char)b, 0x80, 0xbf};

			two += utf8_sequence_len(at, 2) == 2;
			three += utf8_sequence_len(at, 3) == 3;
			four += utf8_sequence_len(at, 4) == 4;
		}
	/* The third and fourth byte are fixed; they have 64 values each. */
	assert_int_equal(two, 0x800 - 0x80);
	assert_int_equal(three * 64, 0x10000 - 0x800 - (0xe000 - 0xd800));
	assert_int_equal(four * 64 * 64, 0x110000 - 0x10000);
}

static void
test_chars(void **state)
{
	(void)state;
	assert_int_equal(utf8_chars(""), 0);
	assert_int_equal(utf8_chars("abc"), 3);
	assert_int_equal(utf8_chars("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!"), 4);
}

static void
test_blank(void **state)
{
	static const struct {
		const char *text;
		bool blank;
	} rows[] = {
	    {"", true},
	    {" \t\n\v\f\r", true},
	    {"\xc2\x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000", true},
	    {"\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", true},
	    {"\ufeff", true},
	    {" a ", false},
	    {"   .", false},
	    {"\u00a1", false},
	    {"\u2010", false},
	    {"\u200c", false},
	    {"\u2060", false},
	    {"\x01", false},
	    {"\xe2\x80", false},
	    {" \xe2", false},
	    {"\xc2", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].text, text_is_blank(rows[i].text), rows[i].blank);
}

static void
test_percent_decode(void **state)
{
	static const struct {
		const char *text, *decoded; /* NULL: broken */
	} rows[] = {
	    {"", ""},
	    {"/a/b", "/a/b"},
	    {"a%20b", "a b"},
	    {"%2F%2f", "//"},
	    {"%C3%A9", "\xc3\xa9"},
	    {"%c3%a9", "\xc3\xa9"},
	    {"%ff", "\xff"},
	    {"a+b", "a+b"},
	    {"%2541", "%41"}, /* once, not twice */
	    {"%25", "%"},
	    {"%01", "\x01"},
	    {"%", NULL},
	    {"%4", NULL},
	    {"a%", NULL},
	    {"a%4", NULL},
	    {"%%41", NULL},
	    {"%4g", NULL},
	    {"%g4", NULL},
	    {"%-1", NULL},
	    {"% 1", NULL},
	    {"%0x41", NULL},
	    {"%00", NULL},
	    {"a%00b", NULL},
	};
	char *decoded;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		decoded = percent_decode(rows[i].text, strlen(rows[i].text));
		check_text(rows[i].text, decoded, rows[i].decoded);
		free(decoded);
	}
	/*
	 * Only the given length counts: no byte beyond it is read, nor a sequence that crosses it.
	 */
	decoded = percent_decode("abc", 2);
	assert_string_equal(decoded, "ab");
	free(decoded);
	assert_null(percent_decode("%41", 2));
	assert_null(percent_decode("%41", 1));
}

static void
test_number(void **state)
{
	static const struct {
		const char *text;
		long long min, max, value; /* value -1: refused */
	} rows[] = {
	    {"0", 0, 10, 0}, {"10", 0, 10, 10}, {"007", 0, 10, 7}, {"11", 0, 10, -1},
	    {"2", 3, 10, -1}, {"3", 3, 10, 3}, {"9223372036854775807", 0, LLONG_MAX, LLONG_MAX},
	    {"9223372036854775808", 0, LLONG_MAX, -1},
	    {"99999999999999999999999999", 0, LLONG_MAX, -1}, {"", 0, 10, -1}, {" 1", 0, 10, -1},
	    {"1 ", 0, 10, -1}, {"+1", 0, 10, -1}, {"-1", -10, 10, -1}, {"-0", 0, 10, -1},
	    {"1.0", 0, 10, -1}, {"1e1", 0, 10, -1}, {"0x1", 0, 10, -1}, {"1,1", 0, 100, -1},
	    {"\xd9\xa1", 0, 10, -1}, /* an Arabic digit */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		long long value = -1;
		int result = parse_number(rows[i].text, rows[i].min, rows[i].max, &value);

		check_int(rows[i].text, result, rows[i].value < 0 ? -1 : 0);
		check_int(rows[i].text, value, rows[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_utf8_copy),
	    cmocka_unit_test(test_utf8_all),
	    cmocka_unit_test(test_chars),
	    cmocka_unit_test(test_blank),
	    cmocka_unit_test(test_percent_decode),
	    cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
