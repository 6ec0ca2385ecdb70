/* The Assistants API, called as the gateway calls it, with a scripted model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "assistants/api.h"
#include "contexts.h"
#include "events.h"
#include "model/backend.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/text.h"

/* 141 bytes; cut after an even number, it ends in half a character. */
#define TEN_E "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
#define MANY_E "a" TEN_E TEN_E TEN_E TEN_E TEN_E TEN_E TEN_E

/*
 * The scripted model's steps: M begins a message, D sends a delta, W the whole, X calls
 * `meanwhile`.
 */
struct scripted {
	struct model model;
	const char *steps; /* "MDW" */
	struct model_result result;
	void (*meanwhile)(void);
	struct json_object *seen; /* the messages that it was sent */
};

static struct scripted scripted;
static struct db *db;
static struct api *api;
static char folder[64];
static char events[4096]; /* names of the events so far, without "thread." */
static struct json_object *last_event;
static char assistant[64], thread[64], run[64]; /* ids; the last run's */

static void
scripted_ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct json_object *content = model_text_content("one two");

	(void)model;
	json_object_put(scripted.seen);
	scripted.seen = context_json(request->context);
	*result = scripted.result;
	for (const char *step = scripted.steps; *step; step++) {
		int failed = 0;

		if (*step == 'M')
			failed = request->on_message(request->arg);
		else if (*step == 'D')
			failed = request->on_delta(request->arg, MODEL_TEXT, 0, "one ");
		else if (*step == 'W')
			failed = request->on_written(request->arg, content, NULL);
		else
			scripted.meanwhile();
		if (failed)
			result->outcome = MODEL_FAILED;
		if (failed)
			break;
	}
	if (interrupt_raised(request->interrupt))
		result->outcome = MODEL_INTERRUPTED;
	json_object_put(content);
}

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	size_t used = strlen(events);

	(void)arg;
	assert_int_equal(strncmp(event, "thread.", 7), 0);
	snprintf(events + used, sizeof events - used, "%s%s", used ? " " : "", event + 7);
	json_object_put(last_event);
	last_event = json_object_get(data);
	if (strcmp(event, "thread.run.created") == 0)
		snprintf(run, sizeof run, "%s", json_get_string(data, "id"));
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

/* Calls the API; `body` is JSON with single quotes. The answer is the caller's. */
static struct json_object *
ask_as(const char *tenant, const char *method, const char *path, const char *body, int *status)
{
	struct api_request request = {.tenant = tenant,
	    .method = method,
	    .path = path,
	    .listener = &(struct listener){.on_event = on_event_heard}};
	struct api_response response;
	char *text = strdup(body ? body : "null");
	char route[512];

	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(text, strlen(text), &request.body), 0);
	snprintf(route, sizeof route, "%.*s", (int)strcspn(path, "?"), path);
	request.path = route;
	if (strchr(path, '?'))
		request.query = strchr(path, '?') + 1;
	events[0] = '\0';
	api_handle(api, &request, &response);
	json_object_put(request.body);
	free(text);
	*status = response.status;
	return response.body;
}

static struct json_object *
ask(const char *method, const char *path, const char *body, int *status)
{
	return ask_as("gateway", method, path, body, status);
}

/* Makes an object and keeps its id; must succeed. */
static void
make(const char *path, const char *body, char id[64])
{
	int status;
	struct json_object *object = ask("POST", path, body, &status);

	assert_int_equal(status, 200);
	snprintf(id, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
}

static void
assert_status(const char *method, const char *path, const char *body, int expected)
{
	int status;
	struct json_object *object = ask(method, path, body, &status);

	if (status != expected)
		fail_msg("%s %s %s: %d, not %d: %s", method, path, body ? body : "", status,
		    expected, json_text(object));
	json_object_put(object);
}

static const char *
thread_at(const char *below)
{
	static char path[512];

	snprintf(path, sizeof path, "/threads/%s%s", thread, below);
	return path;
}

static const char *
run_body(const char *more)
{
	static char body[512];

	snprintf(body, sizeof body, "{'assistant_id': '%s'%s}", assistant, more);
	return body;
}

static void
open_database(void)
{
	char path[128], error[ERROR_SIZE];

	snprintf(path, sizeof path, "%s/test.db", folder);
	db = db_open(path, false, error);
	assert_non_null(db);
	api = api_new(db, &scripted.model, folder, 600, 100000);
	assert_non_null(api);
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/assistants-fcgi-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	scripted = (struct scripted){.model = {.ask = scripted_ask},
	    .steps = "MDW",
	    .result = {.outcome = MODEL_COMPLETED,
		.prompt_tokens = 7,
		.completion_tokens = 2,
		.retry_after_s = -1}};
	open_database();
	make("/assistants", "{'model': 'm', 'name': 'A', 'instructions': 'be'}", assistant);
	make("/threads", "{}", thread);
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	api_free(api);
	db_close(db);
	json_object_put(scripted.seen);
	json_object_put(last_event);
	last_event = NULL;
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

/* --- assistants --- */

static void
assistants_are_created_and_deleted(void **state)
{
	struct json_object *object;
	char path[128];
	int status;

	(void)state;
	snprintf(path, sizeof path, "/assistants/%s", assistant);
	object = ask(
	    "POST", path, "{'name': null, 'metadata': {'a': 'b'}, 'temperature': 0.5}", &status);
	assert_int_equal(status, 200);
	assert_null(json_get(object, "name"));
	assert_string_equal(json_get_string(object, "model"), "m");
	assert_string_equal(json_get_string(json_get(object, "metadata"), "a"), "b");
	json_object_put(object);
	object = ask("GET", path, NULL, &status);
	assert_string_equal(json_get_string(object, "object"), "assistant");
	assert_true(json_object_get_double(json_get(object, "temperature")) == 0.5);
	json_object_put(object);
	object = ask("DELETE", path, NULL, &status);
	assert_string_equal(json_get_string(object, "object"), "assistant.deleted");
	json_object_put(object);
	assert_status("GET", path, NULL, 404);
	assert_status("POST", path, "{'name': 'x'}", 404);
	assert_status("DELETE", path, NULL, 404);
}

/* Checks the names in a list, "a5 a4 …", and whether there are more: '+'. */
static void
assert_names(const char *query, const char *expected)
{
	char path[512], names[512] = "";
	struct json_object *list, *data;
	int status;

	snprintf(path, sizeof path, "/assistants?%s", query);
	list = ask("GET", path, NULL, &status);
	assert_int_equal(status, 200);
	data = json_get_array(list, "data");
	for (size_t i = 0; i < json_len(data); i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? " " : "",
		    json_get_string(json_at(data, i), "name"));
	if (json_object_get_boolean(json_get(list, "has_more")))
		snprintf(names + strlen(names), sizeof names - strlen(names), "+");
	if (strcmp(names, expected) != 0)
		fail_msg("%s: %s, not %s", query, names, expected);
	json_object_put(list);
}

static void
assistants_are_listed_in_pages(void **state)
{
	char ids[6][64], query[256];

	(void)state;
	for (int i = 1; i <= 5; i++) {
		char body[64];

		snprintf(body, sizeof body, "{'model': 'm', 'name': 'a%d'}", i);
		make("/assistants", body, ids[i]);
	}
	assert_names("", "a5 a4 a3 a2 a1 A");
	assert_names("order=asc&limit=2", "A a1+");
	assert_names("limit=2", "a5 a4+");
	snprintf(query, sizeof query, "limit=2&after=%s", ids[4]);
	assert_names(query, "a3 a2+");
	snprintf(query, sizeof query, "order=asc&after=%s", ids[4]);
	assert_names(query, "a5");
	/* The page before a cursor is the one next to it, in the list's order. */
	snprintf(query, sizeof query, "limit=2&before=%s", ids[2]);
	assert_names(query, "a4 a3+");
	snprintf(query, sizeof query, "order=asc&limit=2&before=%s", ids[4]);
	assert_names(query, "a2 a3+");
	snprintf(query, sizeof query, "after=%s&before=%s", ids[5], ids[2]);
	assert_names(query, "a4 a3");
	assert_status("GET", "/assistants?limit=0", NULL, 400);
	assert_status("GET", "/assistants?limit=101", NULL, 400);
	assert_status("GET", "/assistants?order=up", NULL, 400);
	assert_status("GET", "/assistants?after=asst_none", NULL, 404);
	assert_status("GET", "/assistants?after=%zz", NULL, 400);
}

static void
another_tenant_sees_no_objects(void **state)
{
	static const struct {
		const char *method, *below;
	} calls[] = {{"GET", ""}, {"DELETE", ""}, {"GET", "/messages"}, {"POST", "/messages"},
	    {"POST", "/runs"}};
	char path[128];
	int status;

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		const char *body = strcmp(calls[i].below, "/runs") == 0 ? run_body("")
		    : strcmp(calls[i].method, "POST") == 0 ? "{'role': 'user', 'content': 'x'}"
							   : NULL;

		json_object_put(
		    ask_as("other", calls[i].method, thread_at(calls[i].below), body, &status));
		assert_int_equal(status, 404);
	}
	snprintf(path, sizeof path, "/assistants/%s", assistant);
	json_object_put(ask_as("other", "DELETE", path, NULL, &status));
	assert_int_equal(status, 404);
	assert_status("GET", path, NULL, 200);
	assert_status("GET", thread_at(""), NULL, 200);
}

/* --- bad input --- */

/* An error that quotes text which was cut, or is not UTF-8, is still valid JSON. */
static void
errors_are_utf8(void **state)
{
	static const struct {
		const char *method, *path, *body;
	} calls[] = {
	    {"GET", "/assistants?after=%ff", NULL},
	    {"GET", "/threads/%c3", NULL},
	    /* Of a name 128 bytes are quoted, of a word 64. */
	    {"POST", "/threads", "{'" MANY_E "': 1}"},
	    {"POST", "/assistants", "{'model': 'm', 'reasoning_effort': '" MANY_E "'}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int status;
		struct json_object *object =
		    ask(calls[i].method, calls[i].path, calls[i].body, &status);
		const char *text = json_text(object);

		assert_int_equal(status, 400);
		if (!utf8_valid(text, strlen(text)))
			fail_msg("%s: %s", calls[i].path, text);
		json_object_put(object);
	}
}

static void
bad_bodies_are_refused_by_name(void **state)
{
	static const struct {
		const char *path, *body, *param, *words;
	} cases[] = {
	    {"/assistants", "{}", "model", "Missing required parameter: 'model'."},
	    {"/assistants", "{'model': 5}", "model", "expected a string"},
	    {"/assistants", "{'model': 'm', 'frob': 1}", "frob", "Unknown parameter: 'frob'."},
	    {"/assistants", "{'model': 'm', 'temperature': 2.1}", "temperature", "from 0 to 2"},
	    {"/assistants", "{'model': 'm', 'temperature': 'hot'}", "temperature",
		"expected a number"},
	    {"/assistants", "{'model': 'm', 'metadata': {'a': 1}}", "metadata.a",
		"expected a string"},
	    {"/assistants", "{'model': 'm', 'tools': [{'type': 'hammer'}]}", "tools[0].type",
		"Supported values are: 'function', 'code_interpreter', 'file_search'."},
	    {"/assistants", "{'model': 'm', 'tools': [{'type': 'function'}]}", "tools[0].function",
		"Missing"},
	    {"/assistants", "{'model': 'm', 'reasoning_effort': 'much'}", "reasoning_effort",
		"'low'"},
	    {"/assistants", "[]", NULL, "must be a JSON object"},
	    {"/threads", "{'messages': [{'role': 'user', 'content': 'x'}, {'role': 'cat'}]}",
		"messages[1].role", "'user', 'assistant'"},
	    {"/threads", "{'messages': [{'role': 'user'}]}", "messages[0].content", "Missing"},
	    {"/threads", "{'messages': [{'role': 'user', 'content': ''}]}", "messages[0].content",
		"a length from 1"},
	    {"/threads", "{'messages': [{'role': 'user', 'content': 'a\\u0000b'}]}",
		"messages[0].content", "NUL"},
	    {"/threads", "{'messages': [{'role': 'user', 'content': [{'type': 'image'}]}]}",
		"messages[0].content[0].type", "'text'"},
	    {"/threads/{}/runs", "{'assistant_id': 'asst_1', 'truncation_strategy': {}}",
		"truncation_strategy.type", "Missing"},
	    {"/threads/{}/runs", "{}", "assistant_id", "Missing"},
	    {"/threads/{}/runs", "{'assistant_id': 'bob'}", "assistant_id",
		"Invalid 'assistant_id': 'bob'. Expected an ID that begins with 'asst'."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json_object *object, *error;
		const char *param, *path = cases[i].path;
		int status;

		object = ask(
		    "POST", strchr(path, '{') ? thread_at("/runs") : path, cases[i].body, &status);
		error = json_get(object, "error");
		param = json_get_string(error, "param");
		if (status != 400 || !strstr(json_get_string(error, "message"), cases[i].words) ||
		    !(param && cases[i].param ? strcmp(param, cases[i].param) == 0
					      : param == cases[i].param))
			fail_msg("%s: %d %s", cases[i].body, status, json_text(object));
		/* All four members, always. */
		assert_int_equal(json_object_object_length(error), 4);
		json_object_put(object);
	}
	assert_names("", "A");
	assert_status("GET", "/nowhere", NULL, 404);
	assert_status("DELETE", "/threads", NULL, 405);
	assert_status("GET", "/threads/undefined", NULL, 400);
	assert_status("GET", "/threads/thread_none", NULL, 404);
}

/* --- messages --- */

static void
assert_words(const char *query, const char *expected)
{
	char below[256], words[512] = "";
	struct json_object *list, *data;
	int status;

	snprintf(below, sizeof below, "/messages?%s", query);
	list = ask("GET", thread_at(below), NULL, &status);
	assert_int_equal(status, 200);
	data = json_get_array(list, "data");
	for (size_t i = 0; i < json_len(data); i++) {
		struct json_object *message = json_at(data, i);

		snprintf(words + strlen(words), sizeof words - strlen(words), "%s%.1s:%s:%.2s",
		    i ? " " : "", json_get_string(message, "role"),
		    model_part_words(json_at(json_get(message, "content"), 0)),
		    json_get_string(message, "status"));
	}
	if (strcmp(words, expected) != 0)
		fail_msg("%s, not %s", words, expected);
	json_object_put(list);
}

static void
messages_are_kept_in_order(void **state)
{
	char path[256], id[64];

	(void)state;
	make("/threads",
	    "{'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'},"
	    " {'role': 'user', 'content': [{'type': 'text', 'text': 'c'}]}]}",
	    thread);
	make(thread_at("/messages"), "{'role': 'user', 'content': 'd'}", id);
	assert_words("order=asc", "u:a:co a:b:co u:c:co u:d:co");
	assert_words("limit=1", "u:d:co");
	snprintf(path, sizeof path, "/messages/%s", id);
	assert_status("GET", thread_at(path), NULL, 200);
	assert_status("GET", thread_at("/messages/msg_none"), NULL, 404);
	assert_status("GET", thread_at("/messages?run_id=run_none"), NULL, 404);
}

/* --- runs --- */

static void
stream(const char *more, const char *expected)
{
	assert_status("POST", thread_at("/runs"), run_body(more), 200);
	if (strcmp(events, expected) != 0)
		fail_msg("events:\n%s\nnot:\n%s", events, expected);
}

#define BEGIN "run.created run.queued run.in_progress"
#define OPEN "run.step.created run.step.in_progress message.created message.in_progress"
#define STREAM ", 'stream': true, 'additional_messages': [{'role': 'user', 'content': 'hi'}]"

static void
a_run_streams_in_the_apis_order(void **state)
{
	struct json_object *usage;

	(void)state;
	stream(STREAM,
	    BEGIN " " OPEN " message.delta message.completed run.step.completed run.completed");
	usage = json_get(last_event, "usage");
	assert_int_equal(json_get_int(usage, "total_tokens", 0), 9);
	/* The run object has the members that clients need, even if null. */
	assert_true(json_object_object_length(last_event) >= 25);
	assert_words("order=asc", "u:hi:co a:one two:co");
	stream(STREAM,
	    BEGIN " " OPEN " message.delta message.completed run.step.completed run.completed");
	assert_int_equal(json_len(scripted.seen), 3);
	assert_words("limit=2&order=asc", "u:hi:co a:one two:co");
}

static void
messages_of_a_run_do_not_overlap(void **state)
{
	struct json_object *list;
	char query[128];
	int status;

	(void)state;
	scripted.steps = "MDWMDW";
	stream(STREAM,
	    BEGIN " " OPEN " message.delta message.completed run.step.completed " OPEN
		  " message.delta message.completed run.step.completed run.completed");
	snprintf(query, sizeof query, "/messages?order=asc&run_id=%s",
	    json_get_string(last_event, "id"));
	list = ask("GET", thread_at(query), NULL, &status);
	assert_int_equal(json_len(json_get(list, "data")), 2);
	json_object_put(list);
}

static void
every_end_frees_the_thread(void **state)
{
	static const struct {
		enum model_outcome outcome;
		const char *steps, *end, *words;
	} cases[] = {
	    {MODEL_FAILED, "", "run.failed", "u:hi:co"},
	    {MODEL_BUSY, "", "run.failed", "u:hi:co"},
	    {MODEL_SILENT, "", "run.expired", "u:hi:co"},
	    {MODEL_INTERRUPTED, "", "run.cancelled", "u:hi:co"},
	    {MODEL_FAILED, "MD", "message.incomplete run.step.failed run.failed",
		"u:hi:co a:one :in"},
	    {MODEL_SILENT, "MD", "message.incomplete run.step.expired run.expired",
		"u:hi:co a:one :in"},
	    {MODEL_INTERRUPTED, "MD", "message.incomplete run.step.cancelled run.cancelled",
		"u:hi:co a:one :in"},
	    {MODEL_INCOMPLETE, "MDW", "message.incomplete run.step.completed run.incomplete",
		"u:hi:co a:one two:in"},
	    {MODEL_FAILED, "MDW", "message.completed run.step.completed run.failed",
		"u:hi:co a:one two:co"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].end);

		make("/threads", "{}", thread);
		scripted.steps = cases[i].steps;
		scripted.result.outcome = cases[i].outcome;
		assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
		if (strcmp(events + strlen(events) - len, cases[i].end) != 0)
			fail_msg("case %zu: %s, not …%s", i, events, cases[i].end);
		assert_words("order=asc", cases[i].words);
		scripted.steps = "MDW";
		scripted.result.outcome = MODEL_COMPLETED;
		assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
		assert_string_equal(events + strlen(events) - 13, "run.completed");
	}
}

static void
a_thread_has_one_active_run(void)
{
	struct json_object *object;
	int status;

	object = ask("POST", thread_at("/runs"), run_body(", 'stream': false"), &status);
	assert_int_equal(status, 400);
	assert_non_null(strstr(json_text(object), "already has an active run run_"));
	json_object_put(object);
	object = ask("POST", thread_at("/messages"), "{'role': 'user', 'content': 'x'}", &status);
	assert_int_equal(status, 400);
	assert_non_null(strstr(json_text(object), "while a run run_"));
	json_object_put(object);
}

static void
delete_thread(void)
{
	assert_status("DELETE", thread_at(""), NULL, 200);
}

static void
cancel_it(void)
{
	char path[128];

	snprintf(path, sizeof path, "/runs/%s/cancel", run);
	assert_status("POST", thread_at(path), NULL, 200);
	/* The next check notices it, once the last one is old enough. */
	usleep(1000000);
}

static void
the_thread_is_locked_while_a_run_works(void **state)
{
	(void)state;
	scripted.meanwhile = a_thread_has_one_active_run;
	scripted.steps = "MXDW";
	assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
	assert_words("order=asc", "u:hi:co a:one two:co");
}

static void
a_run_whose_thread_is_deleted_ends(void **state)
{
	(void)state;
	scripted.meanwhile = delete_thread;
	scripted.steps = "MDWX";
	assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
	assert_non_null(strstr(events, "message.incomplete run.step.cancelled run.cancelled"));
	assert_status("GET", thread_at(""), NULL, 404);
}

static void
expire_it(void)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);

	assert_int_equal(db_execute(db_prepare(tx, "UPDATE runs SET status = 'expired'")), 1);
	assert_int_equal(db_execute(db_prepare(tx, "DELETE FROM work")), 1);
	assert_int_equal(db_commit(tx), 0);
}

/* A process that was suspended must not write into what followed its run. */
static void
a_run_ended_elsewhere_writes_nothing_more(void **state)
{
	(void)state;
	scripted.meanwhile = expire_it;
	scripted.steps = "MDWXMDW";
	assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
	assert_non_null(strstr(events, "run.step.expired run.expired"));
	assert_words("order=asc", "u:hi:co");
}

static void
a_cancelled_run_ends(void **state)
{
	char path[128];

	(void)state;
	scripted.meanwhile = cancel_it;
	scripted.steps = "MDX";
	assert_status("POST", thread_at("/runs"), run_body(STREAM), 200);
	assert_non_null(strstr(events, "run.cancelled"));
	snprintf(path, sizeof path, "/runs/%s/cancel", run);
	assert_status("POST", thread_at(path), NULL, 400);
	assert_words("order=asc", "u:hi:co a:one :in");
}

static void
a_run_without_a_stream_is_carried_out_too(void **state)
{
	char id[64], path[128];
	long long end = clock_ms() + 10000;

	(void)state;
	make(thread_at("/runs"),
	    run_body(", 'additional_messages': [{'role':'user','content':'q'}]"), id);
	snprintf(path, sizeof path, "/runs/%s", id);
	for (;;) {
		int status;
		struct json_object *object = ask("GET", thread_at(path), NULL, &status);
		bool completed = strcmp(json_get_string(object, "status"), "completed") == 0;

		json_object_put(object);
		if (completed)
			break;
		assert_true(clock_ms() < end);
		usleep(5000);
	}
	assert_words("order=asc", "u:q:co a:one two:co");
}

static void
an_overdue_run_is_ended_when_it_is_found(void **state)
{
	char id[64];
	struct json_object *object;
	struct db_stmt *stmt;
	struct db_tx *tx;
	int status;

	(void)state;
	/* As a killed program would leave it. */
	tx = db_begin(db, DB_WRITE);
	stmt = db_prepare(tx, "INSERT INTO run_options (hash, body) VALUES ('', '{}')");
	assert_int_equal(db_execute(stmt), 1);
	stmt = db_prepare(tx,
	    "INSERT INTO runs (id, thread, assistant_id, created_at, expires_at, status, options) "
	    "SELECT 'run_left', t.seq, 'asst_x', 1, 2, 'in_progress', o.seq "
	    "FROM threads t, run_options o WHERE t.id = ?");
	db_bind_text(stmt, 1, thread);
	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	assert_int_equal(db_commit(tx), 0);
	object = ask("GET", thread_at("/runs/run_left"), NULL, &status);
	assert_string_equal(json_get_string(object, "status"), "expired");
	json_object_put(object);
	make(thread_at("/messages"), "{'role': 'user', 'content': 'x'}", id);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(assistants_are_created_and_deleted),
	    TEST(assistants_are_listed_in_pages),
	    TEST(another_tenant_sees_no_objects),
	    TEST(errors_are_utf8),
	    TEST(bad_bodies_are_refused_by_name),
	    TEST(messages_are_kept_in_order),
	    TEST(a_run_streams_in_the_apis_order),
	    TEST(messages_of_a_run_do_not_overlap),
	    TEST(every_end_frees_the_thread),
	    TEST(the_thread_is_locked_while_a_run_works),
	    TEST(a_run_whose_thread_is_deleted_ends),
	    TEST(a_run_ended_elsewhere_writes_nothing_more),
	    TEST(a_cancelled_run_ends),
	    TEST(a_run_without_a_stream_is_carried_out_too),
	    TEST(an_overdue_run_is_ended_when_it_is_found),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
