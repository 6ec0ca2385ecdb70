/* Threads: what is shown, what can be changed, and what is deleted with them. */

#include "api_calls.h"

#include "os/clock.h"

static void
a_thread_needs_no_body(void **state)
{
	static const char *const bodies[] = {NULL, "null", "{}",
	    "{'messages': [], 'metadata': {}, 'tool_resources': {}}",
	    "{'messages': null, 'metadata': null, 'tool_resources': null}"};
	long long before = clock_unix();

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		const char *row = bodies[i] ? bodies[i] : "no body";
		struct json_object *thread = call("POST", "/threads", bodies[i]);

		check_member(row, thread, "object", "'thread'");
		check_member(row, thread, "metadata", "{}");
		check_member(row, thread, "tool_resources", "{}");
		check_int(row, json_object_object_length(thread), 5);
		assert_int_equal(strncmp(json_get_string(thread, "id"), "thread_", 7), 0);
		assert_true(json_get_int(thread, "created_at", 0) >= before);
		json_object_put(thread);
	}
}

static void
only_what_is_named_changes(void **state)
{
	/* One after the other, on the same thread. */
	static const struct {
		const char *body, *member, *value;
	} rows[] = {
	    {"{}", "metadata", "{'a': '1'}"},
	    {"{'metadata': {'b': '2'}}", "metadata", "{'b': '2'}"},
	    {"{}", "tool_resources", "{'code_interpreter': {'file_ids': ['file-1']}}"},
	    {"{'metadata': null}", "metadata", "{}"},
	    {"{'tool_resources': {'file_search': {'vector_store_ids': ['vs_1']}}}",
		"tool_resources", "{'file_search': {'vector_store_ids': ['vs_1']}}"},
	    {"{'tool_resources': null}", "tool_resources", "{}"},
	};
	char at[256];

	(void)state;
	make(at, "/threads",
	    "{'metadata': {'a': '1'}, 'tool_resources': {'code_interpreter': {'file_ids': "
	    "['file-1']}}}");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *changed = call("POST", at, rows[i].body);
		struct json_object *kept = call("GET", at, NULL);

		check_member(rows[i].body, changed, rows[i].member, rows[i].value);
		check_member(rows[i].body, kept, "", json_text(changed));
		json_object_put(changed);
		json_object_put(kept);
	}
}

static void
a_deleted_thread_is_gone_with_its_messages(void **state)
{
	struct json_object *answer;
	char at[256], expected[256], below[300];
	struct db_stmt *stmt;
	struct db_tx *tx;

	(void)state;
	make(at, "/threads", "{'messages': [{'role': 'user', 'content': 'x'}]}");
	answer = call("DELETE", at, NULL);
	snprintf(expected, sizeof expected,
	    "{'id': '%.64s', 'object': 'thread.deleted', 'deleted': true}", strrchr(at, '/') + 1);
	check_member("deleted", answer, "", expected);
	json_object_put(answer);
	snprintf(
	    expected, sizeof expected, "No thread found with id '%.64s'.", strrchr(at, '/') + 1);
	check_refused("GET", at, NULL, 404, NULL, expected);
	check_refused("POST", at, "{}", 404, NULL, expected);
	check_refused("DELETE", at, NULL, 404, NULL, expected);
	snprintf(below, sizeof below, "%s/messages", at);
	check_refused("GET", below, NULL, 404, NULL, expected);
	check_refused("POST", below, "{'role': 'user', 'content': 'x'}", 404, NULL, expected);
	tx = db_begin(here.db, DB_READ);
	stmt = db_prepare(tx, "SELECT 1 FROM messages");
	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	db_rollback(tx);
	check_refused("POST", "/threads/undefined", "{}", 400, "thread_id",
	    "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'.");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_open, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(a_thread_needs_no_body),
	    TEST(only_what_is_named_changes),
	    TEST(a_deleted_thread_is_gone_with_its_messages),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
