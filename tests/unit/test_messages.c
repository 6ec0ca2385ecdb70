/* Messages: what is shown, who wrote them, and what can be changed. */
#include "api_calls.h"

static char assistant[256], thread[256], messages[300];

static int
open_with_thread(void **state)
{
	api_open(state);
	make(assistant, "/assistants", "{'model': 'm'}");
	make(thread, "/threads", "{}");
	snprintf(messages, sizeof messages, "%s/messages", thread);
	return 0;
}

static void
content_is_shown_in_parts(void **state)
{
	static const struct {
		const char *given, *shown;
	} rows[] = {
	    {"'hi'", "[{'type': 'text', 'text': {'value': 'hi', 'annotations': []}}]"},
	    {"' '", "[{'type': 'text', 'text': {'value': ' ', 'annotations': []}}]"},
	    {"[{'type': 'text', 'text': 'a'}, {'type': 'text', 'text': 'b'}]",
		"[{'type': 'text', 'text': {'value': 'a', 'annotations': []}}, {'type': 'text', "
		"'text': {'value': 'b', 'annotations': []}}]"},
	    {"[{'type': 'image_url', 'image_url': {'url': 'https://x/y.png'}}]",
		"[{'type': 'image_url', 'image_url': {'url': 'https://x/y.png', 'detail': "
		"'auto'}}]"},
	    {"[{'type': 'image_url', 'image_url': {'url': 'https://x/y.png', 'detail': 'low'}}]",
		"[{'type': 'image_url', 'image_url': {'url': 'https://x/y.png', 'detail': "
		"'low'}}]"},
	    {"[{'type': 'image_file', 'image_file': {'file_id': 'file-1', 'detail': null}}, "
	     "{'type': 'text', 'text': 'what is it?'}]",
		"[{'type': 'image_file', 'image_file': {'file_id': 'file-1', 'detail': 'auto'}}, "
		"{'type': 'text', 'text': {'value': 'what is it?', 'annotations': []}}]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *made, *kept;
		char body[512], at[400];

		snprintf(body, sizeof body, "{'role': 'user', 'content': %s}", rows[i].given);
		made = call("POST", messages, body);
		snprintf(at, sizeof at, "%s/%s", messages, json_get_string(made, "id"));
		kept = call("GET", at, NULL);
		check_member(rows[i].given, made, "content", rows[i].shown);
		check_member(rows[i].given, kept, "content", rows[i].shown);
		json_object_put(made);
		json_object_put(kept);
	}
}

static void
a_message_has_all_its_members(void **state)
{
	static const struct {
		const char *member, *value;
	} rows[] = {
	    {"object", "'thread.message'"},
	    {"status", "'completed'"},
	    {"incomplete_details", "null"},
	    {"incomplete_at", "null"},
	    {"role", "'assistant'"},
	    {"assistant_id", "null"},
	    {"run_id", "null"},
	    {"attachments",
		"[{'file_id': 'file-1', 'tools': [{'type': 'file_search'}, {'type': "
		"'code_interpreter'}]}]"},
	    {"metadata", "{'a': 'b'}"},
	};
	struct json_object *message = call("POST", messages,
	    "{'role': 'assistant', 'content': 'x', 'metadata': {'a': 'b'}, 'attachments': "
	    "[{'file_id': 'file-1', 'tools': [{'type': 'file_search'}, {'type': "
	    "'code_interpreter'}]}]}");
	char thread_id[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_member(rows[i].member, message, rows[i].member, rows[i].value);
	snprintf(thread_id, sizeof thread_id, "'%.64s'", strrchr(thread, '/') + 1);
	check_member("thread", message, "thread_id", thread_id);
	assert_true(json_get_int(message, "created_at", 0) > 0);
	check_int("completed", json_get_int(message, "completed_at", 0),
	    json_get_int(message, "created_at", 1));
	check_int("keys", json_object_object_length(message), COUNT(rows) + 5);
	json_object_put(message);
	message = call("POST", messages, "{'role': 'user', 'content': 'x'}");
	check_member("default", message, "attachments", "[]");
	check_member("default", message, "metadata", "{}");
	json_object_put(message);
}

static void
only_metadata_changes(void **state)
{
	/* One after the other, on the same message. */
	static const struct {
		const char *body, *metadata;
	} rows[] = {
	    {"{}", "{'a': '1'}"},
	    {NULL, "{'a': '1'}"},
	    {"{'metadata': {'b': '2'}}", "{'b': '2'}"},
	    {"{'metadata': null}", "{}"},
	};
	char at[256];

	(void)state;
	make(at, messages,
	    "{'role': 'user', 'content': 'x', 'metadata': {'a': '1'}, 'attachments': [{'file_id': "
	    "'file-1', 'tools': []}]}");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *row = rows[i].body ? rows[i].body : "no body";
		struct json_object *changed = call("POST", at, rows[i].body);
		struct json_object *kept = call("GET", at, NULL);

		check_member(row, changed, "metadata", rows[i].metadata);
		check_member(row, changed, "content.0.text.value", "'x'");
		check_member(row, changed, "attachments.0.file_id", "'file-1'");
		check_member(row, kept, "", json_text(changed));
		json_object_put(changed);
		json_object_put(kept);
	}
	check_refused("POST", at, "{'content': 'y'}", 400, "content", "Unknown");
	check_refused("POST", at, "{'role': 'assistant'}", 400, "role", "Unknown");
}

static void
a_runs_messages_are_found_by_it(void **state)
{
	char at[400], query[512];
	struct json_object *message;

	(void)state;
	json_object_put(call("POST", messages, "{'role': 'user', 'content': 'first'}"));
	run_thread(assistant, thread);
	json_object_put(call("POST", messages, "{'role': 'user', 'content': 'second'}"));
	run_thread(assistant, thread);
	snprintf(query, sizeof query, "%s?run_id=%s", messages, here.run);
	check_list(query, "/id", here.message);
	check_list(messages, "/content/0/text/value", "word second word first");
	snprintf(query, sizeof query, "%s?run_id=%s&after=%s", messages, here.run, here.message);
	check_list(query, "/id", "");
	snprintf(query, sizeof query, "%s?run_id=run_none", messages);
	check_refused("GET", query, NULL, 404, NULL, "No run found with id 'run_none'.");
	snprintf(query, sizeof query, "%s?run_id=null", messages);
	check_refused("GET", query, NULL, 400, "run_id", "Invalid 'run_id': 'null'.");

	/* A run's message can be changed and deleted like any other. */
	snprintf(at, sizeof at, "%s/%s", messages, here.message);
	message = call("POST", at, "{'metadata': {'a': 'b'}}");
	check_text("run", json_get_string(message, "run_id"), here.run);
	check_text(
	    "assistant", json_get_string(message, "assistant_id"), strrchr(assistant, '/') + 1);
	check_member("changed", message, "metadata", "{'a': 'b'}");
	json_object_put(message);
	json_object_put(call("DELETE", at, NULL));
	check_list(messages, "/content/0/text/value", "second word first");
}

static char doomed[256];

static void
delete_the_doomed(void)
{
	here.meanwhile = NULL;
	check_refused("POST", messages, "{'role': 'user', 'content': 'x'}", 400, NULL,
	    "Can't add messages to thread_");
	json_object_put(call("DELETE", doomed, NULL));
}

static void
a_deleted_message_is_gone(void **state)
{
	struct json_object *answer;
	char expected[256], other[256], elsewhere[400];

	(void)state;
	make(doomed, messages, "{'role': 'user', 'content': 'a'}");
	json_object_put(call("POST", messages, "{'role': 'user', 'content': 'b'}"));

	/* In another thread it is not found, and stays. */
	make(other, "/threads", "{}");
	snprintf(elsewhere, sizeof elsewhere, "%s/messages/%s", other, strrchr(doomed, '/') + 1);
	snprintf(expected, sizeof expected, "No message found with id '%.64s'.",
	    strrchr(doomed, '/') + 1);
	check_refused("GET", elsewhere, NULL, 404, NULL, expected);
	check_refused("POST", elsewhere, "{'metadata': {'a': 'b'}}", 404, NULL, expected);
	check_refused("DELETE", elsewhere, NULL, 404, NULL, expected);
	answer = call("GET", doomed, NULL);
	check_member("untouched", answer, "metadata", "{}");
	json_object_put(answer);

	answer = call("DELETE", doomed, NULL);
	snprintf(expected, sizeof expected,
	    "{'id': '%.64s', 'object': 'thread.message.deleted', 'deleted': true}",
	    strrchr(doomed, '/') + 1);
	check_member("deleted", answer, "", expected);
	json_object_put(answer);
	check_refused("GET", doomed, NULL, 404, NULL, "No message found");
	check_refused("DELETE", doomed, NULL, 404, NULL, "No message found");
	check_refused("POST", doomed, "{}", 404, NULL, "No message found");
	check_list(messages, "/content/0/text/value", "b");
}

static void
a_message_is_deleted_beside_a_run(void **state)
{
	(void)state;
	make(doomed, messages, "{'role': 'user', 'content': 'a'}");
	here.meanwhile = delete_the_doomed;
	run_thread(assistant, thread);
	assert_null(here.meanwhile);
	check_list(messages, "/content/0/text/value", "word");
}

/* A run is sent all messages, images too, without the deleted ones. */
static void
a_run_sees_the_messages(void **state)
{
	(void)state;
	make(doomed, messages, "{'role': 'user', 'content': 'a'}");
	json_object_put(call("POST", messages,
	    "{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': "
	    "'https://x/y.png'}}]}"));
	json_object_put(call("POST", messages, "{'role': 'assistant', 'content': 'b'}"));
	json_object_put(call("DELETE", doomed, NULL));
	run_thread(assistant, thread);
	check_member("context", here.context, "",
	    "[{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': "
	    "'https://x/y.png', 'detail': 'auto'}}]}, {'role': 'assistant', 'content': [{'type': "
	    "'text', 'text': {'value': 'b', 'annotations': []}}]}]");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_thread, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(content_is_shown_in_parts),
	    TEST(a_message_has_all_its_members),
	    TEST(only_metadata_changes),
	    TEST(a_runs_messages_are_found_by_it),
	    TEST(a_deleted_message_is_gone),
	    TEST(a_message_is_deleted_beside_a_run),
	    TEST(a_run_sees_the_messages),
	};

	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
