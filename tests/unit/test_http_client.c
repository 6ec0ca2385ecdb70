/* The HTTP client: answers, streams, silence, and interrupts. */
#include "http_rows.h"

#define CHUNKED_STREAM OK "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define FIFTY "12345678901234567890123456789012345678901234567890"

static const struct row answers[] = {
    {"whole", {CLOSES(OK LEN(5) "hello")}, .status = 200, .body = "hello", .type = ""},
    {"empty", {CLOSES(OK LEN(0))}, .status = 200},
    {"without a body", {CLOSES("HTTP/1.1 204 No Content\r\n\r\n")}, .status = 204},
    {"in pieces", {CLOSES(OK, "Content-Le", "ngth: 5\r\n", "\r\nhe", "llo")}, .status = 200,
	.body = "hello"},
    {"in chunks",
	{CLOSES(OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "3\r\nllo\r\n0\r\n\r\n")},
	.status = 200, .body = "hello"},
    {"with a trailer",
	{CLOSES(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")},
	.status = 200, .body = "hello"},
    {"until the end of the connection", {CLOSES(OK "\r\nhel", "lo")}, .status = 200,
	.body = "hello"},
    {"the connection stays", {KEEPS(OK LEN(5) "hello")}, .status = 200, .body = "hello"},
    {"with a type", {CLOSES(OK "Content-Type: Application/JSON; charset=UTF-8\r\n" LEN(2) "{}")},
	.status = 200, .body = "{}", .type = "application/json"},
    {"with a long type", {CLOSES(OK "content-type:" FIFTY FIFTY "\r\n" LEN(0))}, .status = 200,
	.type = FIFTY "1234567890123"},
    {"not found", {CLOSES("HTTP/1.1 404 Not Found\r\n" LEN(4) "none")}, .status = 404,
	.body = "none"},
    {"a server's error", {CLOSES("HTTP/1.1 500 Oops\r\n" LEN(4) "oops")}, .repeatable = true,
	.status = 500, .body = "oops"},
    {"a redirect is an answer",
	{CLOSES("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n" LEN(0)), CLOSES(OK LEN(2) "no")},
	.repeatable = true, .status = 302},
    {"an interim answer",
	{CLOSES("HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nRetry-After: 7"
		"\r\n\r\n",
	    OK LEN(5), "hello")},
	.status = 200, .body = "hello", .type = ""},
    {"to go on", {CLOSES("HTTP/1.1 100 Continue\r\n\r\n" OK LEN(5) "hello")}, .method = "POST",
	.status = 200, .body = "hello"},
    {"with a time to poll after", {CLOSES(OK "openai-poll-after-ms: 700\r\n" LEN(0))},
	.status = 200},
    {"as long as may be", {CLOSES(OK LEN(100) FIFTY FIFTY)}, .status = 200, .body = FIFTY FIFTY},
    {"too long", {CLOSES(OK LEN(101) FIFTY FIFTY "1")}, .repeatable = true,
	.outcome = HTTP_TOO_LARGE, .status = 200},
    {"too long, in pieces", {CLOSES(OK "\r\n" FIFTY, FIFTY, "1")}, .outcome = HTTP_TOO_LARGE,
	.status = 200, .body = FIFTY FIFTY},
    {"too long, and endless", {HOLDS(OK "\r\n" FIFTY, FIFTY "1")}, .outcome = HTTP_TOO_LARGE,
	.status = 200, .body = FIFTY},
    {"cut", {CLOSES(OK LEN(6) "hello")}, .method = "POST", .outcome = HTTP_CUT, .status = 200,
	.body = "hello"},
    {"not HTTP", {CLOSES("SSH-2.0-OpenSSH\r\n")}, .method = "POST", .outcome = HTTP_CUT},
    {"a broken length", {CLOSES(OK "Content-Length: x\r\n\r\n")}, .method = "POST",
	.outcome = HTTP_CUT, .status = 200},
    {"a broken chunk", {CLOSES(OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\n")}, .method = "POST",
	.outcome = HTTP_CUT, .status = 200},
    {"cut between chunks", {CLOSES(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")},
	.method = "POST", .outcome = HTTP_CUT, .status = 200, .body = "hello"},
    {"cut in its head", {CLOSES(OK "Content-Le")}, .method = "POST", .outcome = HTTP_CUT,
	.status = 200},
    {"none", {CLOSES(NULL)}, .method = "POST", .outcome = HTTP_CUT},
    {"cut, and may be repeated", {CLOSES(OK LEN(6) "hello"), CLOSES(OK LEN(5) "again")},
	.repeatable = true, .status = 200, .body = "again", .requests = 2},
    {"silence", {HOLDS(NULL)}, .timeout_ms = SHORT_MS, .repeatable = true, .outcome = HTTP_SILENT,
	.at_least_ms = SHORT_MS},
    {"silence after the head", {HOLDS(OK LEN(5))}, .timeout_ms = SHORT_MS, .outcome = HTTP_SILENT,
	.status = 200, .at_least_ms = SHORT_MS},
    {"silence in the body", {HOLDS(OK LEN(5) "he", "ll")}, .timeout_ms = SHORT_MS,
	.outcome = HTTP_SILENT, .status = 200, .body = "hell", .at_least_ms = SHORT_MS},
    /* streams */
    {"a stream, whole", {CLOSES(STREAM "event: x\ndata: a\n\ndata: b\n\n")}, .listens = true,
	.status = 200, .events = "x:a|message:b|", .type = "text/event-stream"},
    {"a stream, in pieces",
	{CLOSES(OK "Content-Type: text/event-", "stream\r\n\r\nda", "ta: a\r", "\n\r", "\ndata: b",
	    "\n\n")},
	.listens = true, .status = 200, .events = "message:a|message:b|"},
    {"a stream, in chunks",
	{CLOSES(CHUNKED_STREAM, "4\r\ndata\r\n", "5\r\n: a\n\n\r\n", "0\r\n\r\n")}, .listens = true,
	.status = 200, .events = "message:a|"},
    {"with a charset",
	{CLOSES(OK "Content-Type: Text/Event-Stream; charset=utf-8\r\n\r\n"
		   "data: a\n\n")},
	.listens = true, .status = 200, .events = "message:a|"},
    {"longer than an answer may be",
	{CLOSES(STREAM "data: " FIFTY "\n\n", "data: " FIFTY "\n\n", "data: " FIFTY "\n\n")},
	.listens = true, .status = 200,
	.events = "message:" FIFTY "|message:" FIFTY "|message:" FIFTY "|"},
    {"an event that is too long", {CLOSES(STREAM "data: a\n\n", "data: " FIFTY FIFTY "\n\n")},
	.listens = true, .outcome = HTTP_TOO_LARGE, .status = 200, .events = "message:a|"},
    {"stopped", {HOLDS(STREAM "data: a\n\ndata: b\n\ndata: c\n\n")}, .listens = true, .stop_at = 2,
	.outcome = HTTP_STOPPED, .status = 200, .events = "message:a|message:b|"},
    {"over before its end", {HOLDS(STREAM "data: a\n\ndata: b\n\ndata: c\n\n")}, .listens = true,
	.last = 2, .status = 200, .events = "message:a|message:b|"},
    {"over before more comes", {CLOSES(STREAM "data: a\n\n", "data: b\n\n", "data: c")},
	.listens = true, .last = 1, .status = 200, .events = "message:a|"},
    {"a stream, cut", {CLOSES(CHUNKED_STREAM "9\r\ndata: a\n\n\r\n", "9\r\ndata")},
	.method = "POST", .listens = true, .outcome = HTTP_CUT, .status = 200,
	.events = "message:a|"},
    {"ended in an event", {CLOSES(STREAM "data: a\n\ndata: b")}, .listens = true, .status = 200,
	.events = "message:a|"},
    {"a stream, silence", {HOLDS(STREAM "data: a\n\n")}, .listens = true, .timeout_ms = SHORT_MS,
	.outcome = HTTP_SILENT, .status = 200, .events = "message:a|", .at_least_ms = SHORT_MS},
    {"an error is none",
	{CLOSES("HTTP/1.1 400 Bad\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")},
	.listens = true, .status = 400, .body = "data: a\n\n"},
    {"of another type", {CLOSES(OK "Content-Type: text/plain\r\n\r\ndata: a\n\n")}, .listens = true,
	.status = 200, .body = "data: a\n\n"},
    {"nobody listens", {CLOSES(STREAM "data: a\n\n")}, .status = 200, .body = "data: a\n\n"},
    /* interrupts */
    {"before it begins", {HOLDS(OK LEN(5) "hello")}, .raising = AT_ONCE,
	.outcome = HTTP_INTERRUPTED},
    {"by a pipe", {HOLDS(NULL)}, .raising = BY_PIPE, .outcome = HTTP_INTERRUPTED,
	.at_least_ms = RAISE_AFTER_MS},
    {"by asking", {HOLDS(NULL)}, .raising = BY_ASKING, .outcome = HTTP_INTERRUPTED,
	.at_least_ms = RAISE_AFTER_MS},
    {"in a body", {HOLDS(OK LEN(10) "hello")}, .raising = BY_PIPE, .repeatable = true,
	.outcome = HTTP_INTERRUPTED, .status = 200, .body = "hello"},
    {"in a stream", {HOLDS(STREAM "data: a\n\n")}, .raising = BY_PIPE, .listens = true,
	.outcome = HTTP_INTERRUPTED, .status = 200, .events = "message:a|"},
    {"never", {CLOSES(OK LEN(5), "h", "e", "l", "lo")}, .raising = FALSE_ALARM, .status = 200,
	.body = "hello"},
    {"a false alarm", {HOLDS(NULL)}, .raising = FALSE_ALARM, .timeout_ms = SHORT_MS,
	.outcome = HTTP_SILENT, .at_least_ms = SHORT_MS},
    {"hung up, and not raised", {HOLDS(NULL)}, .raising = HUNG_UP, .timeout_ms = SHORT_MS,
	.outcome = HTTP_SILENT, .at_least_ms = SHORT_MS},
};

static void
test_answers(void **state)
{
	(void)state;
	check_rows(answers, COUNT(answers));
}

/* Treats the first event as the last. */
static int
take_one(void *arg, const char *event, const char *data, size_t len)
{
	(void)arg;
	(void)event;
	(void)data;
	(void)len;
	return 1;
}

/* Makes one call; the answer is the caller's to free. */
static enum http_outcome
call_server(struct http_client *client, const struct server *server, const char *method,
    const char *const *headers, const char *body, struct http_answer *answer)
{
	char url[128];
	const struct http_call call = {.method = method,
	    .url = url,
	    .headers = headers,
	    .body = body,
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = PATIENCE_MS,
	    .on_event = take_one};

	snprintf(url, sizeof url, "%s/v1/path?q=1", server->url);
	return http_client_call(client, &call, answer);
}

/* What the server receives. */
static void
test_request(void **state)
{
	static const struct server_turn turn = CLOSES(OK LEN(0));
	static const char *const headers[] = {"Authorization: Bearer x", "OpenAI-Beta: a=v2", NULL};
	static char large[1200000]; /* from 1 MiB on, curl would ask */
	static const struct {
		const char *name, *method, *body, *length;
	} rows[] = {
	    {"GET", "GET", NULL, NULL},
	    {"DELETE", "DELETE", NULL, NULL},
	    {"POST", "POST", "{\"a\":1}", "\r\nContent-Length: 7\r\n"},
	    {"a large POST", "POST", large, "\r\nContent-Length: 1199999\r\n"},
	    {"an empty POST", "POST", NULL, "\r\nContent-Length: 0\r\n"},
	};
	struct http_client *client = http_client_new(NULL);

	(void)state;
	memset(large, 'x', sizeof large - 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *name = rows[i].name, *seen;
		struct http_answer answer;
		struct server server;
		char line[64];

		server_start(&server, &turn, 1);
		call_server(client, &server, rows[i].method, headers, rows[i].body, &answer);
		server_stop(&server);
		check_int(name, answer.status, 200);
		seen = server.last_request.data;
		snprintf(line, sizeof line, "%s /v1/path?q=1 HTTP/1.1\r\n", rows[i].method);
		check_int(name, strncmp(seen, line, strlen(line)), 0);
		check_has(name, seen, "\r\nAuthorization: Bearer x\r\n");
		check_has(name, seen, "\r\nOpenAI-Beta: a=v2\r\n");
		check_has(name, seen, "\r\nUser-Agent: assistants-fcgi/");
		check_text(name, strstr(seen, "\r\n\r\n") + 4, rows[i].body ? rows[i].body : "");
		check_has(name, seen, rows[i].length ? rows[i].length : "");
		if (rows[i].body)
			check_has(name, seen, "\r\nContent-Type: application/json\r\n");
		/*
		 * Headers that curl adds by default: a type that the API refuses, and Expect, which
		 * no server answers.
		 */
		if (strstr(seen, "x-www-form-urlencoded") || strcasestr(seen, "\r\nExpect:"))
			fail_msg("%s: sent %.500s", name, seen);
		http_answer_free(&answer);
		server_free(&server);
	}
	http_client_free(client);
}

/* Two calls use one connection; if it cannot be reused, the next call makes another. */
static void
test_connections(void **state)
{
	static const struct {
		const char *name;
		struct server_turn turn;
		unsigned connections;
	} rows[] = {
	    {"stays", KEEPS(OK LEN(5) "hello"), 1},
	    {"is closed", CLOSES(OK LEN(5) "hello"), 2},
	    {"is said to be closed", KEEPS(OK "Connection: close\r\n" LEN(5) "hello"), 2},
	    {"is kept after a stream that was over",
		KEEPS(CHUNKED_STREAM "9\r\ndata: a\n\n\r\n", "0\r\n\r\n"), 1},
	    {"is in a stream that has no end", HOLDS(CHUNKED_STREAM "9\r\ndata: a\n\n\r\n"), 2},
	    {"has more in it than was wanted", KEEPS(OK LEN(101) FIFTY FIFTY "1"), 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_client *client = http_client_new(NULL);
		struct http_answer answer;
		struct server server;

		server_start(&server, &rows[i].turn, 1);
		for (int call = 0; call < 2; call++) {
			call_server(client, &server, "GET", NULL, NULL, &answer);
			check_int(rows[i].name, answer.status, 200);
			http_answer_free(&answer);
		}
		server_stop(&server);
		check_int(rows[i].name, server.requests, 2);
		check_int(rows[i].name, server.connections, rows[i].connections);
		server_free(&server);
		http_client_free(client);
	}
}

/*
 * A kept connection breaks: a request that may have taken effect is not sent again, whether the
 * server is still there or not.
 */
static void
test_kept_connection_breaks(void **state)
{
	static const struct {
		const char *name;
		struct server_turn turns[2];
		const char *body;
	} rows[] = {
	    {"a body", {KEEPS(OK LEN(5) "hello"), CLOSES(NULL)}, "{}"},
	    {"no body", {KEEPS(OK LEN(5) "hello"), CLOSES(NULL)}, NULL},
	    {"a body, and the server is gone", {KEEPS(OK LEN(5) "hello"), VANISHES(NULL)}, "{}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_client *client = http_client_new(NULL);
		enum http_outcome outcomes[2];
		struct http_answer answer;
		struct server server;

		server_start(&server, rows[i].turns, COUNT(rows[i].turns));
		for (int call = 0; call < 2; call++) {
			outcomes[call] =
			    call_server(client, &server, "POST", NULL, rows[i].body, &answer);
			http_answer_free(&answer);
		}
		server_stop(&server);
		check_int(rows[i].name, outcomes[0], HTTP_ANSWERED);
		check_int(rows[i].name, outcomes[1], HTTP_CUT);
		check_int(rows[i].name, server.requests, 2);
		server_free(&server);
		http_client_free(client);
	}
}

static void
test_poll_after(void **state)
{
	static const struct {
		const char *header;
		long ms;
	} rows[] = {{"openai-poll-after-ms: 700", 700}, {"OpenAI-Poll-After-Ms:0", 0},
	    {"openai-poll-after-ms: soon", -1}, {"openai-poll-after-ms: -1", -1},
	    {"openai-poll-after-ms: 99999999", -1}, {"X: 1", -1}};
	struct http_client *client = http_client_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct server_turn turn = CLOSES(OK, rows[i].header, "\r\n" LEN(0));
		struct http_answer answer;
		struct server server;

		server_start(&server, &turn, 1);
		call_server(client, &server, "GET", NULL, NULL, &answer);
		check_int(rows[i].header, answer.poll_after_ms, rows[i].ms);
		http_answer_free(&answer);
		server_stop(&server);
		server_free(&server);
	}
	http_client_free(client);
}

static void
test_urls(void **state)
{
	static const struct {
		const char *url;
		bool valid;
	} rows[] = {
	    {"http://example.org", true},
	    {"https://example.org:8443/v1", true},
	    {"HTTPS://example.org/", true},
	    {"http://127.0.0.1:1", true},
	    {"http://[::1]:80/", true},
	    {"", false},
	    {"example.org", false},
	    {"//example.org", false},
	    {"/v1", false},
	    {"http://", false},
	    {"http:example.org", false},
	    {"ftp://example.org", false},
	    {"file:///etc/passwd", false},
	    {"javascript:1", false},
	    {"http://me@example.org", false},
	    {"http://me:secret@example.org", false},
	    {"http://:secret@example.org", false},
	    {"http://example.org:99999", false},
	    {"http://example.org:x", false},
	    {"http://exa mple.org", false},
	    {"http://example.org/\r\nX: 1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].url, http_url_valid(rows[i].url), rows[i].valid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_connections),
	    cmocka_unit_test(test_kept_connection_breaks),
	    cmocka_unit_test(test_poll_after),
	    cmocka_unit_test(test_urls),
	};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
