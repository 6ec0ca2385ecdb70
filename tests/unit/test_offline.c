/* The offline model: its answers, and which functions it calls. */
#include "model_rows.h"

#define F(name) "{'type': 'function', 'function': {'name': '" name "'}}"
#define TOOLS "{'tools': [{'type': 'file_search'}, " F("f") ", " F("g") ", " F("long") "]}"
#define USER(words)                                                                                \
	"{'role': 'user', 'content': [{'type': 'text', 'text': {'value': \"" words "\"}}]}"

static const struct row {
	const char *name, *options, *context, *heard; /* its beginning */
} rows[] = {
    {"words", TOOLS, "[" USER("hello") "]", "M D:"},
    {"a call", TOOLS, "[" USER("call f {\\\"a\\\": 1}") "]",
	"C0:made:f A0:{\"a\": 1} Z0:{\"a\": 1} "},
    {"a call without arguments", TOOLS, "[" USER("call f") "]", "C0:made:f A0:{} Z0:{} "},
    {"calls among words", TOOLS, "[" USER("please\\ncall f\\r\\n\\ncall g {} ") "]",
	"C0:made:f A0:{} Z0:{} C1:made:g A1:{} Z1:{} "},
    {"a function that is not there", TOOLS, "[" USER("call h") "]", "M D:"},
    {"a longer name", TOOLS, "[" USER("call ff") "]", "M D:"},
    {"a shorter name", TOOLS, "[" USER("call lo") "]", "M D:"},
    {"no functions at all", "{}", "[" USER("call f") "]", "M D:"},
    {"no JSON", TOOLS, "[" USER("call f mother") "]", "M D:"},
    {"an older call", TOOLS, "[" USER("call f") ", " USER("hello") "]", "M D:"},
    {"what they answered", TOOLS,
	"[" USER("call f") ", {'calls': [{'name': 'f', 'output': '57 F'}, {'name': 'g'}]}]",
	"M D:The function f answered: 57 F\nThe function g answered:  "
	"W[The function f answered: 57 F\nThe function g answered: ] "},
    {"after that", TOOLS,
	"[" USER("call f") ", {'calls': [{'name': 'f', 'output': '57 F'}]}, " USER("call g") "]",
	"C0:made:g A0:{} Z0:{} "},
};

static void
test_rows(void **state)
{
	struct model *model = model_offline_new();

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct heard heard = {BUF_INIT(10000), BUF_INIT(10000)};
		struct json_object *entries = parsed(rows[i].context, "");
		struct model_context context = context_of_json(entries);
		struct model_request request = {
		    .options = parsed(rows[i].options, ""),
		    .context = &context,
		    .on_message = on_message,
		    .on_delta = on_delta,
		    .on_written = on_written,
		    .on_call = on_call,
		    .on_arguments = on_arguments,
		    .on_called = on_called,
		    .arg = &heard,
		};
		struct model_result result;

		model_ask(model, &request, &result);
		check_int(rows[i].name, result.outcome, MODEL_COMPLETED);
		heard.text.data[strlen(rows[i].heard) < heard.text.len ? strlen(rows[i].heard)
								       : heard.text.len] = '\0';
		check_text(rows[i].name, heard.text.data, rows[i].heard);
		buf_free(&heard.text);
		json_object_put(request.options);
		model_context_free(&context);
		json_object_put(entries);
	}
	model_free(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests_name("offline", tests, NULL, NULL);
}
