/* The HTTP client: which calls are repeated, how often, and after how long. */
#include "http_rows.h"

#include <sys/random.h>
#include <sys/syscall.h>

#define BUSY(status, after) "HTTP/1.1 " #status " Busy\r\nRetry-After:" after "\r\n" LEN(4) "busy"
#define BUSY_SILENTLY(status) "HTTP/1.1 " #status " Busy\r\n" LEN(4) "busy"
#define THEN_OK CLOSES(OK LEN(2) "ok")

/*
 * Replaces the system's function: the one random byte that the client asks for, as jitter, always
 * means the shortest wait.
 */
ssize_t
getrandom(void *bytes, size_t len, unsigned flags)
{
	if (len != 1)
		return syscall(SYS_getrandom, bytes, len, flags);
	*(unsigned char *)bytes = 0;
	return 1;
}

static const struct row rows[] = {
    {"429, at once", {CLOSES(BUSY(429, " 0")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2},
    {"503, at once", {CLOSES(BUSY(503, " 0")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2},
    {"nothing was done, so also what may not be done twice", {CLOSES(BUSY(429, "0")), THEN_OK},
	.method = "POST", .status = 200, .body = "ok", .requests = 2},
    {"on the same connection", {KEEPS(BUSY(429, " 0")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2},
    {"not for ever", {CLOSES(BUSY(429, " 0"))}, .status = 429, .body = "busy", .retry_after = "0",
	.requests = 4},
    {"not before the second is over", {CLOSES(BUSY(503, " 1")), THEN_OK}, .status = 200,
	.body = "ok", .requests = 2, .at_least_ms = 1000},
    {"with a blank behind it", {CLOSES(BUSY(503, " 1 ")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2, .at_least_ms = 1000},
    {"nothing said", {CLOSES(BUSY_SILENTLY(429)), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2, .at_least_ms = 100},
    {"nothing said, never", {CLOSES(BUSY_SILENTLY(503))}, .status = 503, .body = "busy",
	.requests = 4},
    {"an empty time", {CLOSES(BUSY(429, "")), THEN_OK}, .status = 200, .body = "ok", .requests = 2},
    {"a word", {CLOSES(BUSY(429, " soon")), THEN_OK}, .status = 200, .body = "ok", .requests = 2},
    {"a negative number", {CLOSES(BUSY(429, " -1")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2},
    {"a fraction", {CLOSES(BUSY(429, " 0.5")), THEN_OK}, .status = 200, .body = "ok",
	.requests = 2},
    {"a date that is over", {CLOSES(BUSY(503, " Sun, 06 Nov 1994 08:49:37 GMT")), THEN_OK},
	.status = 200, .body = "ok", .requests = 2},
    {"longer than anybody waits here", {CLOSES(BUSY(429, " 21"))}, .status = 429, .body = "busy",
	.retry_after = "21"},
    {"an hour", {CLOSES(BUSY(503, " 3600"))}, .status = 503, .body = "busy", .retry_after = "3600"},
    {"more than a day", {CLOSES(BUSY(429, " 86401"))}, .status = 429, .body = "busy",
	.retry_after = "86400"},
    {"more than fits", {CLOSES(BUSY(429, " 99999999999999999999999"))}, .status = 429,
	.body = "busy", .retry_after = "86400"},
    {"a date far away", {CLOSES(BUSY(503, " Thu, 31 Dec 2099 23:59:59 GMT"))}, .status = 503,
	.body = "busy", .retry_after = "86400"},
    {"longer than the call may take", {CLOSES(BUSY(429, " 20"))}, .timeout_ms = 5000, .status = 429,
	.body = "busy", .retry_after = "20"},
    {"another error", {CLOSES(BUSY(500, " 0")), THEN_OK}, .repeatable = true, .status = 500,
	.body = "busy", .retry_after = "0"},
    {"a gateway's error", {CLOSES(BUSY(502, " 0")), THEN_OK}, .repeatable = true, .status = 502,
	.body = "busy", .retry_after = "0"},
    {"a time with what is no error", {CLOSES("HTTP/1.1 202 Accepted\r\nRetry-After: 3\r\n" LEN(0))},
	.status = 202, .retry_after = "3"},
    {"busy with a stream",
	{CLOSES("HTTP/1.1 429 Busy\r\nRetry-After: 0\r\nContent-Type: text/event-stream"
		"\r\n\r\ndata: a\n\n"),
	    CLOSES(STREAM "data: b\n\n")},
	.listens = true, .status = 200, .events = "message:b|", .requests = 2},
    {"cut, for ever", {CLOSES(NULL)}, .repeatable = true, .outcome = HTTP_CUT, .requests = 4},
    {"cut, and may not be repeated", {CLOSES("HTTP/1.1 200"), THEN_OK}, .method = "POST",
	.outcome = HTTP_CUT},
    {"refused", {CLOSES(NULL)}, .refused = true, .outcome = HTTP_UNREACHABLE, .requests = 4},
    {"refused, what may not be repeated", {CLOSES(NULL)}, .refused = true, .method = "POST",
	.outcome = HTTP_UNREACHABLE, .requests = 4},
    {"interrupted while it waits", {CLOSES(BUSY(429, " 20")), THEN_OK}, .raising = BY_PIPE,
	.outcome = HTTP_INTERRUPTED, .at_least_ms = RAISE_AFTER_MS, .waiting = true},
    {"interrupted by asking", {CLOSES(BUSY(429, " 20")), THEN_OK}, .raising = BY_ASKING,
	.outcome = HTTP_INTERRUPTED, .at_least_ms = RAISE_AFTER_MS, .waiting = true},
};

static void
test_rows(void **state)
{
	(void)state;
	check_rows(rows, COUNT(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests_name("http_retry", tests, NULL, NULL);
}
