/* Threads: what is shown of them, what can be changed, and what goes with them. */
#include "assistants/internal.h" /* before cmocka, whose fail() is a macro */

#include "api_calls.h"

#include "os/clock.h"

static void
a_thread_is_made_of_nothing(void **state)
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

/* As the room of runs does it, with a body that it has checked, or none. */
static void
other_rooms_make_threads(void **state)
{
	static const struct {
		const char *thread, *metadata, *words;
	} rows[] = {
	    {NULL, "{}", ""},
	    {"{}", "{}", ""},
	    {"{'metadata': {'a': 'b'}, 'messages': [{'role': 'user', 'content': 'hi'}]}",
		"{'a': 'b'}", "hi"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *row = rows[i].thread ? rows[i].thread : "none";
		struct json_object *body = rows[i].thread ? json_of(rows[i].thread) : NULL, *thread;
		struct db_tx *tx = db_begin(here.db, DB_WRITE);
		char id[ID_SIZE], path[128];
		long long seq, found;

		check_int(row, thread_insert(tx, "us", body, id, &seq), DB_DONE);
		check_int(row, thread_load(tx, "them", id, &thread), 0);
		assert_null(thread);
		check_int(row, thread_load(tx, "us", id, &thread), 1);
		check_int(row, thread_find(tx, "us", id, &found), 1);
		check_int(row, seq, found);
		assert_int_equal(db_commit(tx), 0);
		check_text(row, json_get_string(thread, "id"), id);
		check_member(row, thread, "metadata", rows[i].metadata);
		snprintf(path, sizeof path, "/threads/%s/messages", id);
		check_list(path, "/content/0/text/value", rows[i].words);
		json_object_put(thread);
		json_object_put(body);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_open, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(a_thread_is_made_of_nothing),
	    TEST(only_what_is_named_changes),
	    TEST(a_deleted_thread_is_gone_with_its_messages),
	    TEST(other_rooms_make_threads),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
