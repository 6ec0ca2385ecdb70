/*
 * The cost of a run whose model server could not report it: which servers were at work, and what is
 * counted then.
 */
#include "api_calls.h"

#include "net/http_client.h"
#include "os/clock.h"
#include "os/interrupt.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define STREAM OK "Content-Type: text/event-stream\r\n\r\n"
#define DATA(json) "data: " json "\n\n"
#define BEGINS STREAM DATA("{\"type\":\"response.created\",\"response\":{}}")
#define SAYS DATA("{\"type\":\"response.output_text.delta\",\"delta\":\"word\"}")
#define ERRS DATA("{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"oh\"}")
#define STATUS(status) "HTTP/1.1 " status " Error\r\nContent-Length: 0\r\n\r\n"

enum { WAIT_MS = 400, PATIENCE_MS = 30000 };

/* --- which servers were at work --- */

static const struct row {
	const char *name;
	struct server_turn turns[2];
	enum { WAITS, EXPIRES, LEAVES } how; /* after WAIT_MS, the last two */
	enum model_outcome outcome;
	bool charged;
} rows[] = {
    {"a cut stream", {CLOSES(BEGINS SAYS)}, WAITS, MODEL_FAILED, true},
    {"cut before the first word", {CLOSES(BEGINS)}, WAITS, MODEL_FAILED, true},
    {"left in the middle", {HOLDS(BEGINS SAYS)}, LEAVES, MODEL_INTERRUPTED, true},
    {"left before the first word", {HOLDS(BEGINS)}, LEAVES, MODEL_INTERRUPTED, true},
    {"left in silence", {HOLDS("")}, LEAVES, MODEL_INTERRUPTED, true},
    {"silent in the middle", {HOLDS(BEGINS SAYS)}, EXPIRES, MODEL_SILENT, true},
    {"silent", {HOLDS("")}, EXPIRES, MODEL_SILENT, true},
    {"an error after words", {CLOSES(BEGINS SAYS ERRS)}, WAITS, MODEL_FAILED, true},
    {"an error in place of words", {CLOSES(BEGINS ERRS)}, WAITS, MODEL_FAILED, false},
    {"an error with 200", {CLOSES(OK "\r\n{\"error\":{}}")}, WAITS, MODEL_FAILED, false},
    {"no answer of a model", {CLOSES(OK "\r\n<html>")}, WAITS, MODEL_FAILED, false},
    {"400", {CLOSES(STATUS("400"))}, WAITS, MODEL_FAILED, false},
    {"500", {CLOSES(STATUS("500"))}, WAITS, MODEL_FAILED, false},
    {"a connection that is closed", {CLOSES("")}, WAITS, MODEL_FAILED, false},
    {"busy", {CLOSES("HTTP/1.1 429 Error\r\nRetry-After: 3600\r\n\r\n")}, WAITS, MODEL_BUSY, false},
    {"left in the pause after busy", {CLOSES("HTTP/1.1 429 Error\r\nRetry-After: 9\r\n\r\n")},
	LEAVES, MODEL_INTERRUPTED, false},
    {"incomplete, and nothing was said",
	{CLOSES(STREAM DATA("{\"type\":\"response.incomplete\",\"response\":"
			    "{\"status\":\"incomplete\",\"output\":[]}}"))},
	WAITS, MODEL_INCOMPLETE, true},
};

static int
ignore_message(void *arg)
{
	(void)arg;
	return 0;
}

static int
ignore_delta(void *arg, enum model_part kind, int index, const char *words)
{
	(void)arg;
	(void)kind;
	(void)index;
	(void)words;
	return 0;
}

static int
ignore_written(void *arg, struct json_object *content, struct json_object *items)
{
	(void)arg;
	(void)content;
	(void)items;
	return 0;
}

static bool
is_past(void *arg)
{
	return clock_ms() >= *(long long *)arg;
}

static void
ask_server(const char *url, int how, struct model_result *result)
{
	long long end_ms = clock_ms() + (how == LEAVES ? WAIT_MS : PATIENCE_MS);
	const struct interrupt interrupt = {.fd = -1, .raised = is_past, .arg = &end_ms};
	const struct model_server server = {.base_url = url};
	struct model_request request = {
	    .options = json_of("{'model': 'm'}"),
	    .context = &(struct model_context){0},
	    .deadline_ms = clock_ms() + (how == EXPIRES ? WAIT_MS : PATIENCE_MS),
	    .interrupt = &interrupt,
	    .on_message = ignore_message,
	    .on_delta = ignore_delta,
	    .on_written = ignore_written,
	};
	struct http_client *client = http_client_new(NULL);
	struct model *model = model_responses_new(client, &server);

	assert_non_null(model);
	model_ask(model, &request, result);
	model_free(model);
	http_client_free(client);
	json_object_put(request.options);
}

static void
servers_that_were_at_work_are_paid(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct model_result result;
		struct server server;
		struct capture capture;

		server_start(&server, rows[i].turns, 1);
		capture_start(&capture);
		ask_server(server.url, rows[i].how, &result);
		free(capture_end(&capture));
		server_stop(&server);
		server_free(&server);
		check_int(rows[i].name, result.outcome, rows[i].outcome);
		check_int(rows[i].name, result.charged, rows[i].charged);
		check_int(rows[i].name, result.prompt_tokens, -1);
	}
}

static void
unreachable_servers_are_not_paid(void **state)
{
	struct model_result result;
	struct server server;
	struct capture capture;

	(void)state;
	server_start(&server, NULL, 0);
	capture_start(&capture);
	ask_server(server.url, LEAVES, &result);
	free(capture_end(&capture));
	server_stop(&server);
	server_free(&server);
	assert_false(result.charged);
}

/* --- what is counted --- */

static const struct end {
	const char *name;
	enum model_outcome outcome;
	bool charged;
	long long told; /* reported tokens of each kind; -1: none */
	const char *status, *usage;
} ends[] = {
    /* Sent: instructions of 9 bytes, a message of 6. Received: 5 bytes of text, a call of 9. */
    {"left", MODEL_INTERRUPTED, true, -1, "cancelled", "[4,4,8]"},
    {"expired", MODEL_SILENT, true, -1, "expired", "[4,4,8]"},
    {"broke off", MODEL_FAILED, true, -1, "failed", "[4,4,8]"},
    {"incomplete", MODEL_INCOMPLETE, true, -1, "incomplete", "[4,4,8]"},
    {"busy in the middle", MODEL_BUSY, true, -1, "failed", "[4,4,8]"},
    {"told all the same", MODEL_INTERRUPTED, true, 3, "cancelled", "[3,3,6]"},
    {"never at work", MODEL_FAILED, false, -1, "failed", "null"},
    {"busy", MODEL_BUSY, false, -1, "failed", "null"},
    {"not over", MODEL_COMPLETED, true, -1, "requires_action", "null"},
};

static const struct end *end;

static void
speak(struct model *model, const struct model_request *request, struct model_result *result)
{
	(void)model;
	request->on_message(request->arg);
	request->on_delta(request->arg, MODEL_TEXT, 0, "words");
	if (request->context->len == 1) {
		struct json_object *content = model_text_content("words");

		request->on_written(request->arg, content, NULL);
		json_object_put(content);
		request->on_call(request->arg, 0, "call_1", "rain");
		request->on_arguments(request->arg, 0, "{\"a\"");
		request->on_arguments(request->arg, 0, "}");
		request->on_called(request->arg, 0, "{\"a\"}");
	}
	result->outcome = end->outcome;
	result->charged = end->charged;
	result->prompt_tokens = result->completion_tokens = end->told;
	snprintf(result->error, sizeof result->error, "an error");
}

static struct model speaker = {.ask = speak};

/* A thread with a message, and a run on it. `more`: members of the run. */
static void
start(char thread[256], const char *more)
{
	char assistant[256], body[512], path[300];

	make(assistant, "/assistants", "{'model': 'm', 'instructions': 'Be brief.'}");
	make(thread, "/threads", "{'messages': [{'role': 'user', 'content': 'Hello!'}]}");
	snprintf(body, sizeof body, "{'assistant_id': '%s', 'stream': true%s}",
	    strrchr(assistant, '/') + 1, more);
	snprintf(path, sizeof path, "%s/runs", thread);
	json_object_put(call("POST", path, body));
}

static void
check_run(const char *thread, const char *usage)
{
	static const char *const names[] = {"prompt_tokens", "completion_tokens", "total_tokens"};
	struct json_object *run, *shown, *counts = NULL;
	char path[400];

	snprintf(path, sizeof path, "%s/runs/%s", thread, here.run);
	run = call("GET", path, NULL);
	shown = json_get(run, "usage");
	if (shown) {
		counts = json_object_new_array();
		for (size_t i = 0; i < COUNT(names); i++)
			json_add(counts, json_object_get(json_get(shown, names[i])));
	}
	check_text(end->name, json_get_string(run, "status"), end->status);
	check_text(end->name, shown ? json_text(counts) : "null", usage);
	json_object_put(counts);
	json_object_put(run);
}

static int
open_speaker(void **state)
{
	api_open(state);
	api_free(here.api);
	here.api = api_new(here.db, &speaker, here.folder, 600, 100000);
	return 0;
}

static void
an_end_without_a_count_is_estimated(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct capture capture;
		char thread[256];

		end = &ends[i];
		capture_start(&capture);
		start(thread, "");
		free(capture_end(&capture));
		check_run(thread, end->usage);
	}
}

static void
tools_count_too(void **state)
{
	static const char tools[] = "[{'type': 'function', 'function': {'name': 'rain'}}]";
	char thread[256], more[128], usage[64];
	struct json_object *shown = json_of(tools);
	long long prompt = (9 + 6 + (long long)strlen(json_text(shown)) + 3) / 4;

	(void)state;
	end = &ends[0];
	snprintf(more, sizeof more, ", 'tools': %s", tools);
	start(thread, more);
	snprintf(usage, sizeof usage, "[%lld,4,%lld]", prompt, prompt + 4);
	check_run(thread, usage);
	json_object_put(shown);
}

/* Two rounds; the server reported the first one's cost. */
static void
rounds_add_up(void **state)
{
	static const struct end first = {.outcome = MODEL_COMPLETED, .told = 100};
	char thread[256], path[400];

	(void)state;
	end = &first;
	start(thread, "");
	end = &ends[0];
	snprintf(path, sizeof path, "%s/runs/%s/submit_tool_outputs", thread, here.run);
	json_object_put(call("POST", path,
	    "{'stream': true, 'tool_outputs': [{'tool_call_id': 'call_1', 'output': 'much'}]}"));
	/* 9 + 6 + 5 + 9 + 4 bytes, and 5. */
	check_run(thread, "[109,102,211]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers_that_were_at_work_are_paid),
	    cmocka_unit_test(unreachable_servers_are_not_paid),
	    cmocka_unit_test_setup_teardown(
		an_end_without_a_count_is_estimated, open_speaker, api_close),
	    cmocka_unit_test_setup_teardown(tools_count_too, open_speaker, api_close),
	    cmocka_unit_test_setup_teardown(rounds_add_up, open_speaker, api_close),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
