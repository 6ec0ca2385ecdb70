/*
 * The end of a run while the database is busy, or while the program stops. The answer is stored as
 * soon as possible. A run whose end could not be stored ends when it expires.
 */
#include "support.h"

#include <sqlite3.h>
#include <stdatomic.h>

#include "assistants/api.h"
#include "events.h"
#include "model/backend.h"
#include "os/interrupt.h"
#include "text/json.h"

static char *folder;
static struct db *db, *other;
static atomic_bool held, released;
static pthread_t holder;
static struct api *api;
static char assistant[64], thread[64], events[2048];
static enum model_outcome outcome;
static int hold_ms; /* 0: the lock is free */
static atomic_bool asked, stopping;

/* Replaces SQLite's function: ten seconds are too long for a test. */
int
sqlite3_busy_timeout(sqlite3 *handle, int ms)
{
	(void)handle;
	(void)ms;
	return SQLITE_OK;
}

/*
 * For the database this is another program: it writes for *arg milliseconds, or until it is
 * stopped.
 */
static void *
hold_lock(void *arg)
{
	struct db_tx *tx = db_begin(other, DB_WRITE);

	assert_non_null(tx);
	atomic_store(&held, true);
	for (int ms = *(int *)arg; ms > 0 && !atomic_load(&released); ms -= 10)
		interrupt_sleep(NULL, 10);
	db_rollback(tx);
	return NULL;
}

/* Silent until the program stops. */
static void
wait_for_the_stop(
    struct model *model, const struct model_request *request, struct model_result *result)
{
	(void)model;
	atomic_store(&asked, true);
	while (!atomic_load(&stopping))
		interrupt_sleep(NULL, 1);
	while (!interrupt_sleep(request->interrupt, 1000))
		;
	result->outcome = MODEL_INTERRUPTED;
}

/* Sends half an answer; then another program locks the database. */
static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct json_object *content = model_text_content("one two");

	(void)model;
	request->on_message(request->arg);
	request->on_delta(request->arg, MODEL_TEXT, 0, "one ");
	if (outcome == MODEL_COMPLETED)
		request->on_written(request->arg, content, NULL);
	json_object_put(content);
	if (hold_ms > 0) {
		assert_int_equal(pthread_create(&holder, NULL, hold_lock, &hold_ms), 0);
		while (!atomic_load(&held))
			interrupt_sleep(NULL, 1);
	}
	result->outcome = outcome;
	snprintf(result->error, sizeof result->error, "it broke off");
}

static struct model model = {.ask = ask};

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	size_t used = strlen(events);

	(void)arg;
	(void)data;
	snprintf(events + used, sizeof events - used, "%s ", event);
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

static void
call(const char *path, struct json_object *body, char id[64])
{
	struct api_request request = {.tenant = "gateway",
	    .method = "POST",
	    .path = path,
	    .body = body,
	    .listener = &(struct listener){.on_event = on_event_heard}};
	struct api_response response;

	events[0] = '\0';
	api_handle(api, &request, &response);
	assert_int_equal(response.status, 200);
	if (id)
		snprintf(id, 64, "%s", json_get_string(response.body, "id"));
	json_object_put(response.body);
	json_object_put(body);
}

static void
run(void)
{
	struct json_object *body = json_object_new_object();
	char path[128];

	json_set_string(body, "assistant_id", assistant);
	json_set(body, "stream", json_object_new_boolean(1));
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	call(path, body, NULL);
}

static void
set_up(unsigned run_timeout_s)
{
	struct json_object *body = json_object_new_object();
	char error[ERROR_SIZE], *path;

	folder = folder_new();
	path = path_in(folder, "test.db");
	db = db_open(path, false, error);
	other = db_open(path, false, error);
	free(path);
	assert_non_null(db);
	assert_non_null(other);
	api = api_new(db, &model, folder, run_timeout_s, 100000);
	json_set_string(body, "model", "m");
	json_set_string(body, "instructions", "Be brief.");
	call("/assistants", body, assistant);
	call("/threads", json_object_new_object(), thread);
}

static void
tear_down(void)
{
	api_free(api);
	db_close(other);
	db_close(db);
	folder_remove(folder);
}

static void
assert_ends(const char *end)
{
	size_t len = strlen(end), all = strlen(events);

	if (all < len || strcmp(events + all - len, end) != 0)
		fail_msg("%s: not …%s", events, end);
}

/* Runs while the lock is held, without the log lines of that time. */
static void
run_against(int ms)
{
	struct capture capture;

	hold_ms = ms;
	capture_start(&capture);
	run();
	free(capture_end(&capture));
	atomic_store(&released, true);
	pthread_join(holder, NULL);
	atomic_store(&held, false);
	atomic_store(&released, false);
	hold_ms = 0;
}

static void
an_answer_waits_for_a_busy_database(void **state)
{
	(void)state;
	set_up(60);
	outcome = MODEL_COMPLETED;
	run_against(600);
	assert_ends("thread.message.completed thread.run.step.completed thread.run.completed ");
	tear_down();
}

static void
a_run_that_cannot_be_ended_fails(void **state)
{
	static const enum model_outcome outcomes[] = {MODEL_FAILED, MODEL_COMPLETED, MODEL_BUSY};

	(void)state;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		set_up(1);
		outcome = outcomes[i];
		run_against(60000);
		assert_ends("thread.message.incomplete thread.run.step.failed thread.run.failed ");
		outcome = MODEL_COMPLETED;
		/* Times have whole seconds: now the run's time is certainly over. */
		interrupt_sleep(NULL, 1100);
		run();
		assert_ends("thread.run.completed ");
		tear_down();
	}
}

static void
check_run(const char *run_path, const char *status)
{
	struct api_request request = {.tenant = "gateway", .method = "GET", .path = run_path};
	struct api_response response;

	api_handle(api, &request, &response);
	assert_int_equal(response.status, 200);
	check_text(run_path, json_get_string(response.body, "status"), status);
	assert_null(json_get(response.body, "last_error"));
	json_object_put(response.body);
}

/* The program stops before it could notice the cancellation. */
static void
a_run_that_is_cancelling_is_cancelled_by_the_stop(void **state)
{
	static struct model silent = {.ask = wait_for_the_stop};
	struct json_object *body = json_object_new_object();
	char path[192], id[64];

	(void)state;
	set_up(60);
	api_free(api);
	api = api_new(db, &silent, folder, 60, 100000);
	json_set_string(body, "assistant_id", assistant);
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	call(path, body, id);
	while (!atomic_load(&asked))
		interrupt_sleep(NULL, 1);
	snprintf(path, sizeof path, "/threads/%s/runs/%s/cancel", thread, id);
	call(path, NULL, NULL);
	atomic_store(&stopping, true);
	api_free(api);
	api = api_new(db, &model, folder, 60, 100000);
	*strrchr(path, '/') = '\0';
	check_run(path, "cancelled");
	tear_down();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_waits_for_a_busy_database),
	    cmocka_unit_test(a_run_that_cannot_be_ended_fails),
	    cmocka_unit_test(a_run_that_is_cancelling_is_cancelled_by_the_stop),
	};

	return cmocka_run_group_tests_name("run_ends", tests, NULL, NULL);
}
