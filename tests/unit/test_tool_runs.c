/*
 * Runs that call functions: which events clients see, in which order, and what the model is sent
 * once the outputs are there.
 */
#include "support.h"

#include "assistants/api.h"
#include "contexts.h"
#include "events.h"
#include "model/backend.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "text/json.h"

static struct db *db;
static struct api *api;
static char *folder;
static char events[4096];
static char assistant[64], thread[64], run[64];
static bool cancels;             /* the run is cancelled while the model calls */
static long long cost;           /* tokens that each answer costs; 0: a few */
static bool too_long;            /* the model accepts at most six entries */
static long long max_output;     /* the limit it was sent last */
static int rounds;               /* how often the model was asked */
				 /* how often the model was asked */
static struct json_object *seen; /* the context it was sent last */

/* First a sentence and two calls at once, then text. */
static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct json_object *content = model_text_content(rounds ? "57 F, 6 %" : "Let me see.");
	struct json_object *items = json_object_new_array();

	(void)model;
	json_object_put(seen);
	seen = context_json(request->context);
	max_output = request->max_output_tokens;
	if (too_long && json_len(seen) > 6) {
		result->outcome = MODEL_TOO_LONG;
		snprintf(result->error, sizeof result->error, "too long");
		json_object_put(content);
		json_object_put(items);
		return;
	}
	json_add(items, json_object_new_string(rounds ? "words" : "thought"));
	request->on_message(request->arg);
	request->on_delta(request->arg, MODEL_TEXT, 0, rounds ? "57 F, 6 %" : "Let me see.");
	request->on_written(request->arg, content, items);
	if (rounds++ == 0) {
		request->on_call(request->arg, 0, "call_a", "temperature");
		request->on_arguments(request->arg, 0, "{\"city\":");
		request->on_arguments(request->arg, 0, "\"SF\"}");
		request->on_called(request->arg, 0, "{\"city\":\"SF\"}");
		request->on_call(request->arg, 1, "call_b", "rain");
		request->on_called(request->arg, 1, "{}");
		result->items = json_object_get(items);
		if (cancels) {
			struct db_tx *tx = db_begin(db, DB_WRITE);
			struct db_stmt *stmt = db_prepare(tx,
			    "UPDATE runs SET status = 'cancelling' WHERE status = "
			    "'in_progress'");

			assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
			assert_int_equal(db_commit(tx), 0);
		}
	}
	json_object_put(items);
	json_object_put(content);
	result->outcome = MODEL_COMPLETED;
	result->prompt_tokens = cost ? cost : 10;
	result->completion_tokens = cost ? cost : 5;
}

static struct model model = {.ask = ask};

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	size_t used = strlen(events);

	(void)arg;
	snprintf(events + used, sizeof events - used, "%s\n", event);
	if (strcmp(event, "thread.run.created") == 0)
		snprintf(run, sizeof run, "%s", json_get_string(data, "id"));
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

/* `body` is JSON in single quotes. The answer is the caller's. */
static struct json_object *
call(const char *method, const char *path, const char *body, int *status)
{
	struct api_request request = {.tenant = "t",
	    .method = method,
	    .path = path,
	    .listener = &(struct listener){.on_event = on_event_heard}};
	struct api_response response;
	char *text = strdup(body ? body : "null");

	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(text, strlen(text), &request.body), 0);
	free(text);
	events[0] = '\0';
	api_handle(api, &request, &response);
	json_object_put(request.body);
	*status = response.status;
	return response.body;
}

static struct json_object *
call_well(const char *method, const char *path, const char *body)
{
	int status;
	struct json_object *object = call(method, path, body, &status);

	if (status != 200)
		fail_msg("%s %s: %d %s", method, path, status, json_text(object));
	return object;
}

static void
make(const char *path, const char *body, char id[64])
{
	struct json_object *object = call_well("POST", path, body);

	snprintf(id, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
}

static const char *
run_path(const char *below)
{
	static char path[256];

	snprintf(path, sizeof path, "/threads/%s/runs/%s%s", thread, run, below);
	return path;
}

static void
check_refused(const char *path, const char *body, const char *words)
{
	int status;
	struct json_object *object = call("POST", path, body, &status);

	check_int(body, status, 400);
	check_has(body, json_get_string(json_get(object, "error"), "message"), words);
	json_object_put(object);
}

static void
start_round(const char *more)
{
	char body[512], path[128];

	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	snprintf(body, sizeof body,
	    "{'assistant_id': '%s', 'stream': true, 'additional_messages': "
	    "[{'role': 'user', 'content': 'Weather?'}]%s}",
	    assistant, more);
	json_object_put(call_well("POST", path, body));
}

/* A run that waits for two outputs. */
static void
start(const char *more)
{
	rounds = 0;
	start_round(more);
}

static int
set_up(void **state)
{
	char error[ERROR_SIZE], *path;

	(void)state;
	folder = folder_new();
	path = path_in(folder, "test.db");
	db = db_open(path, false, error);
	free(path);
	api = api_new(db, &model, folder, 600, 100000);
	make("/assistants", "{'model': 'm'}", assistant);
	make("/threads", "{}", thread);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	json_object_put(seen);
	seen = NULL;
	api_free(api);
	db_close(db);
	folder_remove(folder);
	return 0;
}

static const char both[] = "{'tool_outputs': [{'tool_call_id': 'call_b', 'output': '6 %'}, "
			   "{'tool_call_id': 'call_a', 'output': '57 F'}]";

static void
check_member(struct json_object *object, const char *path, const char *expected)
{
	struct json_object *at = NULL;

	json_pointer_get(object, path, &at);
	check_text(path, at ? json_object_get_string(at) : NULL, expected);
}

static void
calls_are_reported_and_waited_for(void **state)
{
	struct json_object *object;

	(void)state;
	start("");
	check_text("events", events,
	    "thread.run.created\nthread.run.queued\nthread.run.in_progress\n"
	    "thread.run.step.created\nthread.run.step.in_progress\nthread.message.created\n"
	    "thread.message.in_progress\nthread.message.delta\nthread.message.completed\n"
	    "thread.run.step.completed\nthread.run.step.created\nthread.run.step.in_progress\n"
	    "thread.run.step.delta\nthread.run.step.delta\nthread.run.step.delta\n"
	    "thread.run.step.delta\nthread.run.requires_action\n");
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/status", "requires_action");
	check_member(object, "/required_action/submit_tool_outputs/tool_calls/0/id", "call_a");
	check_member(object, "/required_action/submit_tool_outputs/tool_calls/0/function/arguments",
	    "{\"city\":\"SF\"}");
	check_member(
	    object, "/required_action/submit_tool_outputs/tool_calls/1/function/name", "rain");
	/* It is counted, but shown only when the run is over. */
	check_member(object, "/usage", NULL);
	json_object_put(object);
	object = call_well("GET", run_path("/steps"), NULL);
	check_member(object, "/data/0/usage", NULL);
	check_member(object, "/data/0/type", "tool_calls");
	check_member(object, "/data/0/status", "in_progress");
	check_member(object, "/data/0/step_details/tool_calls/0/function/output", NULL);
	check_member(object, "/data/1/type", "message_creation");
	json_object_put(object);
}

static void
outputs_continue_the_run(void **state)
{
	struct json_object *object;
	char body[512];

	(void)state;
	start("");
	snprintf(body, sizeof body, "%s, 'stream': true}", both);
	json_object_put(call_well("POST", run_path("/submit_tool_outputs"), body));
	check_text("events", events,
	    "thread.run.step.completed\nthread.run.queued\nthread.run.in_progress\n"
	    "thread.run.step.created\nthread.run.step.in_progress\nthread.message.created\n"
	    "thread.message.in_progress\nthread.message.delta\nthread.message.completed\n"
	    "thread.run.step.completed\nthread.run.completed\n");
	check_int("entries", (long long)json_len(seen), 3);
	check_member(seen, "/0/role", "user");
	check_member(seen, "/1/items/0", "thought");
	check_member(seen, "/2/items/0", "thought");
	check_member(seen, "/2/calls/0/name", "temperature");
	check_member(seen, "/2/calls/0/output", "57 F");
	check_member(seen, "/2/calls/1/output", "6 %");
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/status", "completed");
	check_member(object, "/required_action", NULL);
	check_member(object, "/usage/total_tokens", "30");
	check_member(object, "/usage/prompt_token_details/cached_tokens", "0");
	json_object_put(object);
	object = call_well("GET", run_path("/steps"), NULL);
	check_int("steps", (long long)json_len(json_get(object, "data")), 3);
	check_member(object, "/data/0/usage/total_tokens", "15");
	check_member(object, "/data/1/usage/total_tokens", "15");
	check_member(object, "/data/1/status", "completed");
	check_member(object, "/data/1/step_details/tool_calls/1/function/output", "6 %");
	json_object_put(object);
	/* The calls stay in the conversation. */
	start("");
	check_int("later", (long long)json_len(seen), 5);
	check_member(seen, "/2/calls/0/output", "57 F");
}

static void
a_run_needs_no_listener(void **state)
{
	struct json_object *object;
	char body[512];

	(void)state;
	start("");
	snprintf(body, sizeof body, "%s}", both);
	object = call_well("POST", run_path("/submit_tool_outputs"), body);
	check_member(object, "/status", "queued");
	json_object_put(object);
	for (int i = 0; i < 1000; i++) {
		bool done;

		object = call_well("GET", run_path(""), NULL);
		done = strcmp(json_get_string(object, "status"), "completed") == 0;
		json_object_put(object);
		if (done)
			return;
		interrupt_sleep(NULL, 10);
	}
	fail_msg("the run did not go on");
}

static void
other_outputs_are_refused(void **state)
{
	char body[512];

	(void)state;
	start("");
	check_refused(run_path("/submit_tool_outputs"),
	    "{'tool_outputs': [{'tool_call_id': 'call_a', 'output': ''}]}",
	    "Expected tool outputs for call_ids ['call_a', 'call_b'], got ['call_a']");
	check_refused(run_path("/submit_tool_outputs"),
	    "{'tool_outputs': [{'tool_call_id': 'call_a'}, {'tool_call_id': 'call_c'}]}",
	    "got ['call_a', 'call_c']");
	check_refused(run_path("/submit_tool_outputs"), "{'tool_outputs': []}", "got []");
	check_refused(run_path("/submit_tool_outputs"), "{}", "tool_outputs");
	check_refused(run_path("/submit_tool_outputs"), "{'tool_outputs': [{}]}", "tool_call_id");
	json_object_put(call_well("POST", run_path("/cancel"), NULL));
	snprintf(body, sizeof body, "%s}", both);
	check_refused(run_path("/submit_tool_outputs"), body,
	    "Runs in status \"cancelled\" do not accept tool outputs.");
}

static void
a_cancelled_run_s_step_is_cancelled(void **state)
{
	struct json_object *object;

	(void)state;
	start("");
	object = call_well("POST", run_path("/cancel"), NULL);
	check_member(object, "/status", "cancelled");
	check_member(object, "/required_action", NULL);
	json_object_put(object);
	object = call_well("GET", run_path("/steps"), NULL);
	check_member(object, "/data/0/status", "cancelled");
	assert_non_null(json_get(json_at(json_get(object, "data"), 0), "cancelled_at"));
	json_object_put(object);
	/* A model is not sent calls without outputs. */
	start("");
	check_int("context", (long long)json_len(seen), 3);
}

static void
a_cancellation_counts_even_if_the_model_calls(void **state)
{
	struct json_object *object;

	(void)state;
	cancels = true;
	start("");
	cancels = false;
	check_has("events", events, "thread.run.step.cancelled\nthread.run.cancelled\n");
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/status", "cancelled");
	check_member(object, "/required_action", NULL);
	json_object_put(object);
	/* The thread is free. */
	start("");
}

/* Ten messages of some 400 KB in all, and one more: a hundred thousand tokens. */
static void
half_of_what_is_too_long_is_tried_once(void **state)
{
	char *body = malloc(50000), path[128];
	struct json_object *object;

	(void)state;
	snprintf(path, sizeof path, "/threads/%s/messages", thread);
	for (int i = 0; i < 10; i++) {
		snprintf(body, 50000, "{'role': 'user', 'content': '%d%s'}", i, "");
		memset(body + strlen(body) - 2, 'x', 39000);
		snprintf(body + 39000, 4, "'}");
		json_object_put(call_well("POST", path, body));
	}
	free(body);
	too_long = true;
	rounds = 1;
	start_round("");
	too_long = false;
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/status", "completed");
	json_object_put(object);
	assert_true(json_len(seen) <= 6);
	/* The beginning and the end. */
	check_has("first", json_text(json_at(seen, 0)), "\"0x");
	check_has("last", json_text(json_at(seen, json_len(seen) - 1)), "Weather?");
}

/* The limits are for all rounds of the run together. */
static void
limits_of_tokens_hold_over_all_rounds(void **state)
{
	static const struct {
		const char *more, *status, *reason;
		int rounds;
		long long allowed;
	} rows[] = {
	    {", 'max_completion_tokens': 256", "completed", NULL, 2, 251},
	    {", 'max_prompt_tokens': 256", "completed", NULL, 2, 0},
	    {", 'max_completion_tokens': 1000", "incomplete", "max_completion_tokens", 1, 1000},
	    {", 'max_prompt_tokens': 1000", "incomplete", "max_prompt_tokens", 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *object;
		char body[512];

		cost = i < 2 ? 0 : 1000;
		start(rows[i].more);
		snprintf(body, sizeof body, "%s, 'stream': true}", both);
		json_object_put(call_well("POST", run_path("/submit_tool_outputs"), body));
		object = call_well("GET", run_path(""), NULL);
		check_member(object, "/status", rows[i].status);
		check_member(object, "/incomplete_details/reason", rows[i].reason);
		json_object_put(object);
		check_int(rows[i].more, rounds, rows[i].rounds);
		check_int(rows[i].more, max_output, rows[i].allowed);
	}
	cost = 0;
}

static void
a_thread_and_its_run_are_made_at_once(void **state)
{
	char body[512];

	(void)state;
	rounds = 1;
	snprintf(body, sizeof body,
	    "{'assistant_id': '%s', 'stream': true, 'thread': {'messages': [{'role': 'user', "
	    "'content': 'Hello'}]}}",
	    assistant);
	json_object_put(call_well("POST", "/threads/runs", body));
	check_int(
	    "thread.created first", strncmp(events, "thread.created\nthread.run.created\n", 33), 0);
	check_int("context", (long long)json_len(seen), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(calls_are_reported_and_waited_for),
	    TEST(outputs_continue_the_run),
	    TEST(a_run_needs_no_listener),
	    TEST(other_outputs_are_refused),
	    TEST(a_cancelled_run_s_step_is_cancelled),
	    TEST(a_cancellation_counts_even_if_the_model_calls),
	    TEST(half_of_what_is_too_long_is_tried_once),
	    TEST(limits_of_tokens_hold_over_all_rounds),
	    TEST(a_thread_and_its_run_are_made_at_once),
	};

	return cmocka_run_group_tests_name("tool_runs", tests, NULL, NULL);
}
