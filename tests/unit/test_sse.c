/* Server-sent events: what a stream means, and that it means the same wherever it is cut. */
#include "support.h"

#include "net/sse.h"

enum { DATA_MAX = 1000 };

/* Collects events as text: "name:data|" for each. */
static int
write_down(void *arg, const char *event, const char *data, size_t len)
{
	struct buf *seen = arg;

	assert_int_equal(strlen(data), len);
	buf_printf(seen, "%s:%s|", event, data);
	return 0;
}

static const struct {
	const char *name;
	const char *pieces[4];
	const char *events;
} rows[] = {
    {"nothing", {""}, ""},
    {"one", {"data: a\n\n"}, "message:a|"},
    {"named", {"event: x\ndata: a\n\n"}, "x:a|"},
    {"named afterwards", {"data: a\nevent: x\n\n"}, "x:a|"},
    {"the last name counts", {"event: x\nevent: y\ndata: a\n\n"}, "y:a|"},
    {"the name is one event's", {"event: x\ndata: a\n\ndata: b\n\n"}, "x:a|message:b|"},
    {"a name without data", {"event: x\n\ndata: b\n\n"}, "message:b|"},
    {"an empty name", {"event:\ndata: a\n\n"}, "message:a|"},
    {"two", {"data: a\n\ndata: b\n\n"}, "message:a|message:b|"},
    {"several lines", {"data: a\ndata: b\ndata: c\n\n"}, "message:a\nb\nc|"},
    {"CR", {"event: x\rdata: a\rdata: b\r\rdata: c\r\r"}, "x:a\nb|message:c|"},
    {"CR LF", {"event: x\r\ndata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n"}, "x:a\nb|message:c|"},
    {"all kinds of ends", {"data: a\ndata: b\rdata: c\r\n\n"}, "message:a\nb\nc|"},
    {"CR and LF in two pieces", {"data: a\r", "\n\r", "\n"}, "message:a|"},
    {"CR LF is one end, LF CR are two", {"data: a\n\rdata: b\r\n\r\n"}, "message:a|message:b|"},
    {"a piece with nothing in it", {"data: a\r", "\n", "\n"}, "message:a|"},
    {"a byte order mark",
	{"\xef\xbb\xbf"
	 "data: a\n\n"},
	"message:a|"},
    {"a mark in pieces",
	{"\xef", "\xbb",
	    "\xbf"
	    "data: a",
	    "\n\n"},
	"message:a|"},
    {"a mark later is no mark",
	{"data: x\n\xef\xbb\xbf"
	 "data: a\n\n"},
	"message:x|"},
    {"a mark alone in its line", {"\xef\xbb\xbf\ndata: a\n\n"}, "message:a|"},
    {"comments", {": ping\n\n:\ndata: a\n: b\ndata: c\n\n"}, "message:a\nc|"},
    {"id and retry", {"id: 1\nretry: 10\ndata: a\n\n"}, "message:a|"},
    {"unknown fields", {"dat: x\ndatas: y\nData: z\n data: w\ndata : v\ndata: a\n\n"},
	"message:a|"},
    {"no space", {"data:a\n\n"}, "message:a|"},
    {"only one space goes", {"data:  a \n\n"}, "message: a |"},
    {"a tab stays", {"data:\ta\n\n"}, "message:\ta|"},
    {"colons", {"data: a:b: c\n\n"}, "message:a:b: c|"},
    {"empty data", {"data:\n\n"}, "message:|"},
    {"empty data without a colon", {"data\n\n"}, "message:|"},
    {"empty lines of data", {"data\ndata:\ndata: \n\n"}, "message:\n\n|"},
    {"empty first line", {"data:\ndata: a\n\n"}, "message:\na|"},
    {"empty lines are no events", {"\n\n\r\r\n\ndata: a\n\n\n\n"}, "message:a|"},
    {"the end without an empty line", {"data: a\n\ndata: b\n"}, "message:a|"},
    {"the end in a line", {"data: a\n\ndata: b"}, "message:a|"},
    {"UTF-8", {"event: \xc3\xa9\ndata: \xf0\x9f\x98\x80\n\n"}, "\xc3\xa9:\xf0\x9f\x98\x80|"},
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf seen = BUF_INIT(DATA_MAX);
		struct sse sse;

		sse_init(&sse, DATA_MAX);
		for (size_t p = 0; p < COUNT(rows[i].pieces) && rows[i].pieces[p]; p++)
			check_int(rows[i].name,
			    sse_feed(&sse, rows[i].pieces[p], strlen(rows[i].pieces[p]), write_down,
				&seen),
			    0);
		check_text(rows[i].name, seen.data ? seen.data : "", rows[i].events);
		sse_free(&sse);
		buf_free(&seen);
	}
}

/* Copies the last piece into memory of its own size, so that reading past it is detected. */
static void
feed_copy(struct sse *sse, const char *bytes, size_t len, struct buf *seen)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	assert_int_equal(sse_feed(sse, copy, len, write_down, seen), 0);
	free(copy);
}

static void
test_cuts(void **state)
{
	static const char stream[] = "\xef\xbb\xbf: hello\r\nevent: x\r\ndata: a\r\ndata:\r\n\r\n"
				     "data: b\r\rid: 7\n\nevent: y\ndata: \xe2\x82\xac\n\r\n";
	static const char events[] = "x:a\n|message:b|y:\xe2\x82\xac|";
	size_t len = strlen(stream);

	(void)state;
	/* In three pieces, cut at any two places; also empty pieces. */
	for (size_t first = 0; first <= len; first++)
		for (size_t second = first; second <= len; second++) {
			struct buf seen = BUF_INIT(DATA_MAX);
			struct sse sse;

			sse_init(&sse, DATA_MAX);
			feed_copy(&sse, stream, first, &seen);
			feed_copy(&sse, stream + first, second - first, &seen);
			feed_copy(&sse, stream + second, len - second, &seen);
			assert_string_equal(seen.data, events);
			sse_free(&sse);
			buf_free(&seen);
		}
	/* In pieces of equal size, from single bytes on. */
	for (size_t size = 1; size <= len; size++) {
		struct buf seen = BUF_INIT(DATA_MAX);
		struct sse sse;

		sse_init(&sse, DATA_MAX);
		for (size_t at = 0; at < len; at += size)
			feed_copy(&sse, stream + at, len - at < size ? len - at : size, &seen);
		assert_string_equal(seen.data, events);
		sse_free(&sse);
		buf_free(&seen);
	}
}

static int
count(void *arg, const char *event, const char *data, size_t len)
{
	(void)event;
	assert_int_equal(data[len], '\0');
	*(size_t *)arg += len;
	return 0;
}

static void
test_bounds(void **state)
{
	static const struct {
		const char *name, *line;
		unsigned times; /* lines before the empty one */
		size_t max;
		int result;
		size_t data_len;
	} bounds[] = {
	    {"a line as long as it may be", "data: 1234\n", 1, 10, 0, 4},
	    {"a line too long", "data: 12345\n", 1, 10, -1, 0},
	    {"a comment too long", ": 123456789\n", 1, 10, -1, 0},
	    {"data as long as it may be", "data:1234\n", 2, 9, 0, 9},
	    {"data too long", "data:12345\n", 2, 10, -1, 0},
	    {"many lines too long", "data\n", 102, 100, -1, 0},
	    {"many lines", "data\n", 101, 100, 0, 100},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bounds); i++) {
		size_t len = strlen(bounds[i].line), seen = 0;
		struct sse sse;
		int result = 0;

		sse_init(&sse, bounds[i].max);
		for (unsigned n = 0; n < bounds[i].times && result == 0; n++)
			result = sse_feed(&sse, bounds[i].line, len, count, &seen);
		if (result == 0)
			result = sse_feed(&sse, "\n", 1, count, &seen);
		check_int(bounds[i].name, result, bounds[i].result);
		check_int(bounds[i].name, (long long)seen, (long long)bounds[i].data_len);
		sse_free(&sse);
	}
}

/* Even without the end of a line it stops growing; all events together are not bounded. */
static void
test_endless(void **state)
{
	struct sse sse;
	size_t seen = 0;
	unsigned fed = 0;

	(void)state;
	sse_init(&sse, 1000);
	while (fed < 1000 && sse_feed(&sse, "data: 12345", 11, count, &seen) == 0)
		fed++;
	assert_int_equal(fed, 1000 / 11);
	sse_free(&sse);
	sse_init(&sse, 1000);
	for (fed = 0; fed < 1000; fed++)
		assert_int_equal(sse_feed(&sse, "data: 12345\n\n", 13, count, &seen), 0);
	assert_int_equal(seen, 5000);
	sse_free(&sse);
}

/* Stops at its third event. */
static int
stop_at_third(void *arg, const char *event, const char *data, size_t len)
{
	(void)event;
	(void)data;
	(void)len;
	return ++*(int *)arg == 3 ? 42 : 0;
}

static void
test_stop(void **state)
{
	static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\ndata: d\n\n";
	struct sse sse;
	int seen = 0;

	(void)state;
	sse_init(&sse, DATA_MAX);
	assert_int_equal(sse_feed(&sse, stream, strlen(stream), stop_at_third, &seen), 42);
	assert_int_equal(seen, 3);
	sse_free(&sse);
}

/* A name that is too long is cut, without harm. */
static void
test_long_name(void **state)
{
	struct buf seen = BUF_INIT(DATA_MAX);
	struct sse sse;
	char stream[300];

	(void)state;
	snprintf(stream, sizeof stream, "event: %0200d\ndata: a\n\ndata: b\n\n", 0);
	sse_init(&sse, DATA_MAX);
	assert_int_equal(sse_feed(&sse, stream, strlen(stream), write_down, &seen), 0);
	check_has("long name", seen.data, "000:a|message:b|");
	assert_true(seen.len < 100);
	sse_free(&sse);
	buf_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_endless),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
