/* Requests to the Responses API, and its answers. */
#include "model_rows.h"

#define EVENT(type, more) DATA("{\"type\":\"response." type "\"" more "}")
#define NAMED(type) "event: response." type "\n"
#define ADDED EVENT("output_item.added", ",\"item\":{\"type\":\"message\"}")
#define DELTA(words) EVENT("output_text.delta", ",\"delta\":\"" words "\"")
#define ITEM(item) EVENT("output_item.done", ",\"item\":{\"type\":\"" item "}")
#define DONE(parts) ITEM("message\",\"content\":[" parts "]")
#define TEXT(words) "{\"type\":\"output_text\",\"text\":\"" words "\"}"
#define END(more) EVENT("completed", ",\"response\":{\"status\":\"completed\"" more "}")
#define USAGE(in, out) ",\"usage\":{\"input_tokens\":" in ",\"output_tokens\":" out "}"
#define TEN_A "aaaaaaaaaa"
#define HUNDRED_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A

/* A call's events; `key` is its item's id, `place` its index among the items. */
#define CALL_ADDED(key, place, id, name)                                                           \
	EVENT("output_item.added",                                                                 \
	    ",\"output_index\":" place ",\"item\":{\"type\":\"function_call\",\"id\":\"" key       \
	    "\",\"call_id\":\"" id "\",\"name\":\"" name "\",\"arguments\":\"\"}")
#define CALL_DELTA(key, place, words)                                                              \
	EVENT("function_call_arguments.delta",                                                     \
	    ",\"output_index\":" place ",\"item_id\":\"" key "\",\"delta\":\"" words "\"")
#define CALL(key, id, name, words)                                                                 \
	"{\"type\":\"function_call\",\"id\":\"" key "\",\"call_id\":\"" id "\",\"name\":\"" name   \
	"\",\"arguments\":\"" words "\"}"
#define CALL_DONE(key, place, id, name, words)                                                     \
	EVENT("output_item.done",                                                                  \
	    ",\"output_index\":" place ",\"item\":" CALL(key, id, name, words))
#define THOUGHT ITEM("reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"sealed\"")

static const struct model_row messages[] = {
    {"words", {STREAM ADDED DELTA("a") DELTA("b") DONE(TEXT("ab")) END(USAGE("1", "2"))},
	.heard = "M D:a D:b W[ab] ", .tokens = 3},
    {"words without the whole", {STREAM DELTA("a") END("")}, .heard = "M D:a W[a] "},
    {"the whole without deltas", {STREAM DONE(TEXT("a") "," TEXT("b")) END("")},
	.heard = "M D:a D:b W[a|b] "},
    {"no end", {STREAM DELTA("a")}, .heard = "M D:a ", MODEL_FAILED,
	.error = "The model server's stream ended before its answer did."},
    /* A message that is announced but gets no text is still a message. */
    {"announced", {STREAM ADDED END("")}, .heard = "M W[] "},
    {"announced behind another", {STREAM DONE(TEXT("a")) ADDED END("")},
	.heard = "M D:a W[a] M W[] "},
    /* Impossible counts are not added. */
    {"a large count", {STREAM END(USAGE("9223372036854775807", "1"))}, .heard = ""},
    {"a negative count", {STREAM END(USAGE("1", "-1"))}, .heard = ""},
    /* The error is stored as JSON, so it must be UTF-8, even where it is cut. */
    {"not UTF-8", {STREAM DATA("\xff")}, .heard = "", MODEL_FAILED,
	.error = "The model server sent an event that is not JSON."},
    {"a long error",
	{STREAM DATA("{\"type\":\"error\",\"message\":\"" HUNDRED_A HUNDRED_A HUNDRED_A HUNDRED_A
		TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A
		     "aaaaaaaaa\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}")},
	.heard = "", MODEL_FAILED, .error = "The model server failed: aaa"},
    {"a refusal",
	{STREAM EVENT("refusal.delta", ",\"delta\":\"no\"")
		ITEM("message\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]") END("")},
	.heard = "M R:no W[no] "},
    /* Event names, which some servers get wrong. */
    {"named",
	{STREAM NAMED("created") EVENT("created", "") NAMED("output_text.delta") DELTA("a")
		NAMED("output_text.done") EVENT("output_text.done", ",\"text\":\"a\"")
		    NAMED("completed") END(USAGE("1", "2"))},
	.heard = "M D:a W[a] ", .tokens = 3},
    {"only named",
	{STREAM NAMED("output_text.delta") DATA("{\"delta\":\"a\"}") NAMED("completed")
		DATA("{\"response\":{\"status\":\"completed\"}}")},
	.heard = "M D:a W[a] "},
    {"named like another",
	{STREAM NAMED("in_progress") DELTA("a") NAMED("output_text.delta")
		EVENT("refusal.delta", ",\"delta\":\"no\"") NAMED("in_progress") END("")},
	.heard = "M D:a R:no W[ano] "},
    {"an error that is named like no other",
	{STREAM NAMED("error") DATA("{\"type\":\"error\",\"message\":\"no\"}")}, .heard = "",
	MODEL_FAILED, .error = "The model server failed: no"},
    {"deltas that say nothing",
	{STREAM NAMED("output_text.delta") EVENT("output_text.delta", "") NAMED("output_text.delta")
		EVENT("output_text.delta", ",\"delta\":null") NAMED("output_text.delta")
		    EVENT("output_text.delta", ",\"delta\":1") NAMED("output_text.delta") DELTA("")
			END("")},
	.heard = ""},
    {"a delta that cannot be stored", {STREAM NAMED("output_text.delta") DELTA("a\\u0000") END("")},
	.heard = "M D:a\xef\xbf\xbd W[a\xef\xbf\xbd] "},
    {"[DONE] is no end", {STREAM DELTA("a") DATA("[DONE]")}, .heard = "M D:a ", MODEL_FAILED,
	.error = "ended before"},
};

static const struct model_row calls[] = {
    {"one call",
	{STREAM CALL_ADDED("fc_1", "0", "call_a", "f") CALL_DELTA("fc_1", "0", "{") CALL_DELTA(
	    "fc_1", "0", "}") CALL_DONE("fc_1", "0", "call_a", "f", "{}") END(USAGE("1", "2"))},
	.heard = "C0:call_a:f A0:{ A0:} Z0:{} ", .tokens = 3},
    {"a message, then a call",
	{STREAM ADDED DELTA("a") DONE(TEXT("a")) CALL_DONE("fc_1", "1", "call_a", "f", "1")
		END("")},
	.heard = "M D:a W[a] C0:call_a:f A0:1 Z0:1 "},
    {"a message that never got whole, then a call",
	{STREAM DELTA("a") CALL_DONE("fc_1", "1", "call_a", "f", "1") END("")},
	.heard = "M D:a W[a] C0:call_a:f A0:1 Z0:1 "},
    {"a message after a call",
	{STREAM CALL_DONE("fc_1", "0", "call_a", "f", "1") ADDED DELTA("a") DONE(TEXT("a"))
		END("")},
	.heard = "C0:call_a:f A0:1 Z0:1 "},
    {"two at once",
	{STREAM CALL_ADDED("fc_1", "0", "call_a", "f") CALL_ADDED("fc_2", "1", "call_b", "g")
		CALL_DELTA("fc_2", "1", "2") CALL_DELTA("fc_1", "0", "1") CALL_DONE("fc_2", "1",
		    "call_b", "g", "2") CALL_DONE("fc_1", "0", "call_a", "f", "1") END("")},
	.heard = "C0:call_a:f C1:call_b:g A1:2 A0:1 Z1:2 Z0:1 "},
    {"by their places alone",
	{STREAM CALL_ADDED("", "0", "call_a", "f") CALL_ADDED("", "1", "call_b", "g")
		CALL_DELTA("", "0", "1") CALL_DELTA("", "1", "2") END("")},
	.heard = "C0:call_a:f C1:call_b:g A0:1 A1:2 Z0:1 Z1:2 "},
    {"by nothing, one after the other",
	{STREAM CALL_ADDED("", "-1", "call_a", "f") CALL_DELTA("", "-1", "0") CALL_DELTA("", "-1",
	    "1") CALL_DONE("", "-1", "call_a", "f", "01") CALL_ADDED("", "-1", "call_b", "g")
		CALL_DELTA("", "-1", "2") CALL_DONE("", "-1", "call_b", "g", "2") END("")},
	.heard = "C0:call_a:f A0:0 A0:1 Z0:01 C1:call_b:g A1:2 Z1:2 "},
    {"by their items' ids alone",
	{STREAM CALL_ADDED("fc_1", "-1", "call_a", "f") CALL_ADDED("fc_2", "-1", "call_b", "g")
		CALL_DELTA("fc_1", "-1", "1") CALL_DELTA("fc_2", "-1", "2") END("")},
	.heard = "C0:call_a:f C1:call_b:g A0:1 A1:2 Z0:1 Z1:2 "},
    {"other arguments in the end",
	{STREAM CALL_ADDED("fc_1", "0", "call_a", "f") CALL_DELTA("fc_1", "0", "1")
		CALL_DONE("fc_1", "0", "call_a", "f", "12") END("")},
	.heard = "C0:call_a:f A0:1 Z0:12 "},
    {"in the final response alone",
	{STREAM END(",\"output\":[" CALL("fc_1", "call_a", "f", "1") "," CALL(
	    "fc_2", "call_b", "g", "2") "]")},
	.heard = "C0:call_a:f A0:1 Z0:1 C1:call_b:g A1:2 Z1:2 "},
    {"behind words that were streamed",
	{STREAM DELTA("a") END(",\"output\":[{\"type\":\"message\",\"content\":[" TEXT(
	    "a") "]}," CALL("fc_1", "call_a", "f", "1") "]")},
	.heard = "M D:a W[a] C0:call_a:f A0:1 Z0:1 "},
    {"in the final response, too",
	{STREAM CALL_DONE("", "-1", "", "f", "1") END(",\"output\":[" CALL("", "", "f", "1") "]")},
	.heard = "C0:made:f A0:1 Z0:1 "},
    {"begun, and whole in the final response",
	{STREAM CALL_ADDED("", "0", "", "f") CALL_DELTA("", "0", "1")
		END(",\"output\":[" CALL("", "", "f", "12") "]")},
	.heard = "C0:made:f A0:1 Z0:12 "},
    {"without a stream",
	{JSON("{\"status\":\"completed\",\"output\":[" CALL("fc_1", "call_a", "f", "1") "]}")},
	.heard = "C0:call_a:f A0:1 Z0:1 "},
    {"without arguments", {STREAM CALL_DONE("fc_1", "0", "call_a", "f", "") END("")},
	.heard = "C0:call_a:f A0:{} Z0:{} "},
    {"no ids for two",
	{STREAM CALL_DONE("fc_1", "0", "", "f", "1") CALL_DONE("fc_2", "1", "", "g", "2") END("")},
	.heard = "C0:made:f A0:1 Z0:1 C1:made:g A1:2 Z1:2 "},
    {"without a name", {STREAM CALL_ADDED("fc_1", "0", "call_a", "") END("")}, .heard = "",
	MODEL_FAILED, .error = "The model called a function without a name."},
    {"cut by a limit",
	{STREAM CALL_ADDED("fc_1", "0", "call_a", "f") CALL_DELTA("fc_1", "0", "{")
		EVENT("incomplete",
		    ",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
		    "\"max_output_tokens\"}}")},
	.heard = "C0:call_a:f A0:{ Z0:{ ", MODEL_INCOMPLETE, .incomplete = MODEL_MAX_TOKENS},
};

static const struct model_row items[] = {
    {"of a message", {STREAM THOUGHT DONE(TEXT("a")) END("")}, .heard = "M D:a W[a] ",
	.items = "\"list\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],"
		 "\"encrypted_content\":\"sealed\"},{\"type\":\"message\""},
    {"a phase", {STREAM ITEM("message\",\"phase\":\"final\",\"content\":[" TEXT("a") "]") END("")},
	.heard = "M D:a W[a] ", .items = "\"phase\":\"final\""},
    {"of calls",
	{STREAM THOUGHT CALL_DONE("fc_1", "1", "", "f", "1")
		THOUGHT CALL_DONE("fc_2", "3", "call_b", "g", "2") END("")},
	.heard = "C0:made:f A0:1 Z0:1 C1:call_b:g A1:2 Z1:2 ",
	.items = "\"id\":\"fc_1\",\"call_id\":\"call_"},
    {"a thought that is not here",
	{STREAM ITEM("reasoning\",\"id\":\"rs_1\",\"summary\":[]") DONE(TEXT("a")) END("")},
	.heard = "M D:a W[a] "},
    {"a thought in plain words",
	{STREAM ITEM("reasoning\",\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]")
		DONE(TEXT("a")) END("")},
	.heard = "M D:a W[a] ", .items = "hm"},
    /* An output without its call would be refused. */
    {"of half of the calls",
	{STREAM THOUGHT CALL_DONE("fc_1", "1", "call_a", "f", "1")
		CALL_ADDED("fc_2", "2", "call_b", "g") END("")},
	.heard = "C0:call_a:f A0:1 Z0:1 C1:call_b:g A1:{} Z1:{} "},
};

#define CODE(code) "{\"error\":{\"message\":\"oh\",\"code\":\"" code "\"}}"
#define WORDS(words) "{\"error\":{\"message\":\"" words "\",\"code\":null}}"

#define USER "{'role': 'user', 'content': [{'type': 'text', 'text': {'value': 'q'}}]}"

static const struct model_row errors[] = {
    {"too long, by its code", {ERROR("400", CODE("context_length_exceeded"))}, .heard = "",
	MODEL_TOO_LONG, .error = "answered 400: oh"},
    {"too long, by words",
	{ERROR("400", WORDS("This model's maximum context length is 8192 tokens."))}, .heard = "",
	MODEL_TOO_LONG, .error = "8192"},
    {"too long, by llama-server's words",
	{ERROR("400",
	    "{\"error\":{\"code\":400,\"message\":\"request (9 tokens) exceeds the available "
	    "context size (8 tokens)\",\"type\":\"exceed_context_size_error\"}}")},
	.heard = "", MODEL_TOO_LONG, .error = "9 tokens"},
    {"too long, in the stream",
	{STREAM EVENT("failed",
	    ",\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
	    "\"context_length_exceeded\",\"message\":\"oh\"}}")},
	.heard = "", MODEL_TOO_LONG, .error = "failed: oh"},
    {"too long, as an error event",
	{STREAM DATA(
	    "{\"type\":\"error\",\"code\":\"context_length_exceeded\",\"message\":\"oh\"}")},
	.heard = "", MODEL_TOO_LONG, .error = "failed: oh"},
    {"too long, after words",
	{STREAM DELTA("a") DATA("{\"type\":\"error\",\"code\":\"context_length_exceeded\"}")},
	.heard = "M D:a ", MODEL_FAILED, .error = "context_length_exceeded"},
    {"too long is not what was said before",
	{STREAM EVENT("failed",
	    ",\"response\":{\"instructions\":\"context length\",\"error\":"
	    "{\"message\":\"oh\"}}")},
	.heard = "", MODEL_FAILED, .error = "failed: oh"},
    {"a busy server", {STREAM EVENT("failed", ",\"response\":" CODE("rate_limit_exceeded"))},
	.heard = "", MODEL_BUSY, .error = "oh"},
    {"another", {ERROR("400", CODE("invalid_prompt"))}, .heard = "", MODEL_FAILED,
	.error = "answered 400: oh"},
    /* Everything optional is left out. */
    {"no encrypted reasoning",
	{ERROR("400",
	     "{\"error\":{\"message\":\"Encrypted content is not supported with this "
	     "model.\",\"param\":\"include\"}}"),
	    STREAM DELTA("a") END("")},
	.heard = "M D:a W[a] M D:a W[a] ", .asks = 2, .requests = 3, .not_sent = "'include'"},
    {"a key that cannot read what another one was given",
	{ERROR("400", CODE("invalid_encrypted_content")), STREAM DELTA("a") END("")},
	.heard = "M D:a W[a] M D:a W[a] ", .asks = 2, .requests = 3, .sent = "'include'"},
    {"no parallel_tool_calls",
	{ERROR("422", "{\"detail\":[{\"loc\":[\"body\",\"parallel_tool_calls\"]}]}"),
	    STREAM DELTA("a") END("")},
	.heard = "M D:a W[a] ", .requests = 2, .not_sent = "parallel_tool_calls",
	.options = "{'model': 'm', 'parallel_tool_calls': false, 'tools': [{'type': 'function', "
		   "'function': {'name': 'f'}}]}"},
    {"refused again", {ERROR("400", WORDS("include what?"))}, .heard = "", MODEL_FAILED,
	.requests = 2, .error = "include what?"},
    {"refused for a reason that no other form would change", {ERROR("400", CODE("invalid_prompt"))},
	.heard = "", MODEL_FAILED, .error = "answered 400: oh", .context = "[" USER "]"},
};

#define F "{'type': 'function', 'function': {'name': 'f', 'description': 'd'"
#define ANSWERED                                                                                   \
	"'calls': [{'id': 'call_a', 'name': 'f', 'arguments': '{}', 'output': '1'}, "              \
	"{'id': 'call_b', 'name': 'g', 'arguments': '{}'}]"
#define WELL STREAM END("")

static const struct model_row requests[] = {
    {"what is always there", {WELL}, .heard = "",
	.sent = "{'model':'m','input':[],'stream':true,'store':false,"
		"'include':['reasoning.encrypted_content']}"},
    {"another model", {WELL}, .heard = "", .models = "{'m': 'n'}", .sent = "'model':'n'"},
    {"another for all others", {WELL}, .heard = "", .models = "{'x': 'y', '*': 'n'}",
	.sent = "'model':'n'"},
    {"none for this", {WELL}, .heard = "", .models = "{'x': 'y'}", .sent = "'model':'m'"},
    {"options", {WELL}, .heard = "", .max_tokens = 7,
	.options = "{'model': 'm', 'instructions': 'i', 'temperature': 1, 'top_p': 0.5, "
		   "'reasoning_effort': 'low', 'max_completion_tokens': 9, 'metadata': {'a': 'b'}, "
		   "'tool_choice': 'none', 'parallel_tool_calls': false, "
		   "'tools': [{'type': 'code_interpreter'}]}",
	.sent = "{'model':'m','instructions':'i','input':[],'stream':true,'store':false,"
		"'include':['reasoning.encrypted_content'],'temperature':1,'top_p':0.5,"
		"'max_output_tokens':7,'reasoning':{'effort':'low'}}"},
    {"a format", {WELL}, .heard = "",
	.options = "{'model': 'm', 'response_format': {'type': 'json_schema', 'json_schema': "
		   "{'name': 'n', 'schema': {}}}}",
	.sent = "'text':{'format':{'type':'json_schema','name':'n','schema':{}}}"},
    {"functions", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [{'type': 'file_search'}, " F "}}, " F
		   ", 'strict': true, 'parameters': {'type': 'object'}}}], 'tool_choice': 'auto', "
		   "'parallel_tool_calls': true}",
	.sent = ",'tools':[{'type':'function','name':'f','description':'d','parameters':"
		"{'type':'object','properties':{}},'strict':false},{'type':'function','name':'f',"
		"'description':'d','parameters':{'type':'object'},'strict':true}]}"},
    {"a function that is chosen", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [" F "}}], 'tool_choice': "
		   "{'type': 'function', 'function': {'name': 'f'}}, 'parallel_tool_calls': false}",
	.sent = "'tool_choice':{'type':'function','name':'f'},'parallel_tool_calls':false}"},
    {"any function", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [" F "}}], 'tool_choice': 'required'}",
	.sent = "'tool_choice':'required'"},
    {"a hosted tool that is chosen", {WELL}, .heard = "",
	.options = "{'model': 'm', 'tools': [" F "}}], 'tool_choice': {'type': 'file_search'}}",
	.not_sent = "tool_choice"},
    {"messages", {WELL}, .heard = "",
	.context = "[" USER ", {'role': 'assistant', 'content': [{'type': 'text', 'text': "
		   "{'value': 'a'}}, {'type': 'refusal', 'refusal': 'b'}]}, "
		   "{'role': 'assistant', 'content': []}]",
	.sent = "'input':[{'type':'message','role':'user','content':'q'},"
		"{'type':'message','role':'assistant','content':'a\\n\\nb'}]"},
    {"an image", {WELL}, .heard = "",
	.context = "[{'role': 'user', 'content': [{'type': 'text', 'text': {'value': 'q'}}, "
		   "{'type': 'image_url', 'image_url': {'url': 'u', 'detail': 'low'}}, "
		   "{'type': 'image_url', 'image_url': {'url': 'v'}}]}]",
	.sent = "'content':[{'type':'input_text','text':'q'},{'type':'input_image',"
		"'image_url':'u','detail':'low'},{'type':'input_image','image_url':'v',"
		"'detail':'auto'}]"},
    {"calls", {WELL}, .heard = "",
	.context = "[" USER ", {" ANSWERED ", 'items': {'server': '$'}}]",
	.sent = "{'type':'function_call','call_id':'call_a','name':'f','arguments':'{}'},"
		"{'type':'function_call','call_id':'call_b','name':'g','arguments':'{}'},"
		"{'type':'function_call_output','call_id':'call_a','output':'1'},"
		"{'type':'function_call_output','call_id':'call_b','output':''}]"},
    {"its own items", {WELL}, .heard = "",
	.context = "[" USER
		   ", {'role': 'assistant', 'content': [{'type': 'text', 'text': {'value': 'a'}}], "
		   "'items': {'server': '$', 'list': ['thought', 'said']}}, {" ANSWERED
		   ", 'items': {'server': '$', 'list': ['thought', 'called']}}]",
	.sent = "},'thought','said','thought','called',{'type':'function_call_output',"},
    {"its own items, which it refuses", {ERROR("400", CODE("invalid_encrypted_content")), WELL},
	.heard = "", .requests = 2,
	.context =
	    "[" USER ", {" ANSWERED ", 'items': {'server': '$', 'list': ['thought', 'called']}}]",
	.sent = "},{'type':'function_call','call_id'", .not_sent = "thought"},
    {"another server's items", {WELL}, .heard = "",
	.context = "[" USER
		   ", {'role': 'assistant', 'content': [{'type': 'text', 'text': {'value': 'a'}}], "
		   "'items': {'server': 'x', 'list': ['thought']}}, {" ANSWERED
		   ", 'items': {'server': 'x', 'list': ['thought']}}]",
	.sent = "'content':'a'},{'type':'function_call'", .not_sent = "thought"},
};

#define CHECK_ROWS(rows)                                                                           \
	for (size_t i = 0; i < COUNT(rows); i++)                                                   \
	check_model_row(&(rows)[i], model_responses_new)

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
test_items(void **state)
{
	(void)state;
	CHECK_ROWS(items);
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
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_requests),
	};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("responses", tests, NULL, NULL);
}
