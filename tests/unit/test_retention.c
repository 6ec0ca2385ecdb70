/*
 * Retention: which threads are deleted, in which steps, and what happens to a message that arrives
 * at that very moment.
 */
#include "api_calls.h"

#include <sqlite3.h>

#include "assistants/import_export.h"
#include "os/clock.h"

enum { DAY_S = 24 * 60 * 60, DAYS = 10, HOUR_S = 3600, STEP_S = 30 };

static long long later_s;
static int calls_until_meanwhile; /* of clock_ms(); 0: never */
static void (*meanwhile)(void);
static struct db *other_db;
static struct api *other_api;
static char assistant[256];

/* Replaces the program's clock: tests cannot wait for days, and must act between two steps. */
long long
clock_ms(void)
{
	struct timespec now;

	if (calls_until_meanwhile > 0 && --calls_until_meanwhile == 0)
		meanwhile();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

long long
clock_unix(void)
{
	return 1800000000 + later_s;
}

long long
clock_unix_ns(void)
{
	return clock_unix() * 1000000000;
}

/*
 * Replaces SQLite's function: both connections belong to this thread, so waiting for a lock would
 * never end.
 */
int
sqlite3_busy_timeout(sqlite3 *handle, int ms)
{
	(void)handle;
	(void)ms;
	return SQLITE_OK;
}

/* A model that calls a function. */
static void
call_function(struct model *model, const struct model_request *request, struct model_result *result)
{
	(void)model;
	request->on_call(request->arg, 0, "call_1", "rain");
	request->on_called(request->arg, 0, "{}");
	result->outcome = MODEL_COMPLETED;
}

static struct model caller = {.ask = call_function};

/* The first column of the first row, a number. */
static long long
number(const char *sql)
{
	char *path = path_in(here.folder, "test.db");
	long long value = -1;
	sqlite3_stmt *stmt;
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	free(path);
	if (sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
	return value;
}

static struct api *
new_api(struct db *db, struct model *model)
{
	/* A run's time limit is longer than an idle thread's life. */
	struct api *api = api_new(db, model, here.folder, 2 * DAYS * DAY_S, 100000);

	assert_non_null(api);
	assert_int_equal(api_set_retention(api, DAYS), 0);
	return api;
}

static int
set_up(void **state)
{
	char error[ERROR_SIZE], *path;

	later_s = 0;
	api_open(state);
	api_free(here.api);
	here.api = new_api(here.db, &caller);
	path = path_in(here.folder, "test.db");
	other_db = db_open(path, false, error);
	free(path);
	other_api = new_api(other_db, &caller);
	make(assistant, "/assistants", "{'model': 'm'}");
	return 0;
}

static int
tear_down(void **state)
{
	api_free(other_api);
	db_close(other_db);
	return api_close(state);
}

/* Runs all steps of a sweep, alternating between both processes. Returns how many. */
static int
sweep(void)
{
	int steps = 0;

	while (api_sweep_is_due(here.api)) {
		api_sweep(steps % 2 ? other_api : here.api);
		assert_true(++steps < 1000);
	}
	return steps;
}

static void
make_thread(char at[256])
{
	make(at, "/threads", "{'messages': [{'role': 'user', 'content': 'a word'}]}");
}

static void
say(const char *thread)
{
	char path[300];

	snprintf(path, sizeof path, "%s/messages", thread);
	json_object_put(call("POST", path, "{'role': 'user', 'content': 'more'}"));
}

static void
run(const char *thread)
{
	run_thread(assistant, thread);
}

static void
run_and_cancel(const char *thread)
{
	char path[400];

	run(thread);
	snprintf(path, sizeof path, "%s/runs/%s/cancel", thread, here.run);
	json_object_put(call("POST", path, NULL));
}

static void
nothing(const char *thread)
{
	(void)thread;
}

/* Reverses the messages, as in a thread that was imported newest first. */
static void
turn_around(const char *thread)
{
	say(thread);
	number("UPDATE messages SET created_at = created_at + 11 * 24 * 3600 "
	       "WHERE seq = (SELECT min(seq) FROM messages)");
}

static void
delete_messages(const char *thread)
{
	(void)thread;
	number("DELETE FROM messages");
}

static bool
is_there(const char *thread)
{
	int status;

	json_object_put(call_as("us", "GET", thread, NULL, &status));
	return status == 200;
}

static void
check_rows(const char *row, long long threads)
{
	check_int(row, number("SELECT count(*) FROM threads"), threads);
	if (threads == 0) {
		check_int(row, number("SELECT count(*) FROM messages"), 0);
		check_int(row, number("SELECT count(*) FROM runs"), 0);
		check_int(row, number("SELECT count(*) FROM run_steps"), 0);
	}
}

/* A thread is made on day 0; the sweep is on day 11, or at another second. */
static const struct row {
	const char *name;
	void (*at_once)(const char *thread);
	int then_s;
	void (*then)(const char *thread);
	long long sweep_s; /* 0: on day 11 */
	bool kept;
} rows[] = {
    {"idle", nothing, 0, nothing, 0, false},
    {"without a message", delete_messages, 0, nothing, 0, false},
    {"with old messages", say, DAY_S / 2, say, 0, false},
    {"with an old run", run_and_cancel, 0, nothing, 0, false},
    {"a second too young", delete_messages, 0, nothing, (long long)DAYS *DAY_S, true},
    {"just old enough", nothing, 0, nothing, (long long)DAYS *DAY_S + 1, false},
    {"with a young message", nothing, 5 * DAY_S, say, 0, true},
    {"with a young message before an old one", turn_around, 0, nothing, 0, true},
    {"with a young run", nothing, 5 * DAY_S, run_and_cancel, 0, true},
    {"with an old run that is still active", run, 0, nothing, 0, true},
    {"with one whose time is over", run, 0, nothing, 21LL * DAY_S, false},
};

static void
idle_threads_are_deleted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char thread[256];

		set_up(state);
		make_thread(thread);
		rows[i].at_once(thread);
		later_s = rows[i].then_s;
		rows[i].then(thread);
		later_s = rows[i].sweep_s ? rows[i].sweep_s : 11LL * DAY_S;
		/* One step that deletes, one that finds nothing. */
		check_int(rows[i].name, sweep(), rows[i].kept ? 1 : 2);
		check_int(rows[i].name, is_there(thread), rows[i].kept);
		check_rows(rows[i].name, rows[i].kept);
		tear_down(state);
	}
}

static void
idle_threads_of_all_tenants_are_deleted(void **state)
{
	int status;

	(void)state;
	json_object_put(call_as("others", "POST", "/threads", NULL, &status));
	json_object_put(call_as("gateway", "POST", "/threads", NULL, &status));
	later_s = 11LL * DAY_S;
	sweep();
	check_rows("all", 0);
}

static void
nothing_is_deleted_without_the_setting(void **state)
{
	char thread[256];

	(void)state;
	make_thread(thread);
	later_s = 11LL * DAY_S;
	api_free(here.api);
	here.api = api_new(here.db, &caller, here.folder, 600, 100000);
	assert_false(api_sweep_is_due(here.api));
	api_sweep(here.api);
	assert_true(is_there(thread));
}

static void
a_sweep_is_due_every_hour(void **state)
{
	(void)state;
	assert_int_equal(sweep(), 1);
	later_s = HOUR_S - 1;
	assert_int_equal(sweep(), 0);
	later_s = HOUR_S;
	assert_int_equal(sweep(), 1);
	/* The clock is set back. */
	later_s = -DAY_S;
	assert_int_equal(sweep(), 1);
}

/* A clock that jumps makes all threads old at once: there is a day to correct it. */
static void
a_sweep_that_is_late_waits_for_a_day(void **state)
{
	static const struct {
		const char *name;
		long long at_s;
		bool kept;
	} moments[] = {
	    {"the first sweep", 0, true},
	    {"the clock jumps by 40 days", 40LL * DAY_S, true},
	    {"and goes on", 41LL * DAY_S - 1, true},
	    {"it is set right", HOUR_S, true},
	    {"40 days pass, and it is late", 40LL * DAY_S, true},
	    {"a day after that it is done", 41LL * DAY_S, false},
	};
	char thread[256];

	(void)state;
	make_thread(thread);
	for (size_t i = 0; i < COUNT(moments); i++) {
		later_s = moments[i].at_s;
		sweep();
		check_int(moments[i].name, is_there(thread), moments[i].kept);
	}
}

static void
a_step_s_work_is_bounded(void **state)
{
	char thread[256];
	int steps;

	(void)state;
	for (int i = 0; i < 70; i++)
		make_thread(thread);
	later_s = 11LL * DAY_S;
	make_thread(thread);
	api_sweep(here.api);
	assert_true(number("SELECT count(*) FROM threads") >= 51);
	steps = sweep();
	assert_true(steps >= 3);
	check_rows("the young one", 1);
	assert_true(is_there(thread));
	assert_int_equal(number("SELECT cursor FROM chores"), 0);
}

static void
threads_far_apart_are_found(void **state)
{
	char thread[256];

	(void)state;
	make_thread(thread);
	number("UPDATE sqlite_sequence SET seq = 25000 WHERE name = 'threads'");
	make_thread(thread);
	later_s = 11LL * DAY_S;
	assert_int_equal(sweep(), 4);
	check_rows("both", 0);
}

/* It is more than one step's work. */
static void
a_long_thread_is_deleted_as_a_whole(void **state)
{
	char thread[256];

	(void)state;
	make_thread(thread);
	assert_int_equal(
	    number("INSERT INTO messages (id, thread, created_at, role, content, body) "
		   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
		   "WHERE i < 20000) SELECT 'm' || i, 1, 1, 'user', '[]', '{}' "
		   "FROM n RETURNING 1"),
	    1);
	later_s = 11LL * DAY_S;
	sweep();
	check_rows("none", 0);
}

/* Its process was killed, so due_at was not set back. */
static void
a_step_that_never_ended_is_done_again(void **state)
{
	char thread[256], sql[100];

	(void)state;
	make_thread(thread);
	later_s = 11LL * DAY_S;
	snprintf(sql, sizeof sql, "UPDATE chores SET due_at = %lld", clock_unix() + STEP_S);
	number(sql);
	api_sweep(here.api);
	check_rows("another process's", 1);
	later_s += STEP_S;
	sweep();
	check_rows("ours", 0);
}

/* As a process leaves it that is killed between two pieces. */
static void
leave_half_removed(char at[256])
{
	make_thread(at);
	say(at);
	run_and_cancel(at);
	number("UPDATE threads SET tenant = '', id = 'removed_' || seq");
	number("DELETE FROM messages WHERE seq = 1");
}

static void
a_thread_half_deleted_cannot_be_found(void **state)
{
	char at[256], path[300];
	struct transfer_counts counts;
	char error[ERROR_SIZE];
	FILE *out = fopen("/dev/null", "w");

	(void)state;
	leave_half_removed(at);
	check_refused("GET", at, NULL, 404, NULL, "No thread");
	check_refused("DELETE", at, NULL, 404, NULL, "No thread");
	leave_half_removed(at);
	snprintf(path, sizeof path, "%s/messages", at);
	check_refused("POST", path, "{'role': 'user', 'content': 'x'}", 404, NULL, "No thread");
	check_list("/threads", "/id", "");
	assert_int_equal(transfer_export(here.db, out, &counts, error), 0);
	fclose(out);
	for (int kind = TRANSFER_THREAD; kind < TRANSFER__MAX; kind++)
		check_int(transfer_names[kind], counts.added[kind], 0);
}

static void
a_deletion_cut_off_is_finished(void **state)
{
	char at[256], another[256];

	(void)state;
	leave_half_removed(at);
	/* By the next sweep, although it is young. */
	sweep();
	check_rows("by a sweep", 0);
	leave_half_removed(at);
	make_thread(another);
	json_object_put(call("DELETE", another, NULL));
	check_rows("by a deletion", 0);
}

/* --- at that very moment --- */

static char moment[256];
static int status_then;

static void
say_by_the_other(void)
{
	struct api *mine = here.api;
	char path[300];

	here.api = other_api;
	snprintf(path, sizeof path, "%s/messages", moment);
	json_object_put(
	    call_as("us", "POST", path, "{'role': 'user', 'content': 'now'}", &status_then));
	here.api = mine;
}

static void
run_by_the_other(void)
{
	struct api *mine = here.api;

	char body[600], path[300];

	here.api = other_api;
	snprintf(path, sizeof path, "%s/runs", moment);
	snprintf(body, sizeof body, "{'assistant_id': '%s', 'stream': true}",
	    strrchr(assistant, '/') + 1);
	json_object_put(call_as("us", "POST", path, body, &status_then));
	here.api = mine;
}

/* How often the thread was kept, was not found, or the writer was refused. */
static void
come_between(void (*what)(void), int counts[3])
{
	for (int n = 1;; n++) {
		struct capture capture;

		later_s = 0;
		make_thread(moment);
		later_s = 11LL * DAY_S;
		number("UPDATE chores SET due_at = 0, cursor = 0");
		meanwhile = what;
		calls_until_meanwhile = n;
		status_then = 0;
		capture_start(&capture);
		api_sweep(here.api);
		free(capture_end(&capture));
		calls_until_meanwhile = 0;
		if (status_then == 0)
			return;
		check_int("there", is_there(moment), status_then == 200);
		check_rows("rows", status_then == 200);
		if (status_then == 200) {
			assert_int_equal(number("SELECT count(*) FROM messages WHERE thread = "
						"(SELECT max(seq) FROM threads)") +
				number("SELECT count(*) FROM runs WHERE thread = "
				       "(SELECT max(seq) FROM threads)"),
			    2);
			json_object_put(call("DELETE", moment, NULL));
		}
		counts[status_then == 200 ? 0 : status_then == 404 ? 1 : 2]++;
	}
}

static void
a_message_in_between_is_kept_or_refused(void **state)
{
	static void (*const comers[])(void) = {say_by_the_other, run_by_the_other};

	(void)state;
	for (size_t i = 0; i < COUNT(comers); i++) {
		int counts[3] = {0};

		come_between(comers[i], counts);
		/* Before the look, after it, during the deletion, and afterwards. */
		assert_true(counts[0] >= 3);
		assert_true(counts[1] >= 1);
		assert_true(counts[2] >= 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_threads_are_deleted),
	    TEST(idle_threads_of_all_tenants_are_deleted),
	    TEST(nothing_is_deleted_without_the_setting),
	    TEST(a_sweep_is_due_every_hour),
	    TEST(a_sweep_that_is_late_waits_for_a_day),
	    TEST(a_step_s_work_is_bounded),
	    TEST(threads_far_apart_are_found),
	    TEST(a_long_thread_is_deleted_as_a_whole),
	    TEST(a_step_that_never_ended_is_done_again),
	    TEST(a_thread_half_deleted_cannot_be_found),
	    TEST(a_deletion_cut_off_is_finished),
	    TEST(a_message_in_between_is_kept_or_refused),
	};

	return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
