/* Bodies: what is refused, with which param and words, and what is just accepted. */
#include "api_calls.h"

#include "text/text.h"

enum { BODY_SIZE = 600000 };

struct row {
	const char *body;  /* @N: N letters, @@N: N of two bytes; NULL: no body */
	const char *param; /* NULL: none */
	const char *words; /* NULL: it is accepted */
};

/* Expands @N and @@N. */
static void
fill(char *out, const char *body)
{
	for (; *body; body++) {
		bool wide = strncmp(body, "@@", 2) == 0;
		char *end;
		long count;

		if (*body != '@') {
			*out++ = *body;
			continue;
		}
		count = strtol(body + 1 + wide, &end, 10);
		for (long i = 0; i < count; i++) {
			if (wide)
				*out++ = "é"[0];
			*out++ = wide ? "é"[1] : 'x';
		}
		body = end - 1;
	}
	*out = '\0';
}

static void
check_rows(const char *path, const char *before, const char *after, const struct row *rows,
    size_t rows_len)
{
	char *body = malloc(BODY_SIZE), *whole = malloc(BODY_SIZE);

	assert_non_null(body);
	assert_non_null(whole);
	for (size_t i = 0; i < rows_len; i++) {
		if (rows[i].body)
			fill(body, rows[i].body);
		snprintf(whole, BODY_SIZE, "%s%s%s", before, rows[i].body ? body : "", after);
		if (rows[i].words)
			check_refused("POST", path, rows[i].body ? whole : NULL, 400, rows[i].param,
			    rows[i].words);
		else
			json_object_put(call("POST", path, whole));
	}
	free(body);
	free(whole);
}

static void
assistants_are_checked(void **state)
{
	static const struct row whole[] = {
	    {NULL, "model", "Missing required parameter: 'model'."},
	    {"{}", "model", "Missing required parameter: 'model'."},
	    {"{'model': null}", "model", "Missing"},
	    {"{'model': ''}", "model", "a length from 1 to 256"},
	    {"[]", NULL, "must be a JSON object"},
	    {"'m'", NULL, "must be a JSON object"},
	};
	static const struct row rows[] = {
	    {"'id': 'asst_1'", "id", "Unknown parameter: 'id'."},
	    {"'naïveté': 1", "naïveté", "Unknown parameter: 'naïveté'."},
	    {"'name': 5", "name", "Invalid type for 'name': expected a string, but got an integer"},
	    {"'name': true", "name", "but got a boolean instead."},
	    {"'name': ['a']", "name", "but got an array instead."},
	    {"'name': '@256'", NULL, NULL},
	    {"'name': '@@256'", NULL, NULL},
	    {"'name': '@257'", "name", "a length from 0 to 256"},
	    {"'name': 'a\\u0000b'", "name", "NUL"},
	    {"'description': '@512'", NULL, NULL},
	    {"'description': '@513'", "description", "a length from 0 to 512"},
	    {"'instructions': '@@256000'", NULL, NULL},
	    {"'instructions': '@256001'", "instructions", "a length from 0 to 256000"},
	    {"'temperature': 0", NULL, NULL},
	    {"'temperature': 2.0", NULL, NULL},
	    {"'temperature': 2.01", "temperature", "a number from 0 to 2"},
	    {"'temperature': -0.1", "temperature", "a number from 0 to 2"},
	    {"'temperature': '1'", "temperature", "expected a number, but got a string instead."},
	    {"'top_p': 1", NULL, NULL},
	    {"'top_p': 1.1", "top_p", "a number from 0 to 1"},
	    {"'top_p': false", "top_p", "expected a number, but got a boolean instead."},
	    {"'reasoning_effort': 'max'", NULL, NULL},
	    {"'reasoning_effort': 'minimal'", NULL, NULL},
	    {"'reasoning_effort': 'much'", "reasoning_effort",
		"Invalid value: 'much'. Supported values are: 'none', 'minimal', 'low', 'medium', "
		"'high', 'xhigh', 'max'."},
	    {"'response_format': 'auto'", NULL, NULL},
	    {"'response_format': 'text'", "response_format",
		"Supported values are: 'auto', 'none'."},
	    {"'response_format': 1", "response_format", "expected a string or an object"},
	    {"'response_format': {}", "response_format.type", "Missing"},
	    {"'response_format': {'type': 'xml'}", "response_format.type",
		"'text', 'json_object', 'json_schema'"},
	    {"'response_format': {'type': 5}", "response_format.type", "expected a string"},
	    {"'response_format': {'type': 'json_object', 'a': 1}", "response_format.a", "Unknown"},
	    {"'response_format': {'type': 'json_schema'}", "response_format.json_schema",
		"Missing"},
	    {"'response_format': {'type': 'json_schema', 'json_schema': {'schema': {}}}",
		"response_format.json_schema.name", "Missing"},
	    {"'response_format': {'type': 'json_schema', 'json_schema': {'name': 'a b'}}",
		"response_format.json_schema.name", "1 to 64 letters"},
	    {"'response_format': {'type': 'json_schema', 'json_schema': {'name': 'a', 'schema': "
	     "[]}}",
		"response_format.json_schema.schema", "expected an object"},
	    {"'response_format': {'type': 'json_schema', 'json_schema': {'name': 'a', 'strict': "
	     "'yes'}}",
		"response_format.json_schema.strict", "expected a boolean, but got a string"},
	};

	(void)state;
	check_rows("/assistants", "", "", whole, COUNT(whole));
	check_rows("/assistants", "{'model': 'm', ", "}", rows, COUNT(rows));
}

static void
tools_are_checked(void **state)
{
	static const struct row rows[] = {
	    {"'hammer'", "tools[0]", "expected an object, but got a string"},
	    {"null", "tools[0]", "expected an object, but got null instead."},
	    {"{}", "tools[0].type", "Missing"},
	    {"{'type': 'retrieval'}", "tools[0].type",
		"'function', 'code_interpreter', 'file_search'"},
	    {"{'type': 'code_interpreter'}, {'type': 'code_interpreter', 'container': 'auto'}",
		"tools[1].container", "Unknown"},
	    {"{'type': 'file_search', 'file_search': {}}", NULL, NULL},
	    {"{'type': 'file_search', 'file_search': {'max_num_results': 1}}", NULL, NULL},
	    {"{'type': 'file_search', 'file_search': {'max_num_results': 0}}",
		"tools[0].file_search.max_num_results", "from 1 to 50"},
	    {"{'type': 'file_search', 'file_search': {'max_num_results': 51}}",
		"tools[0].file_search.max_num_results", "from 1 to 50"},
	    {"{'type': 'file_search', 'file_search': {'max_num_results': 5.0}}",
		"tools[0].file_search.max_num_results",
		"expected an integer, but got a decimal number instead."},
	    {"{'type': 'file_search', 'file_search': {'ranking_options': {'ranker': 'auto'}}}",
		"tools[0].file_search.ranking_options.score_threshold", "Missing"},
	    {"{'type': 'file_search', 'file_search': {'ranking_options': {'score_threshold': "
	     "1.5}}}",
		"tools[0].file_search.ranking_options.score_threshold", "from 0 to 1"},
	    {"{'type': 'file_search', 'file_search': {'ranking_options': {'score_threshold': 1, "
	     "'ranker': 'best'}}}",
		"tools[0].file_search.ranking_options.ranker", "'auto', 'default_2024_08_21'"},
	    {"{'type': 'function', 'name': 'f'}", "tools[0].name", "Unknown"},
	    {"{'type': 'function', 'function': 'f'}", "tools[0].function", "expected an object"},
	    {"{'type': 'function', 'function': {'description': 'd'}}", "tools[0].function.name",
		"Missing"},
	    {"{'type': 'function', 'function': {'name': '@64'}}", NULL, NULL},
	    {"{'type': 'function', 'function': {'name': '@65'}}", "tools[0].function.name",
		"1 to 64"},
	    {"{'type': 'function', 'function': {'name': ''}}", "tools[0].function.name", "1 to 64"},
	    {"{'type': 'function', 'function': {'name': 'get.it'}}", "tools[0].function.name",
		"'_' and '-'"},
	    {"{'type': 'function', 'function': {'name': 'f', 'parameters': null, 'strict': null}}",
		NULL, NULL},
	    {"{'type': 'function', 'function': {'name': 'f', 'parameters': '{}'}}",
		"tools[0].function.parameters", "expected an object"},
	    {"{'type': 'function', 'function': {'name': 'f', 'strict': 'true'}}",
		"tools[0].function.strict", "expected a boolean"},
	    {"{'type': 'function', 'function': {'name': 'f', 'code': 1}}", "tools[0].function.code",
		"Unknown"},
	};
	struct buf many = BUF_INIT(BODY_SIZE);

	(void)state;
	check_rows("/assistants", "{'model': 'm', 'tools': [", "]}", rows, COUNT(rows));
	for (int i = 0; i < 128; i++)
		buf_puts(&many, i ? ", {'type': 'file_search'}" : "{'type': 'file_search'}");
	check_rows("/assistants", "{'model': 'm', 'tools': [", "]}", &(struct row){many.data}, 1);
	check_rows("/assistants", "{'model': 'm', 'tools': [{'type': 'file_search'}, ", "]}",
	    &(struct row){many.data, "tools", "a number of elements from 0 to 128"}, 1);
	buf_free(&many);
}

static void
tool_resources_are_checked(void **state)
{
#define TWENTY                                                                                     \
	"'1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', "  \
	"'17', '18', '19', '20'"
#define STORE "file_search': {'vector_stores': [{"
#define CHUNKS "'chunking_strategy': {'type': 'static', 'static': {'max_chunk_size_tokens': "
#define IN_STORE "tool_resources.file_search.vector_stores[0]."
	static const struct row rows[] = {
	    {"'code_interpreter': {}, 'file_search': {}", NULL, NULL},
	    {"'code_interpreter': {'file_ids': [" TWENTY "]}", NULL, NULL},
	    {"'code_interpreter': {'file_ids': [" TWENTY ", '21']}",
		"tool_resources.code_interpreter.file_ids", "from 0 to 20"},
	    {"'code_interpreter': {'file_ids': ['a', 5]}",
		"tool_resources.code_interpreter.file_ids[1]", "expected a string"},
	    {"'code_interpreter': {'file_ids': ['']}",
		"tool_resources.code_interpreter.file_ids[0]", "a length from 1"},
	    {"'code_interpreter': {'files': []}", "tool_resources.code_interpreter.files",
		"Unknown"},
	    {"'function': {}", "tool_resources.function", "Unknown"},
	    {"'file_search': {'vector_store_ids': ['a']}", NULL, NULL},
	    {"'file_search': {'vector_store_ids': ['a', 'b']}",
		"tool_resources.file_search.vector_store_ids", "from 0 to 1"},
	    {"'" STORE "}]}", NULL, NULL},
	    {"'" STORE "}, {}]}", "tool_resources.file_search.vector_stores", "from 0 to 1"},
	    {"'" STORE "}], 'vector_store_ids': []}", "tool_resources.file_search.vector_stores",
		"cannot be combined with"},
	    {"'" STORE "'name': 'n'}]}", IN_STORE "name", "Unknown"},
	    {"'" STORE "'file_ids': [7]}]}", IN_STORE "file_ids[0]", "expected a string"},
	    {"'" STORE "'metadata': {'a': true}}]}", IN_STORE "metadata.a", "expected a string"},
	    {"'" STORE "'chunking_strategy': {'type': 'auto'}}]}", NULL, NULL},
	    {"'" STORE "'chunking_strategy': {'type': 'static'}}]}",
		IN_STORE "chunking_strategy.static", "Missing"},
	    {"'" STORE CHUNKS "100, 'chunk_overlap_tokens': 50}}}]}", NULL, NULL},
	    {"'" STORE CHUNKS "100, 'chunk_overlap_tokens': 51}}}]}",
		IN_STORE "chunking_strategy.static.chunk_overlap_tokens", "half"},
	    {"'" STORE CHUNKS "99, 'chunk_overlap_tokens': 1}}}]}",
		IN_STORE "chunking_strategy.static.max_chunk_size_tokens", "from 100 to 4096"},
	    {"'" STORE CHUNKS "4097, 'chunk_overlap_tokens': 1}}}]}",
		IN_STORE "chunking_strategy.static.max_chunk_size_tokens", "from 100 to 4096"},
	    {"'" STORE CHUNKS "100}}}]}", IN_STORE "chunking_strategy.static.chunk_overlap_tokens",
		"Missing"},
	};
	static const struct row changes[] = {
	    {"'file_search': {'vector_store_ids': []}", NULL, NULL},
	    {"'" STORE "}]}", "tool_resources.file_search.vector_stores", "Unknown"},
	};
	static const char *const paths[] = {"/assistants", "/threads"};
	static const char *const befores[] = {
	    "{'model': 'm', 'tool_resources': {", "{'tool_resources': {"};

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		char at[256];

		check_rows(paths[i], befores[i], "}}", rows, COUNT(rows));
		make(at, paths[i], i == 0 ? "{'model': 'm'}" : "{}");
		check_rows(at, befores[i], "}}", changes, COUNT(changes));
	}
}

#define PAIRS_15                                                                                   \
	"'1': '', '2': '', '3': '', '4': '', '5': '', '6': '', '7': '', '8': '', '9': '', '10': "  \
	"'', '11': '', '12': '', '13': '', '14': '', '15': ''"

static void
metadata_is_checked_everywhere(void **state)
{
	static const struct row rows[] = {
	    {"null", NULL, NULL},
	    {"{}", NULL, NULL},
	    {"{" PAIRS_15 ", '16': ''}", NULL, NULL},
	    {"{" PAIRS_15 ", '16': '', '17': ''}", "metadata", "at most 16 pairs"},
	    {"{'@@64': '@@512'}", NULL, NULL},
	    {"{'@65': ''}", "metadata", "a name may have at most 64"},
	    {"{'a': '@513'}", "metadata", "its value at most 512"},
	    {"{'a': 1}", "metadata.a", "expected a string, but got an integer"},
	    {"{'a': true}", "metadata.a", "expected a string, but got a boolean"},
	    {"{'a': null}", "metadata.a", "expected a string, but got null"},
	    {"{'a': {}}", "metadata.a", "expected a string, but got an object"},
	    {"{'a': '\\u0000@600'}", "metadata", "without NUL characters"},
	    {"[]", "metadata", "expected an object, but got an array"},
	    {"'a=b'", "metadata", "expected an object, but got a string"},
	};
	char assistant[256], thread[256], messages[300], message[556];

	(void)state;
	make(assistant, "/assistants", "{'model': 'm'}");
	make(thread, "/threads", "{}");
	snprintf(messages, sizeof messages, "%s/messages", thread);
	make(message, messages, "{'role': 'user', 'content': 'x'}");
	check_rows("/assistants", "{'model': 'm', 'metadata': ", "}", rows, COUNT(rows));
	check_rows("/threads", "{'metadata': ", "}", rows, COUNT(rows));
	check_rows(
	    messages, "{'role': 'user', 'content': 'x', 'metadata': ", "}", rows, COUNT(rows));
	check_rows(assistant, "{'metadata': ", "}", rows, COUNT(rows));
	check_rows(thread, "{'metadata': ", "}", rows, COUNT(rows));
	check_rows(message, "{'metadata': ", "}", rows, COUNT(rows));
}

static const struct row messages_rows[] = {
    {"{}", "role", "Missing"},
    {"{'role': 'user'}", "content", "Missing"},
    {"{'role': 'user', 'content': null}", "content", "Missing"},
    {"{'role': 'system', 'content': 'x'}", "role", "'user', 'assistant'"},
    {"{'role': 'assistant', 'content': 'x'}", NULL, NULL},
    {"{'role': 'user', 'content': 'x', 'file_ids': []}", "file_ids", "Unknown"},
    {"{'role': 'user', 'content': ''}", "content", "a length from 1 to 256000"},
    {"{'role': 'user', 'content': []}", "content", "a number of elements from 1"},
    {"{'role': 'user', 'content': {}}", "content", "expected a string or an array"},
    {"{'role': 'user', 'content': '@@256000'}", NULL, NULL},
    {"{'role': 'user', 'content': '@256001'}", "content", "to 256000"},
    {"{'role': 'user', 'content': 'a\\u0000b'}", "content", "NUL"},
    {"{'role': 'user', 'content': ['x']}", "content[0]", "expected an object"},
    {"{'role': 'user', 'content': [{'text': 'x'}]}", "content[0].type", "Missing"},
    {"{'role': 'user', 'content': [{'type': 'audio'}]}", "content[0].type",
	"'text', 'image_url', 'image_file'"},
    {"{'role': 'user', 'content': [{'type': 'text'}]}", "content[0].text", "Missing"},
    {"{'role': 'user', 'content': [{'type': 'text', 'text': ''}]}", "content[0].text",
	"a length from 1 to 256000"},
    {"{'role': 'user', 'content': [{'type': 'text', 'text': '@256001'}]}", "content[0].text",
	"to 256000"},
    {"{'role': 'user', 'content': [{'type': 'text', 'text': {'value': 'x'}}]}", "content[0].text",
	"expected a string, but got an object"},
    {"{'role': 'user', 'content': [{'type': 'text', 'text': 'x', 'image_url': {}}]}",
	"content[0].image_url", "Unknown"},
    {"{'role': 'user', 'content': [{'type': 'text', 'text': 'x'}, {'type': 'image_url'}]}",
	"content[1].image_url", "Missing"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': 'http://x/'}]}",
	"content[0].image_url", "expected an object"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {}}]}",
	"content[0].image_url.url", "Missing"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'x.png'}}]}",
	"content[0].image_url.url", "valid URL"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': "
     "'file:///etc/passwd'}}]}",
	"content[0].image_url.url", "valid URL"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'https://'}}]}",
	"content[0].image_url.url", "valid URL"},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': "
     "'HTTPS://x/a.png', 'detail': 'high'}}]}",
	NULL, NULL},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': "
     "'data:image/png;base64,AA=='}}]}",
	NULL, NULL},
    {"{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'http://x/', "
     "'detail': 'best'}}]}",
	"content[0].image_url.detail", "'auto', 'low', 'high'"},
    {"{'role': 'user', 'content': [{'type': 'image_file', 'image_file': {'file_Id': 'a'}}]}",
	"content[0].image_file.file_Id", "Unknown"},
    {"{'role': 'user', 'content': [{'type': 'image_file', 'image_file': {}}]}",
	"content[0].image_file.file_id", "Missing"},
    {"{'role': 'user', 'content': [{'type': 'image_file', 'image_file': {'file_id': 'file-1', "
     "'detail': 1}}]}",
	"content[0].image_file.detail", "expected a string"},
    {"{'role': 'user', 'content': 'x', 'attachments': null}", NULL, NULL},
    {"{'role': 'user', 'content': 'x', 'attachments': {}}", "attachments", "expected an array"},
    {"{'role': 'user', 'content': 'x', 'attachments': ['file-1']}", "attachments[0]",
	"expected an object"},
    {"{'role': 'user', 'content': 'x', 'attachments': [{'file_id': 'file-1'}]}",
	"attachments[0].tools", "Missing required parameter: 'attachments[0].tools'."},
    {"{'role': 'user', 'content': 'x', 'attachments': [{'tools': []}]}", "attachments[0].file_id",
	"Missing"},
    {"{'role': 'user', 'content': 'x', 'attachments': [{'file_id': 'file-1', 'tools': "
     "[{'type': 'function'}]}]}",
	"attachments[0].tools[0].type", "'code_interpreter', 'file_search'"},
    {"{'role': 'user', 'content': 'x', 'attachments': [{'file_id': 'file-1', 'tools': "
     "[{'type': 'file_search', 'file_search': {}}]}]}",
	"attachments[0].tools[0].file_search",
	"Unknown parameter: 'attachments[0].tools[0].file_search'."},
};

/* The same rows as a message of its own, and as the second one of a new thread. */
static void
messages_are_checked(void **state)
{
	char thread[256], messages[300], param[256];

	(void)state;
	make(thread, "/threads", "{}");
	snprintf(messages, sizeof messages, "%s/messages", thread);
	check_rows(messages, "", "", messages_rows, COUNT(messages_rows));
	for (size_t i = 0; i < COUNT(messages_rows); i++) {
		struct row row = messages_rows[i];

		snprintf(param, sizeof param, "messages[1].%s", row.param ? row.param : "");
		if (row.param)
			row.param = param;
		/* A sentence that quotes the name omits its prefix. */
		if (row.words && strchr(row.words, '['))
			row.words = "parameter";
		check_rows(
		    "/threads", "{'messages': [{'role': 'user', 'content': 'x'}, ", "]}", &row, 1);
	}
	check_refused("POST", messages, NULL, 400, "role", "Missing");
	check_refused("POST", "/threads", "{'messages': {}}", 400, "messages", "expected an array");
	check_refused(
	    "POST", "/threads", "{'messages': ['x']}", 400, "messages[0]", "expected an object");
	check_refused(
	    "POST", "/threads", "{'messages': [null]}", 400, "messages[0]", "but got null");
	check_refused("POST", "/threads", "{'name': 'x'}", 400, "name", "Unknown");
	check_refused("POST", thread, "{'messages': []}", 400, "messages", "Unknown");
}

static void
a_refused_request_leaves_nothing(void **state)
{
	(void)state;
	check_refused("POST", "/threads",
	    "{'messages': [{'role': 'user', 'content': 'x'}, {'role': 'user'}]}", 400,
	    "messages[1].content", "Missing");
	check_refused("POST", "/assistants", "{'model': 'm', 'top_p': 7}", 400, "top_p", "from");
	check_list("/threads", "/id", "");
	check_list("/assistants", "/id", "");
}

/* An answer is UTF-8 whatever the request was, and however long. */
static void
errors_are_utf8(void **state)
{
	static const char *const paths[] = {"/threads/thread_%ff%fe", "/threads/%c3", "/threads/é"};
	char body[1024], wide[512];

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct json_object *answer;
		int status;

		answer = call_as("us", "GET", paths[i], NULL, &status);
		check_int(paths[i], status, 400);
		assert_true(utf8_valid(json_text(answer), strlen(json_text(answer))));
		json_object_put(answer);
	}
	fill(wide, "@@100");
	snprintf(body, sizeof body, "{'a%s': 1}", wide);
	for (int i = 0; i < 2; i++) {
		struct json_object *answer;
		int status;

		/* With the letter before it, the cut is within a character. */
		answer = call_as("us", "POST", "/threads", body, &status);
		check_int("long name", status, 400);
		assert_true(utf8_valid(json_text(answer), strlen(json_text(answer))));
		json_object_put(answer);
		snprintf(body, sizeof body, "{'%s': 1}", wide);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_open, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(assistants_are_checked),
	    TEST(tools_are_checked),
	    TEST(tool_resources_are_checked),
	    TEST(metadata_is_checked_everywhere),
	    TEST(messages_are_checked),
	    TEST(a_refused_request_leaves_nothing),
	    TEST(errors_are_utf8),
	};

	return cmocka_run_group_tests_name("checks", tests, NULL, NULL);
}
