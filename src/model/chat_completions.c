/*
 * A model server that speaks OpenAI's Chat Completions API, as nearly all of them do, each a little
 * differently: calls come by an index that may be wrong and with ids that may be missing; the
 * reason of the end may not tell of calls; the end itself may be missing, when all has been said.
 */
#include "model/server.h"
#include "util/json.h"
#include "util/text.h"

enum { WITHOUT_MAX_TOKENS = 1, WITHOUT_USAGE = 2, WITHOUT_PARALLEL = 4 };

/*
 * max_tokens is the name of the limit that all servers know but OpenAI's, for newer models; these
 * say so. A server that does not know the newer name would not say so, and know no limit.
 */
static const struct optional optional[] = {
    {"max_completion_tokens", WITHOUT_MAX_TOKENS, false},
    {"stream_options", WITHOUT_USAGE, false},
    {"parallel_tool_calls", WITHOUT_PARALLEL, false},
    {0},
};

/* --- the request --- */

static struct json_object *
text_part(const char *words)
{
	struct json_object *part = json_object_new_object();

	json_set_string(part, "type", "text");
	json_set_string(part, "text", words);
	return part;
}

/* A user's words and images. */
static struct json_object *
content_parts(struct json_object *content)
{
	struct json_object *parts = json_object_new_array();

	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *words = model_part_words(part);

		if (json_get_object(part, "image_url"))
			json_add(parts, json_object_get(part));
		else if (words)
			json_add(parts, text_part(words));
	}
	return parts;
}

static struct json_object *
new_message(const char *role)
{
	struct json_object *message = json_object_new_object();

	json_set_string(message, "role", role);
	return message;
}

static void
add_message(struct json_object *messages, struct json_object *entry)
{
	struct json_object *content = json_get(entry, "content"), *message;
	bool has_image = model_has_image(content);
	char *words = model_words(content);

	/* A message that was broken off before its first word says nothing. */
	if (has_image || (words && *words)) {
		message = new_message(json_get_string(entry, "role"));
		if (has_image)
			json_set(message, "content", content_parts(content));
		else
			json_set_string(message, "content", words);
		json_add(messages, message);
	}
	free(words);
}

static struct json_object *
tool_call(struct json_object *call)
{
	struct json_object *made = json_object_new_object(), *function = json_object_new_object();

	server_set(function, "name", json_object_get(json_get(call, "name")));
	server_set(function, "arguments", json_object_get(json_get(call, "arguments")));
	server_set(made, "id", json_object_get(json_get(call, "id")));
	json_set_string(made, "type", "function");
	json_set(made, "function", function);
	return made;
}

/* The message that calls belong to: the model's last, if that is what came last. */
static struct json_object *
calling_message(struct json_object *messages)
{
	size_t len = json_len(messages);
	struct json_object *last = len ? json_at(messages, len - 1) : NULL;
	const char *role = json_get_string(last, "role");

	if (role && strcmp(role, "assistant") == 0)
		return last;
	last = new_message("assistant");
	json_set(last, "content", NULL);
	json_add(messages, last);
	return last;
}

static void
add_calls(struct json_object *messages, struct json_object *calls)
{
	struct json_object *made = json_object_new_array();

	for (size_t i = 0; i < json_len(calls); i++)
		json_add(made, tool_call(json_at(calls, i)));
	json_set(calling_message(messages), "tool_calls", made);
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *call = json_at(calls, i), *message = new_message("tool");
		const char *output = json_get_string(call, "output");

		server_set(message, "tool_call_id", json_object_get(json_get(call, "id")));
		json_set_string(message, "content", output ? output : "");
		json_add(messages, message);
	}
}

static struct json_object *
all_messages(const struct model_request *request)
{
	const char *instructions = json_get_string(request->options, "instructions");
	struct json_object *messages = json_object_new_array();

	if (instructions && *instructions) {
		struct json_object *message = new_message("system");

		json_set_string(message, "content", instructions);
		json_add(messages, message);
	}
	for (size_t i = 0; i < json_len(request->context); i++) {
		struct json_object *entry = json_at(request->context, i);
		struct json_object *calls = json_get_array(entry, "calls");

		if (calls)
			add_calls(messages, calls);
		else
			add_message(messages, entry);
	}
	return messages;
}

/* Hosted tools are not the model server's. NULL when there are none. */
static struct json_object *
function_tools(struct json_object *tools)
{
	struct json_object *functions = NULL;

	for (size_t i = 0; i < json_len(tools); i++) {
		if (!json_get_object(json_at(tools, i), "function"))
			continue;
		if (!functions)
			functions = json_object_new_array();
		json_add(functions, json_object_get(json_at(tools, i)));
	}
	return functions;
}

static void
fill_tools(struct json_object *body, struct json_object *options, unsigned without)
{
	struct json_object *tools = function_tools(json_get(options, "tools"));
	struct json_object *choice = json_get(options, "tool_choice");

	if (!tools)
		return;
	json_set(body, "tools", tools);
	server_set(body, "tool_choice",
	    json_get_object(choice, "function") ? json_object_get(choice)
						: server_tool_choice(choice));
	if (!(without & WITHOUT_PARALLEL))
		server_set(body, "parallel_tool_calls", server_parallel(options));
}

static void
fill(struct json_object *body, const struct model_request *request, const char *server,
    unsigned without)
{
	struct json_object *options = request->options, *stream_options;

	(void)server;
	json_set(body, "messages", all_messages(request));
	json_set(body, "stream", json_object_new_boolean(1));
	if (!(without & WITHOUT_USAGE)) {
		stream_options = json_object_new_object();
		json_set(stream_options, "include_usage", json_object_new_boolean(1));
		json_set(body, "stream_options", stream_options);
	}
	server_set(body, "temperature", json_object_get(json_get(options, "temperature")));
	server_set(body, "top_p", json_object_get(json_get(options, "top_p")));
	server_set(
	    body, "reasoning_effort", json_object_get(json_get(options, "reasoning_effort")));
	/* "auto" is the default. */
	server_set(
	    body, "response_format", json_object_get(json_get_object(options, "response_format")));
	if (request->max_output_tokens)
		json_set_int(body,
		    without & WITHOUT_MAX_TOKENS ? "max_completion_tokens" : "max_tokens",
		    request->max_output_tokens);
	fill_tools(body, options, without);
}

/* --- the answer --- */

static int
say(struct answer *answer, enum model_part kind, const char *words)
{
	if (!words || !*words || answer_is_late(answer))
		return 0;
	/* Many models begin with line breaks, also where they go on to call a function. */
	if (!answer->open && text_is_blank(words))
		return 0;
	if (answer->open && kind != answer->kind && answer_close_message(answer) < 0)
		return -1;
	return answer_delta(answer, kind, 0, words);
}

static bool
is_json(const struct buf *text)
{
	struct json_object *value;

	if (!text->len || json_parse(text->data, text->len, &value) < 0)
		return false;
	json_object_put(value);
	return true;
}

/*
 * The call that a fragment goes on with; NULL: it begins one. Some servers give all calls the index
 * 0, or none; some no ids, or the id and the name with every fragment.
 */
static struct answer_call *
find_call(struct answer *answer, long long place, const char *id, const char *name)
{
	struct answer_call *call = NULL;

	for (size_t i = 0; i < answer->calls_len; i++) {
		if (place >= 0 && answer->calls[i].place != place)
			continue;
		call = &answer->calls[i];
		if (*id && strcmp(call->key, id) == 0)
			return call;
	}
	if (!call || (*id && *call->key))
		return NULL;
	return !*id && *name && call->name && is_json(&call->words) ? NULL : call;
}

static int
read_call(struct answer *answer, struct json_object *fragment, long long place)
{
	struct json_object *function = json_get_object(fragment, "function");
	const char *id = json_get_string(fragment, "id");
	const char *name = json_get_string(function, "name");
	struct json_object *arguments = json_get(function, "arguments");
	struct answer_call *call;

	id = id ? id : "";
	name = name ? name : "";
	call = find_call(answer, place, id, name);
	if (!call)
		call = answer_begin_call(answer, id, place);
	if (!call || (*name && answer_name_call(answer, call, id, name) < 0))
		return -1;
	if (json_object_is_type(arguments, json_type_string))
		return answer_call_delta(answer, call, json_object_get_string(arguments));
	/* Some servers send an object. */
	return arguments ? answer_call_delta(answer, call, json_text(arguments)) : 0;
}

static void
finish(struct answer *answer, const char *reason)
{
	answer->finished = true;
	if (strcmp(reason, "length") == 0) {
		answer->outcome = MODEL_INCOMPLETE;
		answer->result->incomplete = MODEL_MAX_TOKENS;
	} else if (strcmp(reason, "content_filter") == 0) {
		answer->outcome = MODEL_INCOMPLETE;
		answer->result->incomplete = MODEL_CONTENT_FILTER;
	}
}

/* A piece of the answer, or the whole: they have the same form. */
static int
read_choice(struct answer *answer, struct json_object *choice)
{
	struct json_object *delta = json_get_object(choice, "delta"), *calls;
	const char *reason = json_get_string(choice, "finish_reason");

	if (!delta)
		delta = json_get_object(choice, "message");
	if (say(answer, MODEL_TEXT, json_get_string(delta, "content")) < 0 ||
	    say(answer, MODEL_REFUSAL, json_get_string(delta, "refusal")) < 0)
		return -1;
	calls = json_get_array(delta, "tool_calls");
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *fragment = json_at(calls, i);
		/* Whole calls have no index. */
		long long otherwise = json_get(choice, "message") ? (long long)i : -1;

		if (read_call(answer, fragment, json_get_int(fragment, "index", otherwise)) < 0)
			return -1;
	}
	if (reason)
		finish(answer, reason);
	return 0;
}

static int
read_event(struct answer *answer, const char *type, struct json_object *event)
{
	const char *object = json_get_string(event, "object");

	(void)type;
	if (json_get(event, "error") || (object && strcmp(object, "error") == 0))
		return server_error(answer, event);
	server_read_usage(
	    answer, json_get_object(event, "usage"), "prompt_tokens", "completion_tokens");
	return read_choice(answer, json_at(json_get_array(event, "choices"), 0));
}

/* The stream may say that it is over, or just be, once a reason was given. */
static int
read_end(struct answer *answer)
{
	bool nothing = !answer->any && !answer->open && answer->calls_len == 0;

	if (!answer->finished && nothing)
		return 0;
	if (answer_close_message(answer) < 0 || answer_close_calls(answer) < 0)
		return -1;
	answer->ended = true;
	answer->result->outcome = answer->outcome;
	return 0;
}

static bool
read_body(struct answer *answer, struct json_object *body)
{
	if (json_len(json_get_array(body, "choices")) == 0)
		return false;
	if (read_event(answer, "", body) == 0) {
		answer->finished = true;
		read_end(answer);
	}
	return true;
}

struct model *
model_chat_new(struct http_client *client, const struct model_server *server)
{
	static const struct dialect dialect = {
	    "chat/completions", fill, NULL, read_event, read_body, read_end, optional};

	return server_model_new(client, server, &dialect);
}
