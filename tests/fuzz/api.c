/*
 * The Assistants API: methods, paths, queries, bodies. For any input the answer is valid JSON, what
 * was made can be retrieved as it was answered, and nobody sees another tenant's objects.
 *
 * Input: a letter that selects a row of the table; the row's missing part, which is the body of a
 * POST or the query of a GET; or the whole path, up to a line break.
 */
#include "support.h"

#include "../unit/events.h"

#include "os/interrupt.h"
#include "text/json.h"
#include "text/text.h"

enum kind { KIND_ASSISTANT, KIND_THREAD, KIND_MESSAGE, KIND_RUN, KIND_NONE };

static const struct row {
	const char *method, *path; /* NULL: the input's first line */
	bool listens;
	enum kind made; /* what a POST makes */
} rows[] = {
    {"POST", "/assistants", false, KIND_ASSISTANT},              /* a */
    {"GET", "/assistants", false, KIND_NONE},                    /* b */
    {"POST", "/assistants/asst_a", false, KIND_ASSISTANT},       /* c */
    {"POST", "/threads", false, KIND_THREAD},                    /* d */
    {"POST", "/threads/thread_a/messages", false, KIND_MESSAGE}, /* e */
    {"GET", "/threads/thread_a/messages", false, KIND_NONE},     /* f */
    {"POST", "/threads/thread_a/runs", true, KIND_RUN},          /* g */
    {"POST", "/threads/thread_a/runs", false, KIND_RUN},         /* h */
    {"GET", NULL, false, KIND_NONE},                             /* i */
    {"DELETE", NULL, false, KIND_NONE},                          /* j */
    {"POST", NULL, true, KIND_NONE},                             /* k */
};

static struct state state;
/* The input itself contains the text of the other tenant's objects. */
static bool input_has_them;

/* Without their t, because a tab, printed as \t, has one, too. */
static bool
has_them(const void *bytes, size_t len)
{
	return memmem(bytes, len, gateways_own + 1, strlen(gateways_own + 1));
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	state_open(&state);
	return 0;
}

/* What a stream reported. */
struct stream {
	unsigned events;
	char last[64];
};

static void
check_json(struct json_object *object)
{
	const char *text = json_text(object);
	struct json_object *again;

	if (json_parse(text, strlen(text), &again) < 0)
		finding("no JSON: %s", text);
	CHECK(json_object_equal(object, again));
	if (!input_has_them && strstr(text, gateways_own))
		finding("another tenant's: %s", text);
	json_object_put(again);
}

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	struct stream *stream = arg;

	check_json(data);
	CHECK(stream->events++ > 0 || strcmp(event, "thread.run.created") == 0);
	CHECK(strcmp(stream->last, "thread.run.completed") != 0);
	snprintf(stream->last, sizeof stream->last, "%s", event);
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

static void
check_error(const struct api_response *response)
{
	struct json_object *error = json_get_object(response->body, "error");

	CHECK(response->status == 400 || response->status == 404 || response->status == 405);
	CHECK(json_get_string(error, "message") && json_get_string(error, "type"));
}

static void
call(const char *method, const char *path, struct api_response *response)
{
	const struct api_request request = {.tenant = "api", .method = method, .path = path};

	api_handle(state.api, &request, response);
	check_json(response->body);
}

/* Another thread executes the run. */
static struct json_object *
await_run(const char *path)
{
	struct api_response response;
	const char *status;

	for (;;) {
		call("GET", path, &response);
		CHECK(response.status == 200);
		status = json_get_string(response.body, "status");
		if (strcmp(status, "queued") != 0 && strcmp(status, "in_progress") != 0)
			return response.body;
		json_object_put(response.body);
		interrupt_sleep(NULL, 1);
	}
}

static void
check_made(enum kind kind, struct json_object *made)
{
	static const char *const folders[] = {
	    "/assistants", "/threads", "/threads/thread_a/messages", "/threads/thread_a/runs"};
	struct api_response response;
	struct json_object *run;
	char path[256];

	CHECK(json_get_string(made, "id"));
	snprintf(path, sizeof path, "%s/%s", folders[kind], json_get_string(made, "id"));
	if (kind == KIND_RUN) {
		run = await_run(path);
		CHECK(strcmp(json_get_string(run, "status"), "completed") == 0);
		json_object_put(run);
		return;
	}
	call("GET", path, &response);
	CHECK(response.status == 200);
	CHECK(json_object_equal(response.body, made));
	json_object_put(response.body);
}

static void
handle(const struct row *row, const struct api_request *request, const struct stream *stream)
{
	struct api_response response;

	api_handle(state.api, request, &response);
	CHECK(response.retry_after_s == -1);
	if (!response.body) {
		CHECK(response.status == 200 && stream->events > 0);
		CHECK(strcmp(stream->last, "thread.run.completed") == 0);
	} else {
		check_json(response.body);
		CHECK(stream->events == 0);
		if (response.status != 200)
			check_error(&response);
		else if (row->made != KIND_NONE)
			check_made(row->made, response.body);
		else
			CHECK(json_get_string(response.body, "object"));
	}
	/* A run made by a path of the input may still be executed; it finds that it is gone. */
	if (response.status == 200 && strcmp(row->method, "GET") != 0)
		state_reset(&state);
	json_object_put(response.body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct row *row = size > 0 ? &rows[(uint8_t)(data[0] - 'a') % COUNT(rows)] : NULL;
	struct stream stream = {.events = 0};
	struct api_request request = {.tenant = "api",
	    .listener = &(struct listener){.on_event = on_event_heard, .arg = &stream},
	    .query = NULL};
	char *text, *rest;

	if (!row)
		return 0;
	text = rest = text_of(data + 1, size - 1);
	input_has_them = has_them(data, size);
	request.method = row->method;
	request.path = row->path;
	if (!row->path) {
		request.path = rest;
		rest += strcspn(rest, "\n?");
		if (*rest)
			*rest++ = '\0';
	}
	if (!row->listens)
		request.listener = NULL;
	if (strcmp(row->method, "POST") != 0)
		request.query = rest;
	else if (json_parse(rest, size - 1 - (size_t)(rest - text), &request.body) < 0 && *rest)
		goto out;
	input_has_them |= has_them(json_text(request.body), strlen(json_text(request.body)));
	handle(row, &request, &stream);
out:
	json_object_put(request.body);
	free(text);
	return 0;
}
