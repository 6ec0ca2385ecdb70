/* Assistants: what is shown, and what can be changed. */
#include "api_calls.h"

#include "os/clock.h"

static void
missing_members_have_defaults(void **state)
{
	static const struct {
		const char *member, *value;
	} rows[] = {
	    {"object", "'assistant'"},
	    {"model", "'m'"},
	    {"name", "null"},
	    {"description", "null"},
	    {"instructions", "null"},
	    {"tools", "[]"},
	    {"tool_resources", "{}"},
	    {"metadata", "{}"},
	    {"temperature", "1.0"},
	    {"top_p", "1.0"},
	    {"reasoning_effort", "null"},
	    {"response_format", "'auto'"},
	};
	long long before = clock_unix();
	struct json_object *assistant = call("POST", "/assistants", "{'model': 'm'}");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_member(rows[i].member, assistant, rows[i].member, rows[i].value);
	check_int("keys", json_object_object_length(assistant), COUNT(rows) + 2);
	assert_int_equal(strncmp(json_get_string(assistant, "id"), "asst_", 5), 0);
	assert_true(json_get_int(assistant, "created_at", 0) >= before);
	json_object_put(assistant);
}

#define FUNCTION                                                                                   \
	"{'type': 'function', 'function': {'name': 'get-it_9', 'description': 'd', 'strict': "     \
	"true, 'parameters': {'type': 'object', 'properties': {'type': {'anything': [1]}}}}}"

static void
everything_that_is_given_is_kept(void **state)
{
	static const struct {
		const char *member, *value;
	} rows[] = {
	    {"model", "'m'"},
	    {"name", "'N'"},
	    {"description", "'D'"},
	    {"instructions", "'I'"},
	    {"tools",
		"[" FUNCTION ", {'type': 'code_interpreter'}, {'type': "
		"'file_search', 'file_search': {'max_num_results': 50, 'ranking_options': "
		"{'ranker': 'default_2024_08_21', 'score_threshold': 0.5}}}]"},
	    {"tool_resources",
		"{'code_interpreter': {'file_ids': ['file-1', 'file-2']}, 'file_search': "
		"{'vector_store_ids': ['vs_1']}}"},
	    {"metadata", "{'a': '1', 'b': ''}"},
	    {"temperature", "2"},
	    {"top_p", "0.25"},
	    {"reasoning_effort", "'xhigh'"},
	    {"response_format",
		"{'type': 'json_schema', 'json_schema': {'name': 's', 'strict': null, 'schema': "
		"{'type': 'object'}}}"},
	};
	char body[2048] = "{", at[256];
	struct json_object *assistant;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		snprintf(body + strlen(body), sizeof body - strlen(body), "%s'%s': %s",
		    i ? ", " : "", rows[i].member, rows[i].value);
	snprintf(body + strlen(body), sizeof body - strlen(body), "}");
	make(at, "/assistants", body);
	assistant = call("GET", at, NULL);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_member(rows[i].member, assistant, rows[i].member, rows[i].value);
	json_object_put(assistant);
}

#define USUAL_SEARCH                                                                               \
	"{'type': 'file_search', 'file_search': {'max_num_results': null, 'ranking_options': "     \
	"{'ranker': 'default_2024_08_21', 'score_threshold': 0.0}}}"

/* What the original shows for what was not set. */
static void
defaults_are_shown(void **state)
{
	static const struct {
		const char *given, *member, *value;
	} rows[] = {
	    {"'tools': [{'type': 'file_search'}]", "tools", "[" USUAL_SEARCH "]"},
	    {"'tools': [{'type': 'file_search'}]", "tool_resources",
		"{'file_search': {'vector_store_ids': []}}"},
	    {"'tools': [{'type': 'code_interpreter'}]", "tool_resources",
		"{'code_interpreter': {'file_ids': []}}"},
	    {"'tools': [{'type': 'code_interpreter'}], 'tool_resources': {'code_interpreter': "
	     "{'file_ids': ['f']}}",
		"tool_resources", "{'code_interpreter': {'file_ids': ['f']}}"},
	    {"'tools': [{'type': 'function', 'function': {'name': 'f'}}]", "tools",
		"[{'type': 'function', 'function': {'name': 'f', 'strict': false}}]"},
	    {"'tools': [{'type': 'function', 'function': {'name': 'f', 'strict': true}}]", "tools",
		"[{'type': 'function', 'function': {'name': 'f', 'strict': true}}]"},
	    {"'response_format': 'none'", "response_format", "'auto'"},
	    {"'tools': []", "tool_resources", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *assistant;
		char at[256], body[512];

		snprintf(body, sizeof body, "{'model': 'm', %s}", rows[i].given);
		make(at, "/assistants", body);
		assistant = call("GET", at, NULL);
		check_member(rows[i].given, assistant, rows[i].member, rows[i].value);
		json_object_put(assistant);
	}
}

static void
only_what_is_named_changes(void **state)
{
	/* One after the other, on the same assistant. */
	static const struct {
		const char *body, *member, *value;
	} rows[] = {
	    {"{}", "name", "'N'"},
	    {"{'name': 'O'}", "name", "'O'"},
	    {"{'description': 'D'}", "name", "'O'"},
	    {"{'name': null}", "name", "null"},
	    {"{}", "description", "'D'"},
	    {"{'description': null}", "description", "null"},
	    {"{'instructions': 'I'}", "instructions", "'I'"},
	    {"{'instructions': null}", "instructions", "null"},
	    {"{'tools': null}", "tools", "[" USUAL_SEARCH "]"},
	    {"{'tools': []}", "tools", "[]"},
	    {"{'model': null}", "model", "'m'"},
	    {"{'model': 'n'}", "model", "'n'"},
	    {"{'metadata': {'b': '2'}}", "metadata", "{'b': '2'}"},
	    {"{'metadata': null}", "metadata", "{}"},
	    {"{'temperature': 0}", "temperature", "0"},
	    {"{'temperature': null}", "temperature", "1.0"},
	    {"{'top_p': 0.5}", "top_p", "0.5"},
	    {"{'top_p': null}", "top_p", "1.0"},
	    {"{'reasoning_effort': 'none'}", "reasoning_effort", "'none'"},
	    {"{'reasoning_effort': null}", "reasoning_effort", "null"},
	    {"{'response_format': {'type': 'text'}}", "response_format", "{'type': 'text'}"},
	    {"{'response_format': null}", "response_format", "'auto'"},
	    {"{'tool_resources': {'file_search': {'vector_store_ids': ['vs_1']}}}",
		"tool_resources.file_search.vector_store_ids", "['vs_1']"},
	    {"{'tool_resources': {'code_interpreter': {'file_ids': []}}}", "tool_resources",
		"{'code_interpreter': {'file_ids': []}}"},
	    {"{'tool_resources': null}", "tool_resources", "{}"},
	};
	char at[256];

	(void)state;
	make(at, "/assistants",
	    "{'model': 'm', 'name': 'N', 'tools': [{'type': 'file_search'}], "
	    "'metadata': {'a': '1'}}");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *changed = call("POST", at, rows[i].body);
		struct json_object *kept = call("GET", at, NULL);

		check_member(rows[i].body, changed, rows[i].member, rows[i].value);
		check_member(rows[i].body, kept, rows[i].member, rows[i].value);
		json_object_put(changed);
		json_object_put(kept);
	}
}

static void
a_requested_vector_store_is_stored_but_not_shown(void **state)
{
	struct json_object *assistant = call("POST", "/assistants",
	    "{'model': 'm', 'tool_resources': {'file_search': {'vector_stores': [{'file_ids': "
	    "['file-1'], 'chunking_strategy': {'type': 'static', 'static': "
	    "{'max_chunk_size_tokens': 100, 'chunk_overlap_tokens': 50}}, 'metadata': {}}]}}}");
	struct json_object *stored;
	struct db_tx *tx;
	struct db_stmt *stmt;

	(void)state;
	check_member(
	    "shown", assistant, "tool_resources", "{'file_search': {'vector_store_ids': []}}");
	json_object_put(assistant);
	tx = db_begin(here.db, DB_READ);
	stmt = db_prepare(tx, "SELECT body FROM assistants");
	assert_int_equal(db_step(stmt), DB_ROW);
	stored = json_of(db_text(stmt, 0));
	db_finish(stmt, DB_DONE);
	db_rollback(tx);
	check_member(
	    "stored", stored, "tool_resources.file_search.vector_stores.0.file_ids", "['file-1']");
	json_object_put(stored);
}

static void
a_deleted_assistant_is_gone(void **state)
{
	struct json_object *answer;
	char at[256], expected[256];

	(void)state;
	make(at, "/assistants", "{'model': 'm'}");
	answer = call("DELETE", at, NULL);
	snprintf(expected, sizeof expected,
	    "{'id': '%s', 'object': 'assistant.deleted', 'deleted': true}", strrchr(at, '/') + 1);
	check_member("deleted", answer, "", expected);
	json_object_put(answer);
	snprintf(
	    expected, sizeof expected, "No assistant found with id '%s'.", strrchr(at, '/') + 1);
	check_refused("GET", at, NULL, 404, NULL, expected);
	check_refused("POST", at, "{'name': 'x'}", 404, NULL, expected);
	check_refused("DELETE", at, NULL, 404, NULL, expected);
	check_refused("DELETE", "/assistants/undefined", NULL, 400, "assistant_id",
	    "Invalid 'assistant_id': 'undefined'. Expected an ID that begins with 'asst'.");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_open, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(missing_members_have_defaults),
	    TEST(everything_that_is_given_is_kept),
	    TEST(defaults_are_shown),
	    TEST(only_what_is_named_changes),
	    TEST(a_requested_vector_store_is_stored_but_not_shown),
	    TEST(a_deleted_assistant_is_gone),
	};

	return cmocka_run_group_tests_name("assistants", tests, NULL, NULL);
}
