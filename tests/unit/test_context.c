/*
 * The conversation in the form for a model: in order, with calls where they were made, and cut to
 * fit.
 */
#include "contexts.h"
#include "runs/context.h"

#include "support.h"

#include "text/json.h"

enum { THREAD = 1, ANOTHER = 2 };

static char *folder;
static struct db *db;

static void
run_sql(const char *sql)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct db_stmt *stmt = db_prepare(tx, sql);

	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	assert_int_equal(db_commit(tx), 0);
}

/* Thread 1 has the messages 1 to 9, thread 2 has one. Calls follow message 4. */
static int
set_up(void **state)
{
	char error[ERROR_SIZE], *path;

	(void)state;
	folder = folder_new();
	path = path_in(folder, "test.db");
	db = db_open(path, false, error);
	free(path);
	assert_non_null(db);
	run_sql("INSERT INTO threads (seq, id, tenant, created_at, body) "
		"VALUES (1, 'thread_1', 't', 1, '{}'), (2, 'thread_2', 't', 1, '{}')");
	run_sql("INSERT INTO runs (seq, id, thread, assistant_id, created_at, expires_at, status, "
		"options) VALUES (1, 'run_1', 1, 'asst_1', 1, 2, 'completed', NULL)");
	/* 100 bytes each. */
	run_sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) "
		"INSERT INTO messages (seq, id, thread, created_at, role, content, body) "
		"SELECT i, 'msg_' || i, CASE i WHEN 10 THEN 2 ELSE 1 END, 1, 'user', "
		"printf('[\"%d%s\"]', i, printf('%.*c', 95, 'x')), '{}' FROM n");
	run_sql(
	    "INSERT INTO run_steps (id, run, created_at, status, details, thread, "
	    "after_message, items) VALUES "
	    "('step_1', 1, 1, 'completed', '{\"type\": \"tool_calls\", \"tool_calls\": [{\"id\": "
	    "\"call_1\", \"function\": {\"name\": \"f\", \"arguments\": \"{}\", \"output\": "
	    "\"o\"}}]}', 1, 4, '[1]'), "
	    "('step_2', 1, 1, 'cancelled', '{\"tool_calls\": []}', 1, 4, NULL)");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	db_close(db);
	folder_remove(folder);
	return 0;
}

/* "12c3": messages by their first digit, calls as c. */
static void
check(const char *row, long long thread, long long tokens, long long messages, const char *expected)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	struct model_context context;
	char told[32] = "";

	assert_int_equal(context_load(tx, thread, tokens, messages, &context), 0);
	db_rollback(tx);
	for (size_t i = 0; i < context.len; i++) {
		const struct model_entry *entry = &context.entries[i];
		struct json_object *words = json_at(entry->content, 0);

		told[i] = entry->kind == MODEL_CALLS ? 'c' : json_object_get_string(words)[0];
	}
	model_context_free(&context);
	check_text(row, told, expected);
}

static void
context_is_cut_to_fit(void **state)
{
	(void)state;
	check("all", THREAD, 100000, 0, "1234c56789");
	check("another thread", ANOTHER, 100000, 0, "1");
	/* 150 tokens are six messages: one from the beginning, the others from the end. */
	check("the middle is left out", THREAD, 150, 0, "16789");
	check("less", THREAD, 100, 0, "1789");
	check("never the last", THREAD, 1, 0, "9");
	check("the newest", THREAD, 100000, 3, "789");
	check("the newest, with calls between", THREAD, 100000, 6, "4c56789");
	check("as many as there are", THREAD, 100000, 9, "1234c56789");
	check("the newest that fit", THREAD, 60, 5, "89");
	/* Bytes count, not characters: 20 of these have 60. */
	run_sql("INSERT INTO messages (seq, id, thread, created_at, role, content, body) VALUES "
		"(11, 'msg_11', 2, 1, 'user', '[\"2数数数数数数数数数数数数数数数数数数数数\"]', "
		"'{}')");
	check("both", ANOTHER, 45, 0, "12");
	check("one", ANOTHER, 40, 0, "2");
}

static void
calls_are_shown_in_the_models_form(void **state)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	struct model_context context;
	struct json_object *entries;

	(void)state;
	assert_int_equal(context_load(tx, THREAD, 100000, 0, &context), 0);
	db_rollback(tx);
	entries = context_json(&context);
	check_text("calls", json_text(json_at(entries, 4)),
	    "{\"calls\":[{\"id\":\"call_1\",\"name\":\"f\",\"arguments\":\"{}\",\"output\":\"o\"}],"
	    "\"items\":[1]}");
	json_object_put(entries);
	model_context_free(&context);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(context_is_cut_to_fit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(calls_are_shown_in_the_models_form, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
