/*
 * Calls of the Assistants API on a database of their own, for tests of its objects. JSON is written
 * with single quotes for readability.
 */
#ifndef API_CALLS_H
#define API_CALLS_H

#include "support.h"

#include <unistd.h>

#include "assistants/api.h"
#include "blobs/blobs.h"
#include "contexts.h"
#include "events.h"
#include "model/backend.h"
#include "model/model.h"
#include "text/json.h"

/* What a test works on, from api_open() to api_close(). */
static struct {
	char *folder;
	struct db *db;
	struct api *api;
	struct blobs *blobs;
	void (*meanwhile)(void);     /* called by the model; NULL: nothing */
	char run[64], message[64];   /* ids of the last run and of its message */
	struct json_object *context; /* that the model was sent */
} here;

static inline void
api_say_a_word(
    struct model *model, const struct model_request *request, struct model_result *result)
{
	struct json_object *content = model_text_content("word");

	(void)model;
	json_object_put(here.context);
	here.context = context_json(request->context);
	request->on_message(request->arg);
	if (here.meanwhile)
		here.meanwhile();
	request->on_written(request->arg, content, NULL);
	json_object_put(content);
	result->outcome = MODEL_COMPLETED;
}

static inline int
api_open(void **state)
{
	static struct model model = {.ask = api_say_a_word};
	char error[ERROR_SIZE], *path;

	(void)state;
	here.folder = folder_new();
	path = path_in(here.folder, "test.db");
	here.db = db_open(path, false, error);
	free(path);
	assert_non_null(here.db);
	here.api = api_new(here.db, &model, here.folder, 600, 100000);
	assert_non_null(here.api);
	here.blobs = blobs_new(here.folder);
	assert_non_null(here.blobs);
	api_set_files(here.api, here.blobs, 1 << 20);
	return 0;
}

static inline int
api_close(void **state)
{
	(void)state;
	api_free(here.api);
	blobs_free(here.blobs);
	db_close(here.db);
	json_object_put(here.context);
	folder_remove(here.folder);
	memset(&here, 0, sizeof here);
	return 0;
}

static inline void
api_on_event(void *arg, const char *event, struct json_object *data)
{
	(void)arg;
	if (strcmp(event, "thread.run.created") == 0)
		snprintf(here.run, sizeof here.run, "%s", json_get_string(data, "id"));
	else if (strcmp(event, "thread.message.created") == 0)
		snprintf(here.message, sizeof here.message, "%s", json_get_string(data, "id"));
}

static inline void
api_on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, api_on_event, arg);
}

/* The caller releases it. */
static inline struct json_object *
json_of(const char *quoted)
{
	struct json_object *object;
	char *text = strdup(quoted);

	assert_non_null(text);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	if (json_parse(text, strlen(text), &object) < 0)
		fail_msg("not JSON: %.200s", text);
	free(text);
	return object;
}

/*
 * Calls the API; returns the answer; the caller releases it. `target` may have a query; `body`
 * NULL: none.
 */
static inline struct json_object *
call_as(const char *tenant, const char *method, const char *target, const char *body, int *status)
{
	struct api_request request = {.tenant = tenant,
	    .method = method,
	    .body = body ? json_of(body) : NULL,
	    .listener = &(struct listener){.on_event = api_on_event_heard}};
	struct api_response response;
	char path[512];

	snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
	request.path = path;
	request.query = strchr(target, '?') ? strchr(target, '?') + 1 : NULL;
	api_handle(here.api, &request, &response);
	json_object_put(request.body);
	if (response.content_fd >= 0)
		close(response.content_fd);
	*status = response.status;
	return response.body;
}

/* The same for a call that must succeed. */
static inline struct json_object *
call(const char *method, const char *target, const char *body)
{
	int status;
	struct json_object *answer = call_as("us", method, target, body, &status);

	if (status != 200)
		fail_msg("%s %s %.200s: %d %s", method, target, body ? body : "", status,
		    json_text(answer));
	return answer;
}

/*
 * Makes an object, and writes its path to `at`, such as "/threads/thread_x"; `path` has the same
 * form.
 */
static inline void
make(char at[256], const char *path, const char *body)
{
	struct json_object *answer = call("POST", path, body);

	snprintf(at, 256, "%.128s/%.64s", path, json_get_string(answer, "id"));
	json_object_put(answer);
}

/* Checks that the call is refused with this status, param (NULL: none) and words. */
static inline void
check_refused(const char *method, const char *target, const char *body, int expected,
    const char *param, const char *words)
{
	struct json_object *answer, *error;
	char row[1024];
	int status;

	answer = call_as("us", method, target, body, &status);
	error = json_get(answer, "error");
	snprintf(row, sizeof row, "%s %s %.400s: %.400s", method, target, body ? body : "",
	    json_text(answer));
	check_int(row, status, expected);
	check_text(row, json_get_string(error, "param"), param);
	check_text(row, json_get_string(error, "type"), "invalid_request_error");
	check_has(row, json_get_string(error, "message"), words);
	check_int(row, json_object_object_length(error), 4);
	json_object_put(answer);
}

/* Checks the JSON of a member, given by a path such as "tools.0.function" ("": the whole). */
static inline void
check_member(const char *row, struct json_object *object, const char *path, const char *quoted)
{
	struct json_object *value = NULL, *expected = json_of(quoted);
	char pointer[128];

	snprintf(pointer, sizeof pointer, "%s%s", *path ? "/" : "", path);
	for (char *at = pointer; *at; at++)
		if (*at == '.')
			*at = '/';
	if (json_pointer_get(object, pointer, &value) != 0)
		fail_msg("%s: no %s in %s", row, path, json_text(object));
	if (!json_object_equal(value, expected))
		fail_msg("%s: '%s' is %s, not %s", row, path, json_text(value), quoted);
	json_object_put(expected);
}

/* Checks a list: a member of each object, separated by blanks, and '+' if there are more. */
static inline void
check_list(const char *target, const char *member, const char *expected)
{
	struct json_object *list = call("GET", target, NULL), *data = json_get_array(list, "data");
	size_t len = json_len(data);
	char got[4096] = "";

	for (size_t i = 0; i < len; i++) {
		struct json_object *value = NULL;

		json_pointer_get(json_at(data, i), member, &value);
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "",
		    json_object_get_string(value));
	}
	if (json_object_get_boolean(json_get(list, "has_more")))
		snprintf(got + strlen(got), sizeof got - strlen(got), "+");
	check_text(target, got, expected);
	check_text(target, json_get_string(list, "object"), "list");
	check_text(target, json_get_string(list, "first_id"),
	    len ? json_get_string(json_at(data, 0), "id") : NULL);
	check_text(target, json_get_string(list, "last_id"),
	    len ? json_get_string(json_at(data, len - 1), "id") : NULL);
	check_int(target, json_object_object_length(list), 5);
	json_object_put(list);
}

/* Runs the assistant `assistant_at` on the thread `thread_at`, as a stream. */
static inline void
run_thread(const char *assistant_at, const char *thread_at)
{
	char body[256], path[300];

	snprintf(body, sizeof body, "{'assistant_id': '%s', 'stream': true}",
	    strrchr(assistant_at, '/') + 1);
	snprintf(path, sizeof path, "%s/runs", thread_at);
	json_object_put(call("POST", path, body));
}

#endif
