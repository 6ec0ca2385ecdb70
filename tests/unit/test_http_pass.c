/* The HTTP client when it passes on: what the callbacks get, and what ends a call. */
#include "support.h"

#include "net/http_client.h"
#include "os/clock.h"
#include "os/interrupt.h"

enum { PATIENCE_MS = 30000, SHORT_MS = 1000 };

#define OK "HTTP/1.1 200 OK\r\n"
#define LEN(len) "Content-Length: " #len "\r\n\r\n"

struct row {
	const char *name;
	struct server_turn turn[1];
	/* The request. */
	const char *body; /* NULL: GET */
	bool length_unknown, body_breaks;
	bool refused; /* nobody listens */
	bool stop_at_head, stop_at_piece;
	bool short_patience;
	long long slow_ms; /* how long each read of the body sleeps */
	/* The expected result. */
	enum http_outcome outcome;
	const char *head; /* status|content-type|length| of on_head */
	const char *pieces;
	const char *sent; /* a part of the request as the server saw it */
	const char *sent_body;
};

static const struct row rows[] = {
    {"whole", {CLOSES(OK "Content-Type: Text/Plain; a=b\r\n" LEN(5) "hello")},
	.head = "200|Text/Plain; a=b|5|", .pieces = "hello"},
    {"of an unknown length",
	{CLOSES(OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "3\r\nllo\r\n0\r\n\r\n")},
	.head = "200|-|-1|", .pieces = "hello"},
    {"without a body", {CLOSES("HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\n\r\n")},
	.head = "204|a/b|-1|", .pieces = ""},
    {"an error", {CLOSES("HTTP/1.1 429 Busy\r\nRetry-After: 1\r\n" LEN(4) "busy")},
	.head = "429|-|4|", .pieces = "busy"},
    {"an error that is no answer for others", {CLOSES("HTTP/1.1 503 Busy\r\n" LEN(4) "busy")},
	.head = "503|-|4|", .pieces = "busy"},
    {"after interim ones",
	{CLOSES("HTTP/1.1 103 Early Hints\r\nContent-Type: a/b\r\n\r\n", OK LEN(2) "ok")},
	.head = "200|-|2|", .pieces = "ok"},
    {"what follows after an interim one that changes the protocol",
	{CLOSES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "Status: 200\r\n\r\nhi")},
	.outcome = HTTP_CUT, .pieces = ""},
    {"with a trailer",
	{CLOSES(OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Type: a/b\r\n\r\n")},
	.head = "200|-|-1|", .pieces = "ok"},
    {"compressed, unasked",
	{CLOSES(OK "Content-Type: a/b\r\nContent-Encoding: identity\r\n" LEN(2) "ok")},
	.head = "200|a/b|-1|", .pieces = "ok"},
    {"a stream", {CLOSES(OK "Content-Type: text/event-stream\r\n\r\ndata: 1\n\n", "da", "ta: 2")},
	.head = "200|text/event-stream|-1|", .pieces = "data: 1\n\ndata: 2"},
    /* what ends it */
    {"stopped at the head", {HOLDS(OK LEN(5))}, .stop_at_head = true, .outcome = HTTP_STOPPED,
	.head = "200|-|5|", .pieces = ""},
    {"stopped at a piece", {HOLDS(OK "\r\nhello")}, .stop_at_piece = true, .outcome = HTTP_STOPPED,
	.head = "200|-|-1|", .pieces = "hello"},
    {"cut before the head", {CLOSES(NULL)}, .body = "x", .outcome = HTTP_CUT, .pieces = ""},
    {"cut in the body", {CLOSES(OK LEN(9) "hello")}, .outcome = HTTP_CUT, .head = "200|-|9|",
	.pieces = "hello"},
    {"nobody is there", {CLOSES(NULL)}, .refused = true, .outcome = HTTP_UNREACHABLE, .pieces = ""},
    {"silence", {HOLDS(NULL)}, .short_patience = true, .outcome = HTTP_SILENT, .pieces = ""},
    {"silence in the middle", {HOLDS(OK LEN(9) "hello")}, .short_patience = true,
	.outcome = HTTP_SILENT, .head = "200|-|9|", .pieces = "hello"},
    /* the request's body */
    {"a body", {CLOSES(OK LEN(2) "ok")}, .body = "12345", .head = "200|-|2|", .pieces = "ok",
	.sent = "\r\nContent-Length: 5\r\n", .sent_body = "12345"},
    {"an empty one", {CLOSES(OK LEN(2) "ok")}, .body = "", .head = "200|-|2|", .pieces = "ok",
	.sent = "\r\nContent-Length: 0\r\n", .sent_body = ""},
    {"of unknown length", {CLOSES(OK LEN(2) "ok")}, .body = "12345", .length_unknown = true,
	.head = "200|-|2|", .pieces = "ok", .sent = "\r\nTransfer-Encoding: chunked\r\n"},
    {"that breaks off", {HOLDS(NULL)}, .body = "12345", .body_breaks = true,
	.outcome = HTTP_STOPPED, .pieces = ""},
    {"that comes too slowly", {HOLDS(NULL)}, .body = "12345", .short_patience = true,
	.slow_ms = SHORT_MS / 2, .outcome = HTTP_SILENT, .pieces = ""},
};

struct running {
	const struct row *row;
	size_t given;
	unsigned heads;
	struct buf head, pieces;
};

/* One byte at a time. */
static ssize_t
read_body(void *arg, char *bytes, size_t size)
{
	struct running *running = arg;
	const struct row *row = running->row;
	char next = row->body[running->given];

	assert_true(size > 0);
	if (row->body_breaks && running->given == 2)
		return -1;
	if (row->slow_ms)
		interrupt_sleep(NULL, row->slow_ms);
	if (!next)
		return 0;
	*bytes = next;
	running->given++;
	return 1;
}

static int
on_head(void *arg, const struct http_head *head)
{
	struct running *running = arg;
	const char *type = http_head_value(head, "content-type");

	running->heads++;
	buf_printf(&running->head, "%ld|%s|%lld|", head->status, type ? type : "-", head->body_len);
	return running->row->stop_at_head ? -1 : 0;
}

static int
on_piece(void *arg, const char *bytes, size_t len)
{
	struct running *running = arg;

	buf_append(&running->pieces, bytes, len);
	return running->row->stop_at_piece ? -1 : 0;
}

static void
check_row(struct http_client *client, const struct row *row)
{
	struct running running = {.row = row, .head = BUF_INIT(1000), .pieces = BUF_INIT(1000)};
	static const char *const headers[] = {"Content-Type: a/b", NULL};
	struct http_call call = {
	    .method = row->body ? "POST" : "GET",
	    .headers = headers,
	    .timeout_ms = row->short_patience ? SHORT_MS : PATIENCE_MS,
	    .read_body = row->body ? read_body : NULL,
	    .on_head = on_head,
	    .on_piece = on_piece,
	    .pass_arg = &running,
	};
	struct http_answer answer;
	enum http_outcome outcome;
	struct server server;
	const char *seen;

	server_start(&server, row->refused ? NULL : row->turn, 1);
	call.url = server.url;
	if (row->body)
		call.body_len = row->length_unknown ? -1 : (long long)strlen(row->body);
	outcome = http_client_call(client, &call, &answer);
	server_stop(&server);
	check_text(row->name, http_outcome_strerror(outcome), http_outcome_strerror(row->outcome));
	check_text(row->name, running.head.data, row->head);
	check_int(row->name, running.heads, row->head != NULL);
	check_text(row->name, running.pieces.data ? running.pieces.data : "", row->pieces);
	/* Nothing is repeated. A body may break off before the connection is made. */
	if (!row->body_breaks)
		check_int(row->name, server.connections, !row->refused);
	seen = server.last_request.data ? server.last_request.data : "";
	check_has(row->name, seen, row->sent ? row->sent : "");
	if (row->sent_body)
		check_text(row->name, strstr(seen, "\r\n\r\n") + 4, row->sent_body);
	http_answer_free(&answer);
	buf_free(&running.head);
	buf_free(&running.pieces);
	server_free(&server);
}

static void
test_rows(void **state)
{
	struct http_client *client = http_client_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(client, &rows[i]);
	http_client_free(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("http_pass", tests, NULL, NULL);
}
