/* What the Responses API's answers come to: the callbacks, and how it ended. */
#include "support.h"

#include "model/model.h"
#include "util/json.h"
#include "util/text.h"

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define ADDED "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\"}}\n\n"
#define DELTA(words) "data: {\"type\":\"response.output_text.delta\",\"delta\":\"" words "\"}\n\n"
#define DONE(parts)                                                                                \
	"data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"message\","            \
	"\"content\":[" parts "]}}\n\n"
#define TEXT(words) "{\"type\":\"output_text\",\"text\":\"" words "\"}"
#define END(more)                                                                                  \
	"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"" more       \
	"}}\n\n"
#define USAGE(in, out) ",\"usage\":{\"input_tokens\":" in ",\"output_tokens\":" out "}"
#define TEN_A "aaaaaaaaaa"
#define HUNDRED_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A

static char heard[256]; /* "M" for a message that begins, "D:words ", "W[part|part] " */

static void
hear(const char *before, const char *words, const char *after)
{
	size_t used = strlen(heard);

	snprintf(heard + used, sizeof heard - used, "%s%s%s", before, words, after);
}

static int
on_message(void *arg)
{
	(void)arg;
	hear("M", "", " ");
	return 0;
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	(void)arg;
	(void)kind;
	(void)index;
	hear("D:", words, " ");
	return 0;
}

static int
on_written(void *arg, struct json_object *content)
{
	(void)arg;
	hear("W[", "", "");
	for (size_t i = 0; i < json_len(content); i++)
		hear(i ? "|" : "", json_get_string(json_get(json_at(content, i), "text"), "value"),
		    "");
	hear("", "", "] ");
	return 0;
}

static const struct row {
	const char *stream, *heard;
	enum model_outcome outcome;
	long long prompt_tokens;
	const char *error; /* its beginning */
} rows[] = {
    {STREAM ADDED DELTA("a") DELTA("b") DONE(TEXT("ab")) END(USAGE("1", "2")), "M D:a D:b W[ab] ",
	MODEL_COMPLETED, 1, ""},
    {STREAM DELTA("a") END(""), "M D:a W[a] ", MODEL_COMPLETED, -1, ""},
    {STREAM DONE(TEXT("a") "," TEXT("b")) END(""), "M D:a D:b W[a|b] ", MODEL_COMPLETED, -1, ""},
    {STREAM DELTA("a"), "M D:a ", MODEL_FAILED, -1,
	"The model server's stream ended before its answer did."},
    /* A message that is announced, and gets no words, is a message nevertheless. */
    {STREAM ADDED END(""), "M W[] ", MODEL_COMPLETED, -1, ""},
    {STREAM DONE(TEXT("a")) ADDED END(""), "M D:a W[a] M W[] ", MODEL_COMPLETED, -1, ""},
    /* More than anybody can count is not added up. */
    {STREAM END(USAGE("9223372036854775807", "1")), "", MODEL_COMPLETED, -1, ""},
    {STREAM END(USAGE("1", "-1")), "", MODEL_COMPLETED, -1, ""},
    /* The error is stored as JSON: it must be UTF-8, where it is cut, too. */
    {STREAM "data: \xff\n\n", "", MODEL_FAILED, -1,
	"The model server sent an event that is not JSON: \xef\xbf\xbd"},
    {STREAM "data: {\"type\":\"error\",\"message\":\"" HUNDRED_A HUNDRED_A HUNDRED_A HUNDRED_A TEN_A
	    TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A "aaaaaaaaa"
	    "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}\n\n",
	"", MODEL_FAILED, -1, "The model server failed: aaa"},
};

static void
ask(const struct row *row, struct model_result *result)
{
	const struct server_turn turn = CLOSES(row->stream);
	struct model_request request = {
	    .options = json_object_new_object(),
	    .messages = json_object_new_array(),
	    .timeout_ms = 60000,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	};
	struct http_client *client = http_client_new(NULL);
	struct model_server model_server;
	struct server server;
	struct model *model;

	server_start(&server, &turn, 1);
	model_server = (struct model_server){.base_url = server.url};
	model = model_responses_new(client, &model_server);
	assert_non_null(model);
	heard[0] = '\0';
	model_ask(model, &request, result);
	model_free(model);
	http_client_free(client);
	server_stop(&server);
	server_free(&server);
	json_object_put(request.options);
	json_object_put(request.messages);
}

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct model_result result;

		ask(&rows[i], &result);
		check_text(rows[i].stream, heard, rows[i].heard);
		check_int(rows[i].stream, result.outcome, rows[i].outcome);
		check_int(rows[i].stream, result.prompt_tokens, rows[i].prompt_tokens);
		check_has(rows[i].stream, result.error, rows[i].error);
		check_int(rows[i].stream, utf8_valid(result.error, strlen(result.error)), true);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests_name("responses", tests, NULL, NULL);
}
