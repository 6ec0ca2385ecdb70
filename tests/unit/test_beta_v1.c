/* Version 1's shapes: each body and object, converted in both directions. */
#include "api_calls.h"

#include "v1/beta_v1.h"

static void
check_json(const char *row, struct json_object *got, const char *quoted)
{
	check_member(row, got, "", quoted);
}

static void
the_header_or_an_old_api_version_selects_version_1(void **state)
{
	static const struct {
		const char *beta, *query;
		bool old;
	} rows[] = {
	    {NULL, NULL, false},
	    {"", "", false},
	    {"assistants=v2", NULL, false},
	    {"assistants=v1", NULL, true},
	    {"other=1, assistants=v1", NULL, true},
	    {NULL, "api-version=2024-02-15-preview", true},
	    {"", "limit=1&api-version=2023-07-01-preview&order=asc", true},
	    {NULL, "api-version=2024-05-01-preview", false},
	    {NULL, "api-version=2025-01-01", false},
	    {NULL, "limit=1", false},
	    {"assistants=v2", "api-version=2024-02-15-preview", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].beta ? rows[i].beta : "none",
		    beta_v1_asked(rows[i].beta, rows[i].query), rows[i].old);
}

#define BOTH_TOOLS "[{'type': 'code_interpreter'}, {'type': 'file_search'}]"
#define ATTACHMENTS "'attachments': [{'file_id': 'f', 'tools': " BOTH_TOOLS "}]"

static void
bodies_become_version_2(void **state)
{
	static const struct {
		const char *path, *old, *now;
	} rows[] = {
	    {"/assistants", "{'model': 'm'}", "{'model': 'm'}"},
	    {"/assistants", "{'tools': [{'type': 'retrieval'}, 1, {}], 'file_ids': ['f']}",
		"{'tools': [{'type': 'file_search'}, 1, {}], 'tool_resources': "
		"{'code_interpreter': {'file_ids': ['f']}}}"},
	    {"/assistants/asst_a", "{'file_ids': null}",
		"{'tool_resources': {'code_interpreter': {'file_ids': []}}}"},
	    {"/assistants", "{'metadata': {'a': true, 'b': 1.5, 'c': 'd', 'e': null}}",
		"{'metadata': {'a': 'True', 'b': '1.5', 'c': 'd', 'e': null}}"},
	    {"/threads/t/messages/m", "{'metadata': {'a': false}}", "{'metadata': {'a': 'False'}}"},
	    {"/threads", "{'metadata': {'a': 2}, 'messages': [{'metadata': {'a': true}}]}",
		"{'metadata': {'a': '2'}, 'messages': [{'metadata': {'a': 'True'}}]}"},
	    {"/assistants/asst_a/files", "{'file_id': 'f'}", "{'file_id': 'f'}"},
	    {"/threads", "{'file_ids': [], 'messages': [{'file_ids': ['f']}, 7]}",
		"{'file_ids': [], 'messages': [{" ATTACHMENTS "}, 7]}"},
	    {"/threads/t/messages", "{'file_ids': ['f']}", "{" ATTACHMENTS "}"},
	    {"/threads/t/messages", "{'file_ids': null}", "{'attachments': null}"},
	    {"/threads/t/messages/m", "{'file_ids': ['f']}", "{'file_ids': ['f']}"},
	    {"/threads/runs",
		"{'tools': [{'type': 'retrieval'}], 'thread': {'messages': [{'file_ids': ['f']}]}}",
		"{'tools': [{'type': 'file_search'}], 'thread': {'messages': [{" ATTACHMENTS
		"}]}}"},
	    {"/threads/t/runs", "{'additional_messages': [{'file_ids': ['f']}]}",
		"{'additional_messages': [{" ATTACHMENTS "}]}"},
	    {"/assistants", "['no object']", "['no object']"},
	    {"/threads/t/runs", "'text'", "'text'"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *body = json_of(rows[i].old);

		beta_v1_request(rows[i].path, body);
		check_json(rows[i].old, body, rows[i].now);
		json_object_put(body);
	}
	beta_v1_request("/threads", NULL);
}

static void
saved_objects_become_version_2(void **state)
{
	static const struct {
		const char *old, *now;
	} rows[] = {
	    {"{'object': 'assistant', 'tools': [{'type': 'retrieval'}], 'file_ids': ['f']}",
		"{'object': 'assistant', 'tools': [{'type': 'file_search'}], 'tool_resources': "
		"{'code_interpreter': {'file_ids': ['f']}}}"},
	    {"{'object': 'assistant', 'tool_resources': {'file_search': null}}",
		"{'object': 'assistant', 'tool_resources': {'file_search': null}}"},
	    {"{'object': 'thread', 'file_ids': 1}", "{'object': 'thread', 'file_ids': 1}"},
	    {"{'object': 'thread.message', 'file_ids': ['f']}",
		"{'object': 'thread.message', " ATTACHMENTS "}"},
	    {"{'object': 'thread.run', 'file_ids': [], 'tools': [{'type': 'retrieval'}]}",
		"{'object': 'thread.run', 'tools': [{'type': 'file_search'}], 'tool_resources': "
		"{'code_interpreter': {'file_ids': []}}}"},
	    {"{'object': 'thread.run.step', 'step_details': {'tool_calls': [{'id': 'c', 'type': "
	     "'retrieval', 'retrieval': {}}]}}",
		"{'object': 'thread.run.step', 'step_details': {'tool_calls': [{'id': 'c', 'type': "
		"'file_search', 'file_search': {}}]}}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *object = json_of(rows[i].old);

		beta_v1_saved(object);
		check_json(rows[i].old, object, rows[i].now);
		json_object_put(object);
	}
}

static void
objects_are_shown_as_version_1(void **state)
{
	static const struct {
		const char *now, *old;
	} rows[] = {
	    {"{'object': 'assistant', 'tools': [{'type': 'file_search', 'file_search': "
	     "{'max_num_results': 3}}], 'tool_resources': {'file_search': {}}, 'top_p': 1}",
		"{'object': 'assistant', 'tools': [{'type': 'retrieval'}], 'top_p': 1, "
		"'file_ids': []}"},
	    {"{'object': 'assistant', 'tools': [{'type': 'function', 'function': {'name': 'f', "
	     "'strict': false}}]}",
		"{'object': 'assistant', 'tools': [{'type': 'function', 'function': {'name': "
		"'f'}}], 'file_ids': []}"},
	    {"{'object': 'thread.run', 'instructions': '', 'temperature': 1, 'tool_choice': "
	     "'auto', 'parallel_tool_calls': true}",
		"{'object': 'thread.run', 'instructions': null, 'temperature': 1, 'tool_choice': "
		"'auto', 'file_ids': []}"},
	    {"{'object': 'thread', 'tool_resources': {}}", "{'object': 'thread'}"},
	    {"{'object': 'thread.message', 'attachments': [{'file_id': 'f'}, {'file_id': 'g'}]}",
		"{'object': 'thread.message', 'file_ids': ['f', 'g']}"},
	    {"{'object': 'thread.run', 'status': 'incomplete', 'incomplete_details': {}, 'tools': "
	     "[], 'tool_resources': {'code_interpreter': {'file_ids': ['f']}}}",
		"{'object': 'thread.run', 'status': 'completed', 'incomplete_details': {}, "
		"'tools': "
		"[], 'file_ids': ['f']}"},
	    {"{'object': 'thread.run.step', 'step_details': {'type': 'tool_calls', 'tool_calls': "
	     "[{'id': 'c', 'type': 'file_search', 'file_search': {'results': [1]}}, {'id': 'd', "
	     "'type': 'function', 'function': {}}]}}",
		"{'object': 'thread.run.step', 'step_details': {'type': 'tool_calls', "
		"'tool_calls': [{'id': 'c', 'type': 'retrieval', 'retrieval': {}}, {'id': 'd', "
		"'type': 'function', 'function': {}}]}}"},
	    {"{'object': 'thread.run.step.delta', 'delta': {'step_details': {'tool_calls': "
	     "[{'index': 0, 'type': 'file_search', 'file_search': {}}]}}}",
		"{'object': 'thread.run.step.delta', 'delta': {'step_details': {'tool_calls': "
		"[{'index': 0, 'type': 'retrieval', 'retrieval': {}}]}}}"},
	    {"{'object': 'list', 'data': [{'object': 'thread', 'tool_resources': {}}, 1]}",
		"{'object': 'list', 'data': [{'object': 'thread'}, 1]}"},
	    {"{'id': 'a', 'object': 'assistant.deleted', 'deleted': true}",
		"{'id': 'a', 'object': 'assistant.deleted', 'deleted': true}"},
	    {"{'error': {'message': 'attachments[0].file_id, 1.5', 'param': null}}",
		"{'error': {'message': 'file_ids[0], 1.5', 'param': null}}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *object = json_of(rows[i].now);
		struct json_object *shown = beta_v1_shown(object);

		check_json(rows[i].now, shown, rows[i].old);
		/* Converting must not change what will be stored. */
		check_json("the object itself", object, rows[i].now);
		json_object_put(shown);
		json_object_put(object);
	}
	assert_null(beta_v1_shown(NULL));
}

static void
an_incomplete_run_is_shown_as_completed(void **state)
{
	struct run run = {.status = RUN_INCOMPLETE};
	struct event event = {.kind = EVENT_RUN, .run = &run};
	char name[EVENT_NAME_SIZE];

	(void)state;
	beta_v1_print_name(&event, name);
	assert_string_equal(name, "thread.run.completed");
	run.status = RUN_EXPIRED;
	beta_v1_print_name(&event, name);
	assert_string_equal(name, "thread.run.expired");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_header_or_an_old_api_version_selects_version_1),
	    cmocka_unit_test(bodies_become_version_2),
	    cmocka_unit_test(saved_objects_become_version_2),
	    cmocka_unit_test(objects_are_shown_as_version_1),
	    cmocka_unit_test(an_incomplete_run_is_shown_as_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
