/* The log: one JSON object a line, whatever is logged; no secrets; lines that do not mix. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "obs/log.h"
#include "text/json.h"

static const char secret[] = "hunter2-hunter2", odd_secret[] = "\"quo\\ted\" secret";

/* Each line must be JSON, with only the expected members. */
static struct json_object *
parse_line(const char *line, size_t len)
{
	struct json_object *object = NULL;

	if (json_parse(line, len, &object) < 0 || !json_get_string(object, "message"))
		fail_msg("no log line: %.*s", (int)len, line);
	assert_non_null(json_get_string(object, "level"));
	assert_non_null(json_get_string(object, "time"));
	assert_int_equal(json_object_object_length(object), json_get(object, "request_id") ? 4 : 3);
	return object;
}

/* The one line that was captured. */
static struct json_object *
only_line(const char *row, const char *text)
{
	const char *end = strchr(text, '\n');

	if (!end || end[1])
		fail_msg("%s: not one line: %s", row, text);
	return parse_line(text, (size_t)(end - text));
}

static void
test_messages(void **state)
{
	static const struct {
		const char *said, *message;
	} rows[] = {
	    {"plain words", "plain words"},
	    {"", ""},
	    {"two\nlines", "two\nlines"},
	    {"\"},\"level\":\"error\",{\"", "\"},\"level\":\"error\",{\""},
	    {"back\\slash \\\" \\u0041", "back\\slash \\\" \\u0041"},
	    {"\r\n\t\b\x1b[31mred\x7f\x01", "\r\n\t\b\x1b[31mred\x7f\x01"},
	    {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
	    {"bad \xff\xc3 utf-8 \xed\xa0\x80", "bad \ufffd\ufffd utf-8 \ufffd\ufffd\ufffd"},
	    {"cut \xe2\x82", "cut \ufffd\ufffd"},
	    {"%s%n%d", "%s%n%d"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *line;
		struct capture capture;
		char *text;

		capture_start(&capture);
		log_error("%s", rows[i].said);
		text = capture_end(&capture);
		line = only_line(rows[i].said, text);
		check_text(rows[i].said, json_get_string(line, "message"), rows[i].message);
		/* No control characters, which a terminal would act on. */
		for (const char *at = text; at[1]; at++)
			if ((unsigned char)*at < ' ' || *at == 0x7f)
				fail_msg("%s: a raw control character", rows[i].said);
		json_object_put(line);
		free(text);
	}
}

static void
test_redaction(void **state)
{
	static const struct {
		const char *said, *shown;
	} rows[] = {
	    {"nothing to hide", "nothing to hide"},
	    {"hunter2-hunter2", "[redacted]"},
	    {"key=hunter2-hunter2&x", "key=[redacted]&x"},
	    {"hunter2-hunter2hunter2-hunter2", "[redacted][redacted]"},
	    {"hunter2-hunter", "hunter2-hunter"},
	    {"hunter2-hunter2-hunter2", "[redacted]-hunter2"},
	    {"a \"quo\\ted\" secret!", "a [redacted]!"},
	    {"short", "short"}, /* registered, but too short to be looked for */
	    {"Bearer sk-abcdefgh12345678", "Bearer [redacted]"},
	    {"sk-proj-Ab_9*****xyz.", "[redacted]."},
	    {"\"sk-svcacct-1\"", "\"[redacted]\""},
	    {"sk-1", "sk-1"},
	    {"sk-", "sk-"},
	    {"sk", "sk"},
	    {"hunter2-hunter2-and-more", "[redacted]"},
	    /* a whole id would open the thread: enough of it is shown to find it */
	    {"/threads/thread_abcdEFGH12345678/x", "/threads/thread_abcd\u2026/x"},
	    {"thread_abcd", "thread_abcd"},
	    {"thread_", "thread_"},
	};

	(void)state;
	assert_int_equal(log_add_secret(secret), 0);
	assert_int_equal(log_add_secret(odd_secret), 0);
	assert_int_equal(log_add_secret("short"), 0);
	assert_int_equal(log_add_secret("hunter2-hunter2-and-more"), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *redacted = log_redact(rows[i].said), *text;
		struct capture capture;
		struct json_object *line;

		check_text(rows[i].said, redacted, rows[i].shown);
		free(redacted);
		capture_start(&capture);
		log_error("%s", rows[i].said);
		text = capture_end(&capture);
		line = only_line(rows[i].said, text);
		check_text(rows[i].said, json_get_string(line, "message"), rows[i].shown);
		json_object_put(line);
		free(text);
	}
}

/* One secret too many is an error, not silently ignored. Runs after test_redaction(). */
static void
test_too_many_secrets(void **state)
{
	int added = 0;
	char name[32];

	(void)state;
	while (added < 100) {
		snprintf(name, sizeof name, "one-more-secret-%d", added);
		if (log_add_secret(name) < 0)
			break;
		added++;
	}
	assert_in_range(added, 2, 50);
	assert_int_equal(log_add_secret("short"), 0);
}

/* A request's line has more members, each escaped and redacted like a message. */
static void
test_request(void **state)
{
	static const struct {
		struct log_request request;
		const char *end; /* after the message */
	} rows[] = {
	    {{"GET", "/threads/{id}", 200, 7, 12, true},
		"\"method\":\"GET\",\"route\":\"/threads/"
		"{id}\",\"status\":200,\"ms\":7,\"bytes\":12}\n"},
	    {{"POST", "", 502, 600000, 5000000000, false},
		"\"method\":\"POST\",\"route\":\"\",\"status\":502,\"ms\":600000,"
		"\"bytes\":5000000000,\"delivered\":false}\n"},
	    {{"A\"B\n\xff", "/hunter2-hunter2/thread_abcdEFGH12345678/\xc3\xa9", 200, 0, 0, true},
		"\"method\":\"A\\\"B\\u000a\\ufffd\","
		"\"route\":\"/[redacted]/thread_abcd\u2026/\xc3\xa9\",\"status\":200,\"ms\":0,"
		"\"bytes\":0}\n"},
	};

	(void)state;
	assert_int_equal(log_add_secret(secret), 0);
	log_set_request_id("req_1");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *line = NULL;
		struct capture capture;
		const char *members;
		char *text;

		capture_start(&capture);
		log_request(&rows[i].request);
		text = capture_end(&capture);
		assert_int_equal(json_parse(text, strlen(text), &line), 0);
		check_text(rows[i].end, json_get_string(line, "level"), "info");
		check_text(rows[i].end, json_get_string(line, "message"), "request");
		check_text(rows[i].end, json_get_string(line, "request_id"), "req_1");
		members = strstr(text, "\"method\"");
		check_text("members", members, rows[i].end);
		json_object_put(line);
		free(text);
	}
	log_set_request_id(NULL);
}

/* A long message is cut; its line stays valid. */
static void
test_long(void **state)
{
	static char said[200000];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		struct json_object *line;
		struct capture capture;
		const char *message;
		char *text;

		memset(said, '\n', sizeof said - 1);
		for (size_t at = shift; at + 4 < sizeof said; at += 4)
			memcpy(said + at, "\xf0\x9f\x98\x80", 4);
		capture_start(&capture);
		log_error("%s", said);
		text = capture_end(&capture);
		line = only_line("long", text);
		message = json_get_string(line, "message");
		assert_in_range(strlen(message), 1000, 16384);
		assert_memory_equal(message, said, 1000);
		json_object_put(line);
		free(text);
	}
}

/* Where a message is cut, half a secret would not be recognised. */
static void
test_secret_at_the_end(void **state)
{
	enum { FROM = 8000, TO = 8400 };
	static char said[TO + sizeof secret];

	(void)state;
	for (size_t at = FROM; at < TO; at++) {
		struct capture capture;
		char *text;

		memset(said, '.', at);
		memcpy(said + at, secret, sizeof secret);
		capture_start(&capture);
		log_error("%s", said);
		text = capture_end(&capture);
		if (strstr(text, ".h"))
			fail_msg("at %zu: the secret begins in the log", at);
		free(text);
	}
}

static void
test_levels(void **state)
{
	static const char *const names[LOG_LEVEL__MAX] = {"error", "warn", "info", "debug"};

	(void)state;
	for (unsigned max = 0; max < LOG_LEVEL__MAX; max++)
		for (unsigned level = 0; level < LOG_LEVEL__MAX; level++) {
			struct capture capture;
			struct json_object *line;
			char *text;

			log_set_level((enum log_level)max);
			check_int(names[level], log_enabled((enum log_level)level), level <= max);
			capture_start(&capture);
			log_write((enum log_level)level, "said");
			text = capture_end(&capture);
			if (level <= max) {
				line = only_line(names[level], text);
				check_text(
				    names[max], json_get_string(line, "level"), names[level]);
				json_object_put(line);
			} else {
				check_text(names[max], text, "");
			}
			free(text);
		}
}

static void
test_request_id(void **state)
{
	static const struct {
		const char *id, *shown; /* NULL: no member */
	} rows[] = {
	    {"req_1", "req_1"},
	    {"\"}\n{", "\"}\n{"},
	    {"123456789012345678901234567890123456789012345678901234567890123456789",
		"123456789012345678901234567890123456789012345678901234567890123"},
	    {"", NULL},
	    {NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct capture capture;
		struct json_object *line;
		char *text;

		log_set_request_id(rows[i].id);
		capture_start(&capture);
		log_error("said");
		text = capture_end(&capture);
		line = only_line("request id", text);
		check_text("shown", json_get_string(line, "request_id"), rows[i].shown);
		json_object_put(line);
		free(text);
	}
}

enum { THREADS = 8, LINES = 200 };

static void *
say_often(void *arg)
{
	char id[16], words[300];

	snprintf(id, sizeof id, "thread%zu", (size_t)arg);
	memset(words, 'a' + (int)(size_t)arg, sizeof words - 1);
	words[sizeof words - 1] = '\0';
	log_set_request_id(id);
	for (int i = 0; i < LINES; i++)
		log_error("%s", words);
	return NULL;
}

/* Lines of several threads do not mix, and each has its own request id. */
static void
test_threads(void **state)
{
	unsigned counts[THREADS] = {0};
	pthread_t threads[THREADS];
	struct capture capture;
	char *text;

	(void)state;
	capture_start(&capture);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, say_often, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = capture_end(&capture);
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		struct json_object *object = parse_line(line, (size_t)(end - line));
		unsigned thread = (unsigned)json_get_string(object, "message")[0] - 'a';

		assert_in_range(thread, 0, THREADS - 1);
		assert_int_equal(
		    json_get_string(object, "request_id")[strlen("thread")], '0' + thread);
		counts[thread]++;
		json_object_put(object);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(counts[i], LINES);
	free(text);
}

/* In a process of its own, because it cannot be undone. */
static void
test_capture(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		struct capture capture;
		char line[32];
		bool good;
		char *text;

		capture_start(&capture);
		log_capture(line, sizeof line);
		log_info("nothing to do with it");
		good = strcmp(line, "") == 0;
		log_warn("the cause, sk-1234567890");
		log_error("what follows from it");
		good = good && strcmp(line, "the cause, [redacted]") == 0;
		*line = '\0';
		log_error("more than fits into so short a line");
		good = good && strcmp(line, "more than fits into so short a ") == 0;
		text = capture_end(&capture);
		_exit(good && strcmp(text, "") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* RFC 3339, in UTC, to the millisecond. */
static void
test_time(void **state)
{
	struct capture capture;
	struct json_object *line;
	long long before = (long long)time(NULL), after;
	struct tm tm = {0};
	const char *shown;
	char *text;

	(void)state;
	capture_start(&capture);
	log_error("said");
	text = capture_end(&capture);
	after = (long long)time(NULL);
	line = only_line("time", text);
	shown = json_get_string(line, "time");
	assert_int_equal(strlen(shown), strlen("2000-01-01T00:00:00.000Z"));
	assert_string_equal(strptime(shown, "%Y-%m-%dT%H:%M:%S", &tm) + 4, "Z");
	assert_in_range(timegm(&tm), before, after);
	json_object_put(line);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_redaction),
	    cmocka_unit_test(test_too_many_secrets),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_secret_at_the_end),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_request_id),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_capture),
	    cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
