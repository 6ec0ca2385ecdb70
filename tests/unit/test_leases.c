/*
 * Runs whose process died: on this machine noticed at once, from another machine by the lease. Runs
 * of living processes are left alone.
 */
#include "support.h"

#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assistants/api.h"
#include "events.h"
#include "model/backend.h"
#include "os/clock.h"
#include "text/json.h"
#include "work/leases.h"

static char *folder;
static struct db *db;
static struct api *api;
static char assistant[64], thread[64];
static int told[2]; /* the child writes when its run is under way */
static long long later_s;

/* Replaces the program's clock: tests cannot wait for a lease to end. */
long long
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec + later_s) * 1000LL + now.tv_nsec / 1000000;
}

long long
clock_unix(void)
{
	return time(NULL) + later_s;
}

long long
clock_unix_ns(void)
{
	return clock_unix() * 1000000000;
}

/* In the child the model waits until it is killed; in the parent it answers. */
static pid_t parent;

static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct json_object *content = model_text_content("words");

	(void)model;
	if (getpid() != parent) {
		assert_int_equal(write(told[1], "", 1), 1);
		/* Waits as every model does; that renews the lease. */
		for (;;)
			interrupt_sleep(request->interrupt, 60000);
	}
	request->on_message(request->arg);
	request->on_written(request->arg, content, NULL);
	json_object_put(content);
	result->outcome = MODEL_COMPLETED;
}

static struct model model = {.ask = ask};

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	(void)arg;
	(void)event;
	(void)data;
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

static struct json_object *
call(const char *method, const char *path, struct json_object *body, int *status)
{
	struct api_request request = {.tenant = "gateway",
	    .method = method,
	    .path = path,
	    .body = body,
	    .listener = &(struct listener){.on_event = on_event_heard}};
	struct api_response response;

	api_handle(api, &request, &response);
	*status = response.status;
	json_object_put(body);
	return response.body;
}

/* Posts a streaming run; returns its status. */
static int
run(void)
{
	struct json_object *body = json_object_new_object();
	char path[128];
	int status;

	json_set_string(body, "assistant_id", assistant);
	json_set(body, "stream", json_object_new_boolean(1));
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	json_object_put(call("POST", path, body, &status));
	return status;
}

static void
create(const char *path, struct json_object *body, char id[64])
{
	int status;
	struct json_object *object = call("POST", path, body, &status);

	assert_int_equal(status, 200);
	snprintf(id, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
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
}

static int
set_up(void **state)
{
	struct json_object *body = json_object_new_object();

	(void)state;
	later_s = 0;
	parent = getpid();
	folder = folder_new();
	open_api();
	json_set_string(body, "model", "m");
	json_set_string(body, "instructions", "Be brief.");
	create("/assistants", body, assistant);
	create("/threads", json_object_new_object(), thread);
	api_free(api);
	db_close(db);
	return pipe(told);
}

static int
tear_down(void **state)
{
	(void)state;
	api_free(api);
	db_close(db);
	close(told[0]);
	close(told[1]);
	folder_remove(folder);
	return 0;
}

/* Starts another process, which executes a run on the thread until it is killed. */
static pid_t
start_runner(void)
{
	pid_t child = fork();
	char byte;

	assert_true(child >= 0);
	if (child == 0) {
		/* Also if a check fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		open_api();
		run();
		_exit(1);
	}
	assert_int_equal(read(told[0], &byte, 1), 1);
	open_api();
	return child;
}

static void
kill_runner(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/* A column of the oldest run, the caller's to free. `sql` is run before. */
static char *
query(const char *sql, const char *column)
{
	char *path = path_in(folder, "test.db"), select[128], *text;
	sqlite3_stmt *stmt;
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	free(path);
	assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	snprintf(select, sizeof select,
	    "SELECT %s FROM runs LEFT JOIN work ON subject = seq ORDER BY seq LIMIT 1", column);
	assert_int_equal(sqlite3_prepare_v2(handle, select, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
	return text;
}

static void
check_run(const char *sql, const char *column, const char *expected)
{
	char *text = query(sql, column);

	check_text(column, text, expected);
	free(text);
}

static size_t
files(void)
{
	char *pattern = path_in(folder, "leases/*");
	glob_t found;
	size_t len;

	glob(pattern, 0, NULL, &found);
	len = found.gl_pathc;
	globfree(&found);
	free(pattern);
	return len;
}

static void
the_run_of_a_killed_process_ends_at_once(void **state)
{
	pid_t child = start_runner();

	(void)state;
	assert_int_equal(files(), 1);
	kill_runner(child);
	assert_int_equal(run(), 200);
	check_run("", "status", "failed");
	check_run("", "json_extract(last_error, '$.code')", "server_error");
	check_run("", "ended_at > 0", "1");
	/* The dead process's file is gone; this process has its own. */
	assert_int_equal(files(), 1);
}

static void
it_ends_even_if_this_process_has_its_file(void **state)
{
	pid_t child = start_runner();

	(void)state;
	assert_int_equal(run(), 400);
	kill_runner(child);
	assert_int_equal(run(), 200);
	check_run("", "status", "failed");
}

static void
a_cancelled_run_of_a_killed_process_is_cancelled(void **state)
{
	pid_t child = start_runner();
	char *id = query("", "id"), path[192];
	int status;

	(void)state;
	kill_runner(child);
	snprintf(path, sizeof path, "/threads/%s/runs/%s/cancel", thread, id);
	json_object_put(call("POST", path, NULL, &status));
	free(id);
	assert_int_equal(status, 200);
	check_run("", "status", "cancelled");
}

static void
a_cancelling_run_is_cancelled(void **state)
{
	pid_t child = start_runner();

	(void)state;
	kill_runner(child);
	free(query("UPDATE runs SET status = 'cancelling'", "id"));
	assert_int_equal(run(), 200);
	check_run("", "status", "cancelled");
	check_run("", "last_error IS NULL", "1");
}

static void
an_overdue_run_expires(void **state)
{
	pid_t child = start_runner();

	(void)state;
	kill_runner(child);
	free(query("UPDATE runs SET expires_at = 1", "id"));
	assert_int_equal(run(), 200);
	check_run("", "status", "expired");
	check_run("", "last_error IS NULL", "1");
}

static void
retrieving_a_run_ends_it(void **state)
{
	pid_t child = start_runner();
	char *id = query("", "id"), path[192];
	struct json_object *object;
	int status;

	(void)state;
	snprintf(path, sizeof path, "/threads/%s/runs/%s", thread, id);
	free(id);
	object = call("GET", path, NULL, &status);
	check_text("alive", json_get_string(object, "status"), "in_progress");
	json_object_put(object);
	kill_runner(child);
	object = call("GET", path, NULL, &status);
	check_text("dead", json_get_string(object, "status"), "failed");
	json_object_put(object);
}

static void
listing_a_thread_s_runs_ends_it(void **state)
{
	pid_t child = start_runner();
	struct json_object *list;
	char path[128];
	int status;

	(void)state;
	kill_runner(child);
	snprintf(path, sizeof path, "/threads/%s/runs", thread);
	list = call("GET", path, NULL, &status);
	check_text(
	    "listed", json_get_string(json_at(json_get(list, "data"), 0), "status"), "failed");
	json_object_put(list);
}

static void
living_processes_keep_their_runs_whatever_the_lease(void **state)
{
	pid_t child = start_runner();

	(void)state;
	later_s = 300;
	assert_int_equal(run(), 400);
	kill_runner(child);
}

static void
another_machine_has_until_its_lease_ends(void **state)
{
	pid_t child = start_runner();

	(void)state;
	kill_runner(child);
	free(query("UPDATE work SET holder = 'elsewhere.' || holder", "id"));
	later_s = LEASE_S - 5;
	assert_int_equal(run(), 400);
	later_s = LEASE_S + 5;
	assert_int_equal(run(), 200);
	check_run("", "status", "failed");
}

/* Not even if its file was removed, nor by the time. */
static void
a_process_never_gives_up_its_own(void **state)
{
	struct leases *leases = leases_new(folder);
	const char *holder = leases_holder(leases, NULL, NULL);
	char *path = path_in(folder, "leases"), *own = path_in(path, holder);

	(void)state;
	open_api();
	assert_false(leases_are_over(leases, holder, clock_unix() - LEASE_S));
	assert_int_equal(unlink(own), 0);
	assert_false(leases_are_over(leases, holder, clock_unix() - LEASE_S));
	leases_free(leases);
	free(own);
	free(path);
}

/*
 * Renewing holds the database; a process must not make its file, and settle dead ones, just then.
 */
static void
nothing_is_renewed_before_there_is_a_lease(void **state)
{
	struct leases *leases = leases_new(folder);

	(void)state;
	open_api();
	later_s += 2 * LEASE_RENEWAL_S;
	assert_false(leases_renewal_due(leases));
	assert_non_null(leases_holder(leases, NULL, NULL));
	assert_false(leases_renewal_due(leases));
	later_s += LEASE_RENEWAL_S;
	assert_true(leases_renewal_due(leases));
	assert_false(leases_renewal_due(leases));
	leases_free(leases);
}

/* A waiting run's lease is renewed by the checks of that wait. */
static void
ask_and_renew(struct model *self, const struct model_request *request, struct model_result *result)
{
	char *before = query("", "lease_until"), *after;

	(void)self;
	later_s += LEASE_RENEWAL_S - 2;
	assert_false(interrupt_raised(request->interrupt));
	check_run("", "lease_until", before);
	later_s += 3;
	assert_false(interrupt_raised(request->interrupt));
	after = query("", "lease_until");
	assert_true(atoll(after) > atoll(before));
	free(before);
	free(after);
	result->outcome = MODEL_INTERRUPTED;
}

static void
a_lease_is_renewed(void **state)
{
	static struct model renewing = {.ask = ask_and_renew};
	char error[ERROR_SIZE], *path = path_in(folder, "test.db");

	(void)state;
	db = db_open(path, false, error);
	free(path);
	api = api_new(db, &renewing, folder, 600, 100000);
	assert_int_equal(run(), 200);
	check_run("", "status", "cancelled");
}

static void
the_file_is_removed_with_the_process(void **state)
{
	(void)state;
	open_api();
	assert_int_equal(run(), 200);
	assert_int_equal(files(), 1);
	api_free(api);
	assert_int_equal(files(), 0);
	api = api_new(db, &model, folder, 600, 100000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_run_of_a_killed_process_ends_at_once),
	    TEST(it_ends_even_if_this_process_has_its_file),
	    TEST(a_cancelled_run_of_a_killed_process_is_cancelled),
	    TEST(a_cancelling_run_is_cancelled),
	    TEST(an_overdue_run_expires),
	    TEST(retrieving_a_run_ends_it),
	    TEST(listing_a_thread_s_runs_ends_it),
	    TEST(living_processes_keep_their_runs_whatever_the_lease),
	    TEST(another_machine_has_until_its_lease_ends),
	    TEST(a_process_never_gives_up_its_own),
	    TEST(nothing_is_renewed_before_there_is_a_lease),
	    TEST(a_lease_is_renewed),
	    TEST(the_file_is_removed_with_the_process),
	};

	return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}
