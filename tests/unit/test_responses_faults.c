/* Answers that no well-behaved server with a Responses API sends. */
#include "support.h"

#include "model/model.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/text.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define STREAM OK "Content-Type: text/event-stream\r\n\r\n"
#define DATA(json) "data: " json "\n\n"
#define SAYS(words) DATA("{\"type\":\"response.output_text.delta\",\"delta\":\"" words "\"}")
#define ITEM(content)                                                                              \
	DATA("{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"message\",\"content\":" \
	     "" content "}}")
#define ENDS(response) DATA("{\"type\":\"response.completed\",\"response\":" response "}")
#define NAMED "event: response.completed\n"
#define USAGE(in, out) "{\"usage\":{\"input_tokens\":" in ",\"output_tokens\":" out "}}"
#define NINE "€€€€€€€€€"
#define NINES NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE

enum { PATIENCE_MS = 30000, SEEN_MAX = 1000, PARTS = 70000 };

static const struct row {
	const char *name;
	struct server_turn turn;
	enum model_outcome outcome;
	const char *seen;  /* deltas, and "(" whole ")" for each message */
	const char *error; /* a part of it */
	long long tokens;  /* prompt and completion; 0: not reported */
} rows[] = {
    {"words", CLOSES(STREAM SAYS("a") SAYS("b") ENDS(USAGE("3", "4"))), MODEL_COMPLETED, "ab(ab)",
	"", 7},
    {"a message without the words of its deltas",
	CLOSES(STREAM SAYS("a") ITEM("[]") SAYS("b") ITEM("null") ENDS("{}")), MODEL_COMPLETED,
	"a(a)b(b)", "", 0},
    {"a message with other words than its deltas",
	CLOSES(STREAM SAYS("a") ITEM("[{\"text\":\"b\"}]") ENDS("{}")), MODEL_COMPLETED, "a(b)", "",
	0},
    {"NULs", CLOSES(STREAM SAYS("a\\u0000b") ENDS("{}")), MODEL_COMPLETED,
	"a\xef\xbf\xbd"
	"b(a\xef\xbf\xbd"
	"b)",
	"", 0},
    {"a count that is none", CLOSES(STREAM ENDS(USAGE("\"3\"", "4"))), MODEL_COMPLETED, "", "", 0},
    {"a count below none", CLOSES(STREAM ENDS(USAGE("-3", "4"))), MODEL_COMPLETED, "", "", 0},
    {"counts that cannot be added",
	CLOSES(STREAM ENDS(USAGE("9223372036854775807", "9223372036854775807"))), MODEL_COMPLETED,
	"", "", 0},
    {"a count, by the event's name", CLOSES(STREAM NAMED ENDS(USAGE("3", "4"))), MODEL_COMPLETED,
	"", "", 7},
    {"a failure in what says that it is complete, with its words anywhere",
	CLOSES(STREAM NAMED ENDS("{\"status\":\"failed\",\"message\":\"oh\"}")), MODEL_FAILED, "",
	"failed: oh", 0},
    {"no response", CLOSES(STREAM NAMED ENDS("null")), MODEL_COMPLETED, "", "", 0},
    {"invalid UTF-8", CLOSES(STREAM DATA("\xff")), MODEL_FAILED, "", "not JSON.", 0},
    {"an error that is cut",
	CLOSES(STREAM DATA("{\"type\":\"error\",\"message\":\"" NINES NINES "\"}")), MODEL_FAILED,
	"", NINES, 0},
    {"the same, by other bytes",
	CLOSES(STREAM DATA("{\"type\":\"error\",\"message\":\"x" NINES NINES "\"}")), MODEL_FAILED,
	"", NINES, 0},
    {"the same, by others",
	CLOSES(STREAM DATA("{\"type\":\"error\",\"message\":\"xx" NINES NINES "\"}")), MODEL_FAILED,
	"", NINES, 0},
    {"an error with 200", CLOSES(OK "\r\n{\"error\":{\"message\":\"oh\"}}"), MODEL_FAILED, "",
	"failed: oh", 0},
    {"none, with 200", CLOSES(OK "\r\n{\"error\":null}"), MODEL_FAILED, "", "no response", 0},
};

static int
on_message(void *arg)
{
	(void)arg;
	return 0;
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	(void)kind;
	(void)index;
	return buf_puts(arg, words);
}

static int
on_written(void *arg, struct json_object *content, struct json_object *items)
{
	(void)items;
	buf_puts(arg, "(");
	for (size_t i = 0; i < json_len(content); i++)
		buf_puts(
		    arg, json_get_string(json_get_object(json_at(content, i), "text"), "value"));
	return buf_puts(arg, ")");
}

static void
ask(const struct row *row, struct buf *seen, struct model_result *result)
{
	struct json_object *options = json_object_new_object();
	const struct model_context context = {0};
	const struct model_request request = {.options = options,
	    .context = &context,
	    .deadline_ms = clock_ms() + PATIENCE_MS,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	    .arg = seen};
	struct http_client *client = http_client_new(NULL);
	struct model_server where = {0};
	struct server server;
	struct model *model;

	server_start(&server, &row->turn, 1);
	where.base_url = server.url;
	model = model_responses_new(client, &where);
	model_ask(model, &request, result);
	model_free(model);
	http_client_free(client);
	server_stop(&server);
	server_free(&server);
	json_object_put(options);
}

static void
check_row(const struct row *row)
{
	struct buf seen = BUF_INIT(SEEN_MAX);
	struct model_result result;

	ask(row, &seen, &result);
	check_int(row->name, result.outcome, row->outcome);
	check_text(row->name, seen.data ? seen.data : "", row->seen);
	check_has(row->name, result.error, row->error);
	check_int(row->name, utf8_valid(result.error, strlen(result.error)), true);
	check_int(row->name, result.prompt_tokens < 0, row->tokens == 0);
	if (row->tokens)
		check_int(row->name, result.prompt_tokens + result.completion_tokens, row->tokens);
	buf_free(&seen);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(&rows[i]);
}

/* More than is read, which must not look like nothing. */
static void
test_output_of_too_many_parts(void **state)
{
	struct buf events = BUF_INIT(PARTS * 4);
	struct row row = {
	    "too many parts", {.then = SERVER_CLOSE}, MODEL_FAILED, "", "not JSON.", 0};

	(void)state;
	buf_puts(&events,
	    STREAM NAMED "data: {\"type\":\"response.completed\",\"response\":"
			 "{\"output\":[[]");
	for (int i = 0; i < PARTS; i++)
		buf_puts(&events, ",[]");
	buf_puts(&events, "]}}\n\n");
	row.turn.pieces[0] = events.data;
	check_row(&row);
	buf_free(&events);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_output_of_too_many_parts),
	};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("responses", tests, NULL, NULL);
}
