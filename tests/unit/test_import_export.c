/* Imports: their order, and what a model is sent of them. */
#include "api_calls.h"

#include "assistants/import_export.h"
#include "text/buf.h"

static void
mend_nothing(struct json_object *object)
{
	(void)object;
}

/* Imports the quoted JSON, which must succeed. */
static void
import(const char *quoted)
{
	char error[ERROR_SIZE] = "", *text = strdup(quoted);
	struct transfer_source source = {
	    .tenant = "us", .folder = here.folder, .mend = mend_nothing};
	struct transfer_counts counts;

	assert_non_null(text);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	source.in = fmemopen(text, strlen(text), "r");
	assert_non_null(source.in);
	if (transfer_import(here.db, &source, &counts, error) < 0)
		fail_msg("%.200s: %s", quoted, error);
	fclose(source.in);
	free(text);
}

#define LIST(elements) "{'object': 'list', 'data': [" elements "]}"
#define MESSAGE(id, at, role, more)                                                                \
	"{'object': 'thread.message', 'id': '" id "', 'created_at': " at ", 'thread_id': 't', "    \
	"'role': '" role "', 'content': [{'type': 'text', 'text': {'value': '" id "'}}]" more "}"
#define USER(id, at) MESSAGE(id, at, "user", "")
#define ANSWER(id, at, run) MESSAGE(id, at, "assistant", ", 'run_id': '" run "'")
#define RUN(id, at)                                                                                \
	"{'object': 'thread.run', 'id': '" id "', 'created_at': " at ", 'thread_id': 't', "        \
	"'assistant_id': 'a', 'status': 'completed'}"
#define STEP(id, at, run, calls, more)                                                             \
	"{'object': 'thread.run.step', 'id': '" id "', 'created_at': " at ", 'thread_id': 't', "   \
	"'run_id': '" run "', 'status': 'completed', 'step_details': {'type': 'tool_calls', "      \
	"'tool_calls': [" calls "]}" more "}"
#define CALL(id, output)                                                                           \
	"{'id': '" id "', 'type': 'function', 'function': {'name': 'f', 'arguments': '{}', "       \
	"'output': " output "}}"
#define THREAD "{'object': 'thread', 'id': 't', 'created_at': 1}"

static void
order_is_by_time_then_as_it_was_saved(void **state)
{
	static const struct {
		const char *saved, *expected;
	} rows[] = {
	    {USER("b", "2") USER("a", "1") USER("c", "2"), "a b c"},
	    {LIST(USER("c", "2") ", " USER("b", "2") ", " USER("a", "2")), "a b c"},
	    {LIST(USER("a", "2") ", " USER("b", "2") ", " USER("c", "3")), "a b c"},
	    /* Pages, the newest first. */
	    {LIST(USER("d", "2") ", " USER("c", "2")) LIST(USER("b", "2") ", " USER("a", "2")),
		"a b c d"},
	    {"[" USER("a", "1") ",\n" USER("b", "1") "]", "a b"},
	    /* An export has the database's order. */
	    {MESSAGE("a", "5", "user", ", 'tenant': 'us'")
		    MESSAGE("b", "4", "user", ", 'tenant': 'us'"),
		"a b"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		import(THREAD);
		import(rows[i].saved);
		check_list("/threads/t/messages?order=asc", "/id", rows[i].expected);
		api_close(state);
		api_open(state);
	}
}

/* Checks the context: text and "(call,call)", separated by blanks. */
static void
check_context(const char *row, const char *expected)
{
	struct buf got = BUF_INIT(4096);
	char assistant[256];

	make(assistant, "/assistants", "{'model': 'm'}");
	run_thread(assistant, "/threads/t");
	for (size_t i = 0; i < json_len(here.context); i++) {
		struct json_object *entry = json_at(here.context, i), *words = NULL;
		struct json_object *calls = json_get_array(entry, "calls");

		if (json_pointer_get(entry, "/content/0/text/value", &words) == 0)
			buf_printf(&got, " %s", json_object_get_string(words));
		for (size_t c = 0; c < json_len(calls); c++)
			buf_printf(
			    &got, "%s%s", c ? "," : " (", json_get_string(json_at(calls, c), "id"));
		buf_puts(&got, calls ? ")" : "");
	}
	check_text(row, got.data, expected);
	buf_free(&got);
}

static void
calls_stand_where_they_were_made(void **state)
{
	static const struct {
		const char *name, *saved, *expected;
	} rows[] = {
	    {"all in one second, each list newest first",
		LIST(ANSWER("b", "2", "r") ", " USER("a", "2")) RUN("r", "2")
		    LIST(STEP("s", "2", "r", CALL("1", "'o'") ", " CALL("2", "''"), "")),
		" a (1,2) b"},
	    {"behind what the run wrote before",
		USER("a", "1") RUN("r", "1") ANSWER("b", "2", "r") ANSWER("c", "4", "r")
		    STEP("s", "3", "r", CALL("1", "'o'"), ""),
		" a b (1) c"},
	    {"not behind what came later",
		USER("a", "1") RUN("r", "1") ANSWER("b", "2", "r") USER("c", "3") RUN("q", "3")
		    ANSWER("d", "4", "q") STEP("s", "1", "r", CALL("1", "'o'"), "")
			STEP("p", "4", "q", CALL("2", "'o'"), ""),
		" a (1) b c (2) d"},
	    {"those without an output are not told",
		USER("a", "1") RUN("r", "1") STEP("s", "1", "r", CALL("1", "null"), "")
		    STEP("p", "1", "r", "", ""),
		" a"},
	    {"nor those of hosted tools",
		USER("a", "1") RUN("r", "1") STEP("s", "1", "r",
		    "{'id': '1', 'type': 'code_interpreter', 'code_interpreter': {}}", ""),
		" a"},
	    {"an export says where",
		USER("a", "1") USER("b", "1") RUN("r", "1") STEP(
		    "s", "1", "r", CALL("1", "'o'"), ", 'tenant': 'us', 'stored': {'after': 'a'}")
		    STEP("p", "1", "r", CALL("2", "'o'"), ", 'stored': {'after': null}")
			STEP("q", "1", "r", CALL("3", "'o'"), ", 'stored': {}"),
		" (2) a (1) b"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		import(THREAD);
		import(rows[i].saved);
		check_context(rows[i].name, rows[i].expected);
		api_close(state);
		api_open(state);
	}
}

static void
active_runs_are_over(void **state)
{
	static const struct {
		const char *status, *expected;
	} rows[] = {
	    {"queued", "'expired'"},
	    {"in_progress", "'expired'"},
	    {"requires_action", "'expired'"},
	    {"cancelling", "'cancelled'"},
	    {"failed", "'failed'"},
	    {"incomplete", "'incomplete'"},
	};
	char saved[512];

	(void)state;
	/* In the future, because reading an overdue run ends it. */
	import(THREAD);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *run;

		snprintf(saved, sizeof saved,
		    "{'object': 'thread.run', 'id': 'r%zu', 'created_at': 4000000000, 'thread_id': "
		    "'t', "
		    "'assistant_id': 'a', 'status': '%s'}",
		    i, rows[i].status);
		import(saved);
		snprintf(saved, sizeof saved, "/threads/t/runs/r%zu", i);
		run = call("GET", saved, NULL);
		check_member(rows[i].status, run, "status", rows[i].expected);
		json_object_put(run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		order_is_by_time_then_as_it_was_saved, api_open, api_close),
	    cmocka_unit_test_setup_teardown(calls_stand_where_they_were_made, api_open, api_close),
	    cmocka_unit_test_setup_teardown(active_runs_are_over, api_open, api_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
