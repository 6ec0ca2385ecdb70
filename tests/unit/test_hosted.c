/*
 * Hosted tools, tested with a small one: several rounds, beside functions, cancelled, killed in the
 * middle, streamed and polled.
 */
#include "support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assistants/call.h"
#include "contexts.h"
#include "events.h"
#include "model/backend.h"
#include "text/json.h"
#include "text/memory.h"

static struct db *db;
static struct api *api;
static char *folder;
static char events[4096];
static char assistant[64], thread[64], run[64];
/* The model's answer in each round: "h" calls the hosted tool, "f" a function; "" ends. */
static const char *const *script;
static int rounds;
static struct json_object *first_choice;
static struct json_object *seen, *tools, *choice; /* what the model was sent last */
static enum { ANSWERS, CANCELLED, STAYS, FORGETS, HAS_NO_MEMORY } tool_does;
static int told[2]; /* the child writes when its tool is running */

/* --- the model --- */

static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	const char *calls = script[rounds];
	struct json_object *content = model_text_content("done");

	(void)model;
	json_object_put(seen);
	json_object_put(tools);
	json_object_put(choice);
	seen = context_json(request->context);
	tools = json_object_get(json_get(request->options, "tools"));
	choice = json_object_get(json_get(request->options, "tool_choice"));
	if (rounds == 0) {
		json_object_put(first_choice);
		first_choice = json_object_get(choice);
	}
	for (int i = 0; calls[i]; i++) {
		char id[32];

		snprintf(id, sizeof id, "call_%d_%d", rounds, i);
		request->on_call(request->arg, i, id, calls[i] == 'h' ? "search" : "weather");
		request->on_arguments(request->arg, i, "{\"q\":1}");
		request->on_called(request->arg, i, "{\"q\":1}");
	}
	if (!*calls) {
		request->on_message(request->arg);
		request->on_written(request->arg, content, NULL);
	} else {
		rounds += script[rounds + 1] != NULL;
		result->items = json_object_new_array();
		json_add(result->items, json_object_new_string("thought"));
	}
	json_object_put(content);
	result->outcome = MODEL_COMPLETED;
	result->prompt_tokens = 10;
	result->completion_tokens = 5;
}

static struct model model = {.ask = ask};

/* --- the tool --- */

static struct json_object *
function(const struct hosted_tool *self, struct json_object *tool)
{
	struct json_object *told_function = json_object_new_object();

	assert_string_equal(json_get_string(tool, "type"), self->type);
	json_set_string(told_function, "name", self->name);
	return told_function;
}

static struct json_object *
begin(const struct hosted_tool *self, const struct hosted_call *call)
{
	struct json_object *shown = json_object_new_object();

	json_set_string(shown, "id", call->id);
	json_set_string(shown, "type", self->type);
	json_set(shown, "file_search", json_object_new_object());
	return shown;
}

static struct json_object *call_well(const char *method, const char *path, const char *body);
static const char *run_path(const char *below);

static char *
run_tool(const struct hosted_tool *self, const struct hosted_call *call, struct json_object *shown)
{
	(void)self;
	if (tool_does == STAYS)
		assert_int_equal(write(told[1], "", 1), 1);
	if (tool_does == CANCELLED) {
		snprintf(run, sizeof run, "%s", call->run->id);
		json_object_put(call_well("POST", run_path("/cancel"), NULL));
	}
	if (tool_does == HAS_NO_MEMORY)
		return NULL;
	if (tool_does == FORGETS)
		memory_fail();
	while (tool_does == CANCELLED || tool_does == STAYS)
		if (interrupt_sleep(call->interrupt, 60000))
			return NULL;
	json_set_string(json_get(shown, "file_search"), "results", "three");
	return strdup(call->arguments);
}

static const struct hosted_tool tool = {
    .type = "file_search", .name = "search", .function = function, .begin = begin, .run = run_tool};
static const struct hosted_tool *const hosted[] = {&tool, NULL};

/* --- events --- */

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	size_t used = strlen(events);

	(void)arg;
	/* Without the prefix that all have. */
	snprintf(events + used, sizeof events - used, "%s ", event + strlen("thread."));
	if (strcmp(event, "thread.run.created") == 0)
		snprintf(run, sizeof run, "%s", json_get_string(data, "id"));
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

static struct json_object *
call_well(const char *method, const char *path, const char *body)
{
	struct listener listener = {.on_event = on_event_heard};
	struct api_request request = {
	    .tenant = "t", .method = method, .path = path, .listener = &listener};
	struct api_response response;
	char *text = strdup(body ? body : "null");

	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(text, strlen(text), &request.body), 0);
	free(text);
	api_handle(api, &request, &response);
	json_object_put(request.body);
	if (response.status != 200)
		fail_msg("%s %s: %d %s", method, path, response.status, json_text(response.body));
	return response.body;
}

static void
make(const char *path, const char *body, char id[64])
{
	struct json_object *object = call_well("POST", path, body);

	if (object)
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
open_api(void)
{
	char error[ERROR_SIZE], *path = path_in(folder, "test.db");

	db = db_open(path, false, error);
	free(path);
	assert_non_null(db);
	api = api_new(db, &model, folder, 600, 100000);
	assert_non_null(api);
	api->runs.hosted = hosted;
}

static int
set_up(void **state)
{
	(void)state;
	folder = folder_new();
	rounds = 0;
	tool_does = ANSWERS;
	open_api();
	make("/assistants",
	    "{'model': 'm', 'tools': [{'type': 'file_search'}, {'type': 'function', 'function': "
	    "{'name': 'weather'}}]}",
	    assistant);
	make("/threads", "{'messages': [{'role': 'user', 'content': 'Well?'}]}", thread);
	return pipe(told);
}

static int
tear_down(void **state)
{
	(void)state;
	json_object_put(seen);
	json_object_put(tools);
	json_object_put(choice);
	json_object_put(first_choice);
	seen = tools = choice = first_choice = NULL;
	api_free(api);
	db_close(db);
	close(told[0]);
	close(told[1]);
	folder_remove(folder);
	return 0;
}

static void
start(const char *more)
{
	char body[256], path[128];

	events[0] = '\0';
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	snprintf(body, sizeof body, "{'assistant_id': '%s'%s}", assistant, more);
	make(path, body, run);
}

#define STREAM ", 'stream': true"

static void
check_member(struct json_object *object, const char *path, const char *expected)
{
	struct json_object *at = NULL;

	json_pointer_get(object, path, &at);
	check_text(path, at ? json_object_get_string(at) : NULL, expected);
}

static void
check_run(const char *status, const char *tokens)
{
	struct json_object *object = call_well("GET", run_path(""), NULL);

	check_member(object, "/status", status);
	check_member(object, "/usage/total_tokens", tokens);
	json_object_put(object);
}

/* --- the tests --- */

#define STEP_OF_ONE "run.step.created run.step.in_progress run.step.delta run.step.completed "
#define ANSWER                                                                                     \
	"run.step.created run.step.in_progress message.created message.in_progress "               \
	"message.completed run.step.completed run.completed "

static void
the_model_is_asked_until_it_answers(void **state)
{
	static const char *const three[] = {"h", "hh", "", NULL};
	struct json_object *steps;

	(void)state;
	script = three;
	start(STREAM);
	check_text("events", events,
	    "run.created run.queued run.in_progress " STEP_OF_ONE
	    "run.step.created run.step.in_progress run.step.delta run.step.delta "
	    "run.step.completed " ANSWER);
	check_member(seen, "/1/calls/0/name", "search");
	check_member(seen, "/1/calls/0/output", "{\"q\":1}");
	check_member(seen, "/1/items/0", "thought");
	check_member(seen, "/2/calls/1/id", "call_1_1");
	check_int("entries", (long long)json_len(seen), 3);
	check_member(tools, "/0/type", "function");
	check_member(tools, "/0/function/name", "search");
	check_member(tools, "/1/function/name", "weather");
	check_run("completed", "45");
	steps = call_well("GET", run_path("/steps"), NULL);
	check_member(steps, "/data/2/status", "completed");
	check_member(steps, "/data/2/usage/total_tokens", "15");
	check_member(steps, "/data/1/step_details/tool_calls/1/type", "file_search");
	check_member(steps, "/data/1/step_details/tool_calls/1/file_search/results", "three");
	check_member(steps, "/data/0/type", "message_creation");
	json_object_put(steps);
}

static void
hosted_calls_are_run_before_functions_are_waited_for(void **state)
{
	static const char *const mixed[] = {"fh", "", NULL};
	struct json_object *object;

	(void)state;
	script = mixed;
	start(STREAM);
	check_text("events", events,
	    "run.created run.queued run.in_progress " STEP_OF_ONE
	    "run.step.created run.step.in_progress run.step.delta run.requires_action ");
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/required_action/submit_tool_outputs/tool_calls/0/id", "call_0_0");
	check_member(object, "/required_action/submit_tool_outputs/tool_calls/1", NULL);
	json_object_put(object);
	events[0] = '\0';
	object = call_well("POST", run_path("/submit_tool_outputs"),
	    "{'tool_outputs': [{'tool_call_id': 'call_0_0', 'output': 'rain'}]" STREAM "}");
	json_object_put(object);
	check_text("events", events, "run.step.completed run.queued run.in_progress " ANSWER);
	/* Both belong to one answer of the model. */
	check_int("entries", (long long)json_len(seen), 2);
	check_member(seen, "/1/calls/0/name", "search");
	check_member(seen, "/1/calls/1/output", "rain");
	check_member(seen, "/1/items/0", "thought");
	check_run("completed", "30");
}

static void
a_run_needs_no_listener(void **state)
{
	static const char *const two[] = {"h", "", NULL};

	(void)state;
	script = two;
	start("");
	api_await(api);
	check_run("completed", "30");
	check_text("events", events, "");
}

/* The rounds of the thread's earlier runs do not count. */
static void
a_run_has_twenty_rounds(void **state)
{
	static const char *const always[] = {"h", NULL};
	struct json_object *object;

	(void)state;
	script = always;
	start(STREAM);
	object = call_well("GET", run_path(""), NULL);
	check_member(object, "/status", "incomplete");
	check_member(object, "/incomplete_details/reason", "max_completion_tokens");
	check_member(object, "/usage/total_tokens", "300");
	json_object_put(object);
	start(STREAM);
	check_run("incomplete", "300");
}

static void
a_choice_is_for_the_first_answer(void **state)
{
	static const char *const two[] = {"h", "", NULL};

	(void)state;
	script = two;
	start(STREAM ", 'tool_choice': {'type': 'file_search'}");
	check_member(first_choice, "/function/name", "search");
	/* Otherwise the model could only call. */
	assert_null(choice);
}

static void
a_tool_at_work_is_cancelled(void **state)
{
	static const char *const one[] = {"hf", NULL};
	struct json_object *object;

	(void)state;
	script = one;
	tool_does = CANCELLED;
	start(STREAM);
	check_text("events", events,
	    "run.created run.queued run.in_progress run.step.created run.step.in_progress "
	    "run.step.delta run.step.cancelled run.cancelled ");
	check_run("cancelled", "15");
	object = call_well("GET", run_path("/steps"), NULL);
	check_int("steps", (long long)json_len(json_get(object, "data")), 1);
	check_member(object, "/data/0/status", "cancelled");
	json_object_put(object);
}

/* Nothing incomplete is stored as complete. */
static void
without_memory_the_run_fails(void **state)
{
	static const char *const two[] = {"h", "", NULL};

	(void)state;
	script = two;
	tool_does = FORGETS;
	start(STREAM);
	check_run("failed", "15");
	rounds = 0;
	tool_does = HAS_NO_MEMORY;
	start(STREAM);
	check_run("failed", "15");
	rounds = 0;
	tool_does = ANSWERS;
	start(STREAM);
	check_run("completed", "30");
}

/* What the dead process had begun is over, and no model is sent it. */
static void
a_killed_process_ends_its_run(void **state)
{
	static const char *const two[] = {"h", "", NULL};
	struct json_object *object;
	char byte, path[128];
	pid_t child;

	(void)state;
	script = two;
	api_free(api);
	db_close(db);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		open_api();
		tool_does = STAYS;
		start(STREAM);
		_exit(1);
	}
	assert_int_equal(read(told[0], &byte, 1), 1);
	open_api();
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	rounds = 0;
	start(STREAM);
	check_run("completed", "30");
	check_int("entries", (long long)json_len(seen), 2);
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	object = call_well("GET", path, NULL);
	check_member(object, "/data/1/status", "failed");
	json_object_put(object);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(the_model_is_asked_until_it_answers),
	    TEST(hosted_calls_are_run_before_functions_are_waited_for),
	    TEST(a_run_needs_no_listener),
	    TEST(a_run_has_twenty_rounds),
	    TEST(a_choice_is_for_the_first_answer),
	    TEST(a_tool_at_work_is_cancelled),
	    TEST(without_memory_the_run_fails),
	    TEST(a_killed_process_ends_its_run),
	};

	return cmocka_run_group_tests_name("hosted", tests, NULL, NULL);
}
