/* Requests to Chat Completions, and its answers in all the ways of its servers. */
#include "model_rows.h"

#define CHOICE(more) DATA("{\"choices\":[{\"index\":0," more "}]}")
#define DELTA(more) CHOICE("\"delta\":{" more "},\"finish_reason\":null")
#define SAYS(words) DELTA("\"content\":\"" words "\"")
#define FINISH(reason) CHOICE("\"delta\":{},\"finish_reason\":\"" reason "\"")
#define USAGE(in, out)                                                                             \
	"\"usage\":{\"prompt_tokens\":" in ",\"completion_tokens\":" out ",\"total_tokens\":0}"
#define DONE DATA("[DONE]")
#define CALLS(calls) DELTA("\"tool_calls\":[" calls "]")
/* A fragment of a call; `more` is "" or begins with a comma. */
#define PIECE(index, more, arguments)                                                              \
	"{\"index\":" index more ",\"function\":{\"arguments\":\"" arguments "\"}}"
#define BEGIN(index, id, name, arguments)                                                          \
	"{\"index\":" index ",\"id\":\"" id                                                        \
	"\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":\"" arguments  \
	"\"}}"
#define STOP FINISH("stop") DONE
#define CALLED FINISH("tool_calls") DONE
#define SAID "M D:a W[a] "

static const struct model_row messages[] = {
    {"words, and usage in a chunk of its own",
	{STREAM DELTA("\"role\":\"assistant\",\"content\":\"\"") SAYS("a") SAYS("b") FINISH("stop")
		DATA("{\"choices\":[]," USAGE("3", "4") "}") DONE},
	.heard = "M D:a D:b W[ab] ", .tokens = 7},
    {"usage with the words, the last counts",
	{STREAM DATA("{\"choices\":[{\"delta\":{\"content\":\"a\"}}]," USAGE("3", "1") "}") DATA(
	    "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]," USAGE("3", "2") "}") DONE},
	.heard = SAID, .tokens = 5},
    {"no usage", {STREAM DATA("{\"choices\":[],\"usage\":null}") SAYS("a") STOP}, .heard = SAID},
    {"no [DONE]", {STREAM SAYS("a") FINISH("stop")}, .heard = SAID},
    {"no reason", {STREAM SAYS("a") DONE}, .heard = SAID},
    {"neither", {STREAM SAYS("a")}, .heard = "M D:a ", .outcome = MODEL_FAILED,
	.error = "The model server's stream ended before its answer did."},
    {"[DONE] alone", {STREAM DONE}, .heard = "", .outcome = MODEL_FAILED,
	.error = "ended before its answer did"},
    {"no words", {STREAM STOP}, .heard = ""},
    {"null as content", {STREAM DELTA("\"content\":null") SAYS("a") STOP}, .heard = SAID},
    {"reasoning is not for the user",
	{STREAM DELTA("\"reasoning_content\":\"hm\",\"content\":null") DELTA("\"reasoning\":\"hm\"")
		SAYS("a") STOP},
	.heard = SAID},
    {"blanks before the first word", {STREAM SAYS("\\n\\n") SAYS("a") SAYS(" ") SAYS("b") STOP},
	.heard = "M D:a D:  D:b W[a b] "},
    {"a refusal", {STREAM DELTA("\"refusal\":\"n\"") DELTA("\"refusal\":\"o\"") STOP},
	.heard = "M R:n R:o W[no] "},
    {"words and a refusal", {STREAM SAYS("a") DELTA("\"refusal\":\"no\"") STOP},
	.heard = "M D:a W[a] M R:no W[no] "},
    {"a limit", {STREAM SAYS("a") FINISH("length") DONE}, .heard = SAID,
	.outcome = MODEL_INCOMPLETE, .incomplete = MODEL_MAX_TOKENS},
    {"a limit before words", {STREAM FINISH("length") DONE}, .heard = "",
	.outcome = MODEL_INCOMPLETE, .incomplete = MODEL_MAX_TOKENS},
    {"a filter", {STREAM SAYS("a") FINISH("content_filter")}, .heard = SAID,
	.outcome = MODEL_INCOMPLETE, .incomplete = MODEL_CONTENT_FILTER},
    {"not streamed",
	{JSON("{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},"
	      "\"finish_reason\":\"stop\"}]," USAGE("3", "4") "}")},
	.heard = SAID, .tokens = 7},
    {"not streamed, and a limit",
	{JSON("{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}")},
	.heard = SAID, .outcome = MODEL_INCOMPLETE, .incomplete = MODEL_MAX_TOKENS},
    {"not streamed, and no choice", {JSON("{\"choices\":[]}")}, .heard = "",
	.outcome = MODEL_FAILED, .error = "which is no response of a model"},
};

static const struct model_row calls[] = {
    {"one call",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "")) CALLS(PIECE("0", "", "{"))
		CALLS(PIECE("0", "", "}")) CALLED},
	.heard = "C0:call_a:f A0:{ A0:} Z0:{} "},
    {"words, then a call", {STREAM SAYS("a") CALLS(BEGIN("0", "call_a", "f", "1")) CALLED},
	.heard = "M D:a W[a] C0:call_a:f A0:1 Z0:1 "},
    {"blanks, then a call", {STREAM SAYS("\\n\\n") CALLS(BEGIN("0", "call_a", "f", "1")) CALLED},
	.heard = "C0:call_a:f A0:1 Z0:1 "},
    {"words after a call", {STREAM CALLS(BEGIN("0", "call_a", "f", "1")) SAYS("a") CALLED},
	.heard = "C0:call_a:f A0:1 Z0:1 "},
    {"two, mixed",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "")) CALLS(BEGIN("1", "call_b", "g", ""))
		CALLS(PIECE("1", "", "2")) CALLS(PIECE("0", "", "1")) CALLED},
	.heard = "C0:call_a:f C1:call_b:g A1:2 A0:1 Z0:1 Z1:2 "},
    {"two in a chunk",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "1") "," BEGIN("1", "call_b", "g", "2")) CALLED},
	.heard = "C0:call_a:f A0:1 C1:call_b:g A1:2 Z0:1 Z1:2 "},
    {"all with index 0",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "")) CALLS(PIECE("0", "", "1"))
		CALLS(BEGIN("0", "call_b", "g", "")) CALLS(PIECE("0", "", "2")) CALLED},
	.heard = "C0:call_a:f A0:1 C1:call_b:g A1:2 Z0:1 Z1:2 "},
    {"all with index 0, the id with every fragment",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "")) CALLS(BEGIN("0", "call_b", "g", ""))
		CALLS(PIECE("0", ",\"id\":\"call_a\"", "1"))
		    CALLS(PIECE("0", ",\"id\":\"call_b\"", "2")) CALLED},
	.heard = "C0:call_a:f C1:call_b:g A0:1 A1:2 Z0:1 Z1:2 "},
    {"all with index 0, and no ids",
	{STREAM CALLS(BEGIN("0", "", "f", "{}")) CALLS(BEGIN("0", "", "g", "2")) CALLED},
	.heard = "C0:made:f A0:{} C1:made:g A1:2 Z0:{} Z1:2 "},
    {"the name with every fragment, and no id",
	{STREAM CALLS(BEGIN("0", "", "f", "{")) CALLS(BEGIN("0", "", "f", "}")) CALLED},
	.heard = "C0:made:f A0:{ A0:} Z0:{} "},
    {"no index",
	{STREAM CALLS("{\"id\":\"call_a\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}")
		CALLS("{\"id\":\"call_b\",\"function\":{\"name\":\"g\"}}")
		    CALLS("{\"function\":{\"arguments\":\"2\"}}") CALLED},
	.heard = "C0:call_a:f A0:1 C1:call_b:g A1:2 Z0:1 Z1:2 "},
    {"one id for two",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "1")) CALLS(BEGIN("1", "call_a", "g", "2")) CALLED},
	.heard = "C0:call_a:f A0:1 C1:made:g A1:2 Z0:1 Z1:2 "},
    {"the name comes later",
	{STREAM CALLS(PIECE("0", ",\"id\":\"call_a\"", "1")) CALLS(BEGIN("0", "call_a", "f", "2"))
		CALLED},
	.heard = "C0:call_a:f A0:1 A0:2 Z0:12 "},
    {"no name", {STREAM CALLS(PIECE("0", ",\"id\":\"call_a\"", "1")) CALLED}, .heard = "",
	.outcome = MODEL_FAILED, .error = "The model called a function without a name."},
    {"ended with stop", {STREAM CALLS(BEGIN("0", "call_a", "f", "1")) STOP},
	.heard = "C0:call_a:f A0:1 Z0:1 "},
    {"an object as arguments",
	{STREAM CALLS(
	    "{\"index\":0,\"id\":\"call_a\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}")
		STOP},
	.heard = "C0:call_a:f A0:{\"a\":1} Z0:{\"a\":1} "},
    {"calls that are none", {STREAM CALLS("\"x\",7,[]") STOP}, .heard = "", .outcome = MODEL_FAILED,
	.error = "without a name"},
    {"no arguments", {STREAM CALLS("{\"id\":\"call_a\",\"function\":{\"name\":\"f\"}}") CALLED},
	.heard = "C0:call_a:f A0:{} Z0:{} "},
    {"not streamed",
	{JSON("{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":["
	      "{\"id\":\"\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},"
	      "{\"id\":\"\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
	      "\"finish_reason\":\"tool_calls\"}]}")},
	.heard = "C0:made:f C1:made:g A0:{} Z0:{} A1:{} Z1:{} "},
    {"cut by a limit", {STREAM CALLS(BEGIN("0", "call_a", "f", "{")) FINISH("length") DONE},
	.heard = "C0:call_a:f A0:{ Z0:{ ", .outcome = MODEL_INCOMPLETE,
	.incomplete = MODEL_MAX_TOKENS},
    {"cut", {STREAM CALLS(BEGIN("0", "call_a", "f", "{"))}, .heard = "C0:call_a:f A0:{ ",
	.outcome = MODEL_FAILED, .error = "ended before its answer did"},
};

#define WORDS(words) "{\"error\":{\"message\":\"" words "\"}}"
#define F "{'type': 'function', 'function': {'name': 'f', 'strict': true}}"

static const struct model_row errors[] = {
    {"in the stream", {STREAM SAYS("a") DATA(WORDS("oh"))}, .heard = "M D:a ",
	.outcome = MODEL_FAILED, .error = "The model server failed: oh"},
    {"in the stream, in another form",
	{STREAM DATA("{\"object\":\"error\",\"message\":\"oh\",\"code\":500}")}, .heard = "",
	.outcome = MODEL_FAILED, .error = "The model server failed: oh"},
    {"after the end", {STREAM SAYS("a") FINISH("stop") DATA(WORDS("oh"))}, .heard = "M D:a ",
	.outcome = MODEL_FAILED, .error = "oh"},
    {"with 200", {JSON(WORDS("oh"))}, .heard = "", .outcome = MODEL_FAILED, .error = "failed: oh"},
    {"too long", {ERROR("400", WORDS("the context size"))}, .heard = "", .outcome = MODEL_TOO_LONG,
	.error = "context size"},
    {"too long, in the stream", {STREAM DATA(WORDS("the context size"))}, .heard = "",
	.outcome = MODEL_TOO_LONG, .error = "context size"},
    {"too long, after words", {STREAM SAYS("a") DATA(WORDS("the context size"))}, .heard = "M D:a ",
	.outcome = MODEL_FAILED, .error = "context size"},
    {"too long, after a call",
	{STREAM CALLS(BEGIN("0", "call_a", "f", "")) DATA(WORDS("the context size"))},
	.heard = "C0:call_a:f ", .outcome = MODEL_FAILED, .error = "context size"},
    {"no stream_options",
	{ERROR("422", "{\"detail\":[{\"loc\":[\"body\",\"stream_options\"]}]}"),
	    STREAM SAYS("a") STOP},
	.heard = SAID, .requests = 2, .not_sent = "stream_options"},
    {"another name for the limit",
	{ERROR("400", WORDS("Use 'max_completion_tokens' instead.")), STREAM SAYS("a") STOP},
	.heard = SAID SAID, .max_tokens = 7, .asks = 2, .requests = 3,
	.sent = "'max_completion_tokens':7", .not_sent = "'max_tokens'"},
    {"two refusals",
	{ERROR("400", WORDS("Use 'max_completion_tokens' instead.")),
	    ERROR("400", WORDS("Unsupported parameter: 'parallel_tool_calls'")),
	    STREAM SAYS("a") STOP},
	.heard = SAID, .max_tokens = 7, .requests = 3, .sent = "'max_completion_tokens':7",
	.options = "{'model': 'm', 'parallel_tool_calls': false, 'tools': [" F "]}",
	.not_sent = "parallel_tool_calls"},
};

#define USER "{'role': 'user', 'content': [{'type': 'text', 'text': {'value': 'q'}}]}"
#define SPOKEN "{'role': 'assistant', 'content': [{'type': 'text', 'text': {'value': 'a'}}]}"
#define ANSWERED                                                                                   \
	"{'calls': [{'id': 'call_a', 'name': 'f', 'arguments': '{}', 'output': '1'}, "             \
	"{'id': 'call_b', 'name': 'g', 'arguments': '{}'}], 'items': {'server': '$', 'list': "     \
	"['thought']}}"
#define TOOL_CALLS                                                                                 \
	"'tool_calls':[{'id':'call_a','type':'function','function':{'name':'f',"                   \
	"'arguments':'{}'}},{'id':'call_b','type':'function','function':{'name':'g',"              \
	"'arguments':'{}'}}]}"
#define WELL STREAM STOP

static const struct model_row requests[] = {
    {"what is always there", {WELL}, .heard = "",
	.sent = "{'model':'m','messages':[],'stream':true,"
		"'stream_options':{'include_usage':true}}"},
    {"where", {WELL}, .heard = "", .sent = "POST /chat/completions HTTP/1.1"},
    {"another model", {WELL}, .heard = "", .models = "{'m': 'n'}", .sent = "'model':'n'"},
    {"options", {WELL}, .heard = "", .max_tokens = 7,
	.options = "{'model': 'm', 'instructions': 'i', 'temperature': 1, 'top_p': 0.5, "
		   "'reasoning_effort': 'low', 'max_completion_tokens': 9, 'tool_choice': 'none', "
		   "'response_format': {'type': 'json_object'}, 'parallel_tool_calls': false, "
		   "'tools': [{'type': 'code_interpreter'}]}",
	.sent = "{'model':'m','messages':[{'role':'system','content':'i'}],'stream':true,"
		"'stream_options':{'include_usage':true},'temperature':1,'top_p':0.5,"
		"'reasoning_effort':'low','response_format':{'type':'json_object'},"
		"'max_tokens':7}"},
    {"no format", {WELL}, .heard = "", .options = "{'model': 'm', 'response_format': 'auto'}",
	.not_sent = "response_format"},
    {"functions", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [{'type': 'file_search'}, " F "], 'tool_choice': "
		   "'auto', 'parallel_tool_calls': true}",
	.sent = ",'tools':[{'type':'function','function':{'name':'f','strict':true}}]}"},
    {"a function that is chosen", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [" F "], 'parallel_tool_calls': false, "
		   "'tool_choice': {'type': 'function', 'function': {'name': 'f'}}}",
	.sent = "'tool_choice':{'type':'function','function':{'name':'f'}},"
		"'parallel_tool_calls':false}"},
    {"a hosted tool that is chosen", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [" F "], 'tool_choice': {'type': 'file_search'}}",
	.not_sent = "tool_choice"},
    {"messages", {WELL}, .heard = "",
	.context = "[" USER ", " SPOKEN ", {'role': 'assistant', 'content': []}, " USER "]",
	.sent = "'messages':[{'role':'user','content':'q'},{'role':'assistant','content':'a'},"
		"{'role':'user','content':'q'}]"},
    {"an image", {WELL}, .heard = "",
	.context = "[{'role': 'user', 'content': [{'type': 'text', 'text': {'value': 'q'}}, "
		   "{'type': 'image_url', 'image_url': {'url': 'u', 'detail': 'low'}}]}]",
	.sent = "'content':[{'type':'text','text':'q'},{'type':'image_url',"
		"'image_url':{'url':'u','detail':'low'}}]"},
    {"calls", {WELL}, .heard = "", .context = "[" USER ", " ANSWERED "]",
	.sent = "{'role':'assistant','content':null," TOOL_CALLS
		",{'role':'tool','tool_call_id':'call_a','content':'1'},"
		"{'role':'tool','tool_call_id':'call_b','content':''}]",
	.not_sent = "thought"},
    {"calls of one message with words", {WELL}, .heard = "",
	.context = "[" USER ", " SPOKEN ", " ANSWERED "]",
	.sent = "{'role':'assistant','content':'a'," TOOL_CALLS ",{'role':'tool'"},
    {"arguments that are no object", {WELL}, .heard = "",
	.context = "[" USER ", {'calls': [{'id': 'a', 'name': 'f', 'arguments': '[1'}, "
		   "{'id': 'b', 'name': 'g', 'arguments': '\\\"{}\\\"'}, "
		   "{'id': 'c', 'name': 'h i', 'arguments': '7'}], 'items': {'server': '$'}}]",
	.sent = "'function':{'name':'f','arguments':'{}'}},{'id':'b','type':'function','function':"
		"{'name':'g','arguments':'{}'}},{'id':'c','type':'function','function':{'name':"
		"'h_i','arguments':'{}'}}"},
    {"ids that come twice, or of another server", {WELL}, .heard = "",
	.context = "[" USER ", {'calls': [{'id': 'call_x', 'name': 'f', 'arguments': '{}'}], "
		   "'items': {'server': '$'}}, {'calls': [{'id': 'call_x', 'name': 'f', "
		   "'arguments': '{}'}], 'items': {'server': 'x'}}]",
	.sent = "'tool_calls':[{'id':'call_x'", .not_sent = "call_x','content':''}]"},
    {"calls that no user comes before", {WELL}, .heard = "",
	.context = "[" ANSWERED ", " SPOKEN ", " USER "]",
	.sent = "'messages':[{'role':'assistant','content':'a'},{'role':'user'"},
    {"neighbours", {WELL}, .heard = "", .context = "[" USER ", " USER ", " SPOKEN ", " SPOKEN "]",
	.sent = "[{'role':'user','content':'q\\n\\nq'},{'role':'assistant','content':'a\\n\\na'}]"},
    {"an image that is a file", {WELL}, .heard = "",
	.context = "[{'role': 'user', 'content': [{'type': 'image_file', 'image_file': {'file_id': "
		   "'f'}}]}]",
	.sent = "'content':'[An image that you cannot see]'"},
    {"what the server sent more", {WELL}, .heard = "",
	.context = "[" USER ", {'calls': [{'id': 'a', 'name': 'f', 'arguments': '{}'}], 'items': "
		   "{'server': '$', 'message': {'x': 1}, 'calls': [{'y': 2, 'function': {'z': "
		   "3}}]}}]",
	.sent = "'z':3},'y':2}],'x':1}"},
    {"what another one sent more", {WELL}, .heard = "",
	.context = "[" USER ", {'calls': [{'id': 'a', 'name': 'f', 'arguments': '{}'}], 'items': "
		   "{'server': 'x', 'message': {'x': 1}, 'calls': [{'y': 2}]}}]",
	.not_sent = "'x':1"},
    {"calls, and calls", {WELL}, .heard = "", .context = "[" USER ", " ANSWERED ", " ANSWERED "]",
	.sent = "'tool_call_id':'call_b','content':''},{'role':'assistant','content':null,"},
};

#define CHECK_ROWS(rows)                                                                           \
	for (size_t i = 0; i < COUNT(rows); i++)                                                   \
	check_model_row(&(rows)[i], model_chat_new)

static void
test_messages(void **state)
{
	(void)state;
	CHECK_ROWS(messages);
}

static void
test_calls(void **state)
{
	(void)state;
	CHECK_ROWS(calls);
}

static void
test_errors(void **state)
{
	(void)state;
	CHECK_ROWS(errors);
}

static void
test_requests(void **state)
{
	(void)state;
	CHECK_ROWS(requests);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_requests),
	};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("chat_completions", tests, NULL, NULL);
}
