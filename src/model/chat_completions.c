/*
 * Chat Completions, OpenAI's older API, which nearly all model servers have, each a little
 * differently. A call's index may be wrong, and its id missing. The finish reason may not mention
 * calls. The end itself may be missing after everything was sent.
 */
#include "model/http_model.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"

/*
 * max_tokens comes first: every server knows it but OpenAI's newer models, and those refuse it with
 * an error. A server that does not know max_completion_tokens would ignore it without a word.
 */
static const struct refused refused[] = {
    {"max_tokens", NEED_NEW_LIMIT, false},
    {"max_completion_tokens", NEED_NEW_LIMIT, false},
    {"max_tokens", NEED_NO_LIMIT, false},
    {"max_completion_tokens", NEED_NO_LIMIT, false},
    {"in the completion", NEED_NO_LIMIT, false},
    {"stream_options", NEED_NO_USAGE, false},
    {"include_usage", NEED_NO_USAGE, false},
    {"response_format", NEED_NO_FORMAT, false},
    {"json_schema", NEED_NO_FORMAT, false},
    {"json_object", NEED_NO_FORMAT, false},
    {0},
};

/* --- the request --- */

static struct json_object *
text_part(const char *words)
{
	struct json_object *part = json_new_object();

	json_set_string(part, "type", "text");
	json_set_string(part, "text", words);
	return part;
}

/* A user's text and images. */
static struct json_object *
content_parts(struct json_object *content)
{
	struct json_object *parts = json_new_array();

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
	struct json_object *message = json_new_object();

	json_set_string(message, "role", role);
	return message;
}

/* Adds members that the server sent and `to` lacks. */
static void
add_missing(struct json_object *to, struct json_object *from)
{
	if (!json_object_is_type(from, json_type_object))
		return;
	json_object_object_foreach(from, name, value)
	{
		if (!json_object_object_get_ex(to, name, NULL))
			json_set(to, name, json_object_get(value));
	}
}

static void
add_words(struct json_object *messages, const struct model_entry *entry)
{
	struct buf message = BUF_INIT(INT32_MAX);

	buf_printf(&message, "{\"role\":\"%s\",\"content\":", model_roles[entry->kind]);
	buf_append(&message, json_object_get_string(entry->content),
	    (size_t)json_object_get_string_len(entry->content));
	buf_puts(&message, "}");
	if (message.failed)
		memory_fail();
	else
		json_add(messages, json_literal(message.data, message.len));
	buf_free(&message);
}

static void
add_message(struct json_object *messages, const struct model_entry *entry, bool has_calls)
{
	struct json_object *message, *own = json_get_object(entry->items, "message"), *parts;
	char *words;

	if (model_is_words(entry->content) && !own && !has_calls) {
		add_words(messages, entry);
		return;
	}
	message = new_message(model_roles[entry->kind]);
	parts = model_parts(entry->content);
	words = model_words(parts);
	if (model_has_image(parts))
		json_set(message, "content", content_parts(parts));
	else
		json_set_string(message, "content", words);
	add_missing(message, own);
	json_add(messages, message);
	json_object_put(parts);
	free(words);
}

/* `own`: further members that the server sent with the call. */
static struct json_object *
tool_call(struct json_object *call, struct json_object *own)
{
	struct json_object *made = json_new_object(), *function = json_new_object();

	json_set(function, "name", json_object_get(json_get(call, "name")));
	json_set(function, "arguments", json_object_get(json_get(call, "arguments")));
	add_missing(function, json_get_object(own, "function"));
	json_set(made, "id", json_object_get(json_get(call, "id")));
	json_set_string(made, "type", "function");
	json_set(made, "function", function);
	add_missing(made, own);
	return made;
}

/* The message that calls are added to: the model's last message, if nothing came after it. */
static struct json_object *
calling_message(struct json_object *messages, const struct model_entry *before, unsigned needs)
{
	size_t len = json_len(messages);
	struct json_object *message;

	if (before && before->kind == MODEL_ASSISTANT)
		return json_at(messages, len - 1);
	message = new_message("assistant");
	if (needs & (NEED_STRING | NEED_WORDS))
		json_set_string(message, "content", needs & NEED_WORDS ? "(A call.)" : "");
	else
		json_set(message, "content", NULL);
	json_add(messages, message);
	return message;
}

static void
add_output(struct json_object *messages, struct json_object *call, unsigned needs)
{
	struct json_object *message = new_message("tool");

	json_set(message, "tool_call_id", json_object_get(json_get(call, "id")));
	if (needs & NEED_TOOL_NAME)
		json_set(message, "name", json_object_get(json_get(call, "name")));
	json_set(message, "content", json_object_get(json_get(call, "output")));
	json_add(messages, message);
}

static void
add_calls(struct json_object *messages, const struct model_entry *entry,
    const struct model_entry *before, unsigned needs)
{
	struct json_object *own = entry->items, *calls = entry->content;
	struct json_object *made = json_new_array();
	struct json_object *message = calling_message(messages, before, needs);

	for (size_t i = 0; i < json_len(calls); i++)
		json_add(made, tool_call(json_at(calls, i), json_at(json_get(own, "calls"), i)));
	json_set(message, "tool_calls", made);
	add_missing(message, json_get_object(own, "message"));
	for (size_t i = 0; i < json_len(calls); i++)
		add_output(messages, json_at(calls, i), needs);
}

/* Whether calls follow, which become members of this message. */
static bool
is_called_by(const struct model_context *told, size_t i)
{
	return i + 1 < told->len && told->entries[i + 1].kind == MODEL_CALLS;
}

static struct json_object *
all_messages(const struct history *history, unsigned needs)
{
	const struct model_context *told = &history->told;
	struct json_object *messages = json_new_array();

	if (history->instructions) {
		struct json_object *message = new_message("system");

		json_set_string(message, "content", history->instructions);
		json_add(messages, message);
	}
	for (size_t i = 0; i < told->len; i++) {
		const struct model_entry *entry = &told->entries[i];

		if (entry->kind == MODEL_CALLS)
			add_calls(messages, entry, i > 0 ? entry - 1 : NULL, needs);
		else
			add_message(messages, entry, is_called_by(told, i));
	}
	return messages;
}

/* A tool in the form that is sent. */
static struct json_object *
function_tool(struct json_object *tool, unsigned needs)
{
	struct json_object *made, *function;

	if (!(needs & NEED_NO_STRICT))
		return json_object_get(tool);
	made = json_new_object();
	function = json_new_object();
	json_set_string(made, "type", "function");
	json_set(made, "function", function);
	add_missing(function, json_get(tool, "function"));
	json_remove(function, "strict");
	return made;
}

/* Without hosted tools, which the model server does not know. NULL: none is left. */
static struct json_object *
function_tools(struct json_object *tools, unsigned needs)
{
	struct json_object *functions = NULL;

	for (size_t i = 0; i < json_len(tools); i++) {
		if (!json_get_object(json_at(tools, i), "function"))
			continue;
		if (!functions)
			functions = json_new_array();
		json_add(functions, function_tool(json_at(tools, i), needs));
	}
	return functions;
}

static void
fill_tools(struct json_object *body, struct json_object *options, unsigned needs)
{
	struct json_object *tools =
	    needs & NEED_NO_TOOLS ? NULL : function_tools(json_get(options, "tools"), needs);
	struct json_object *choice = json_get(options, "tool_choice");

	if (!tools)
		return;
	json_set(body, "tools", tools);
	if (!(needs & NEED_NO_CHOICE))
		server_set(body, "tool_choice",
		    json_get_object(choice, "function") ? json_object_get(choice)
							: server_tool_choice(choice));
	if (!(needs & NEED_NO_PARALLEL))
		server_set(body, "parallel_tool_calls", server_parallel(options));
}

static void
fill(struct json_object *body, const struct model_request *request, const struct history *history,
    unsigned needs)
{
	struct json_object *stream_options;

	json_set(body, "messages", all_messages(history, needs));
	json_set(body, "stream", json_new_bool(!(needs & NEED_NO_STREAM)));
	if (!(needs & (NEED_NO_USAGE | NEED_NO_STREAM))) {
		stream_options = json_new_object();
		json_set(stream_options, "include_usage", json_new_bool(1));
		json_set(body, "stream_options", stream_options);
	}
	server_set_option(body, request, "temperature", needs & NEED_NO_TEMPERATURE);
	server_set_option(body, request, "top_p", needs & NEED_NO_TOP_P);
	server_set_option(body, request, "reasoning_effort", needs & NEED_NO_EFFORT);
	/* "auto" is the default. */
	server_set_option(body, request, "response_format",
	    !json_get_object(request->options, "response_format") || (needs & NEED_NO_FORMAT));
	if (request->max_output_tokens && !(needs & NEED_NO_LIMIT))
		json_set_int(body, needs & NEED_NEW_LIMIT ? "max_completion_tokens" : "max_tokens",
		    request->max_output_tokens);
	fill_tools(body, request->options, needs);
}

/* --- the answer --- */

static int
say(struct collector *answer, enum model_part kind, const char *words)
{
	if (!words || !*words)
		return 0;
	if (answer->open && kind != answer->kind && collector_close_message(answer, NULL) < 0)
		return -1;
	return collector_delta(answer, kind, 0, words);
}

/* A string, a part, or an array of parts; only those with text count. */
static int
say_content(struct collector *answer, struct json_object *content)
{
	if (json_object_is_type(content, json_type_string))
		return say(answer, MODEL_TEXT, json_object_get_string(content));
	if (json_object_is_type(content, json_type_object))
		return say(answer, MODEL_TEXT, json_get_string(content, "text"));
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *refusal = json_get_string(part, "refusal");

		if (say(answer, refusal ? MODEL_REFUSAL : MODEL_TEXT,
			refusal ? refusal : json_get_string(part, "text")) < 0)
			return -1;
	}
	return 0;
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
 * The call that a fragment continues; NULL: it begins one. Some servers give all calls the index 0,
 * or none; some give no ids, or repeat id and name in every fragment.
 */
static struct collector_call *
find_call(struct collector *answer, long long place, const char *id, const char *name)
{
	struct collector_call *call = NULL;

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
read_call(struct collector *answer, struct json_object *fragment, long long place)
{
	struct json_object *function = json_get_object(fragment, "function");
	const char *id = json_get_string(fragment, "id");
	const char *name = json_get_string(function, "name");
	struct json_object *arguments = json_get(function, "arguments");
	struct collector_call *call;

	static const char *const known[] = {"index", "id", "type", "function", NULL};
	static const char *const known_of_function[] = {"name", "arguments", NULL};

	id = id ? id : "";
	name = name ? name : "";
	call = find_call(answer, place, id, name);
	if (!call)
		call = collector_begin_call(answer, id, place);
	if (call &&
	    collector_add_size(answer,
		members_add(&call->more, fragment, known) +
		    members_add(&call->function_more, function, known_of_function)) < 0)
		return -1;
	if (!call || (*name && collector_name_call(answer, call, id, name) < 0))
		return -1;
	if (json_object_is_type(arguments, json_type_string))
		return collector_call_delta(answer, call, json_object_get_string(arguments));
	/* Some servers send an object. */
	return arguments ? collector_call_delta(answer, call, json_text(arguments)) : 0;
}

/* Collects further members of the message, which the server may want back. */
static int
read_more(struct collector *answer, struct json_object *delta)
{
	static const char *const known[] = {"role", "content", "refusal", "tool_calls",
	    "function_call", "annotations", "audio", NULL};
	size_t added = members_add(&answer->more, delta, known);

	answer->begun |= added > 0;
	return collector_add_size(answer, added);
}

struct finish {
	const char *reason;
	enum model_outcome outcome;
	enum model_incomplete incomplete;
};

/* How an answer ended, if not well, in the words of many servers. */
static const struct finish finishes[] = {
    {"length", MODEL_INCOMPLETE, MODEL_MAX_TOKENS},
    {"max_tokens", MODEL_INCOMPLETE, MODEL_MAX_TOKENS},
    {"model_length", MODEL_INCOMPLETE, MODEL_MAX_TOKENS},
    {"content_filter", MODEL_INCOMPLETE, MODEL_CONTENT_FILTER},
    {"safety", MODEL_INCOMPLETE, MODEL_CONTENT_FILTER},
    {"sensitive", MODEL_INCOMPLETE, MODEL_CONTENT_FILTER},
    {"error", MODEL_FAILED, 0},
    {"network_error", MODEL_FAILED, 0},
    {"model_error", MODEL_FAILED, 0},
    {"abort", MODEL_FAILED, 0},
    {"aborted", MODEL_FAILED, 0},
    {"cancelled", MODEL_FAILED, 0},
    {"timeout", MODEL_FAILED, 0},
    {"insufficient_system_resource", MODEL_FAILED, 0},
};

/* The provider broke off: reports its error, or at least its finish reason. */
static int
broke_off(struct collector *answer, struct json_object *choice, const char *reason)
{
	struct json_object *error = json_get(choice, "error");
	const char *native = json_get_string(choice, "native_finish_reason");

	if (error)
		return server_error(answer, choice);
	return collector_break(
	    answer, "The model server broke off the answer: %.64s", native ? native : reason);
}

static int
finish(struct collector *answer, struct json_object *choice, const char *reason)
{
	for (size_t i = 0; i < sizeof finishes / sizeof *finishes; i++) {
		if (strcasecmp(reason, finishes[i].reason) != 0)
			continue;
		if (finishes[i].outcome == MODEL_FAILED)
			return broke_off(answer, choice, reason);
		answer->outcome = finishes[i].outcome;
		answer->result->incomplete = finishes[i].incomplete;
	}
	answer->finished = true;
	return 0;
}

static int
read_calls(struct collector *answer, struct json_object *delta, bool whole)
{
	struct json_object *calls = json_get_array(delta, "tool_calls");
	struct json_object *old = json_get_object(delta, "function_call"), *fragment;
	int result = 0;

	for (size_t i = 0; result == 0 && i < json_len(calls); i++) {
		fragment = json_at(calls, i);
		/* Whole calls have no index. */
		result = read_call(
		    answer, fragment, json_get_int(fragment, "index", whole ? (long long)i : -1));
	}
	/* The form before tool_calls: a single call, without an id. */
	if (result == 0 && old && json_object_object_length(old) > 0) {
		fragment = json_new_object();
		json_set(fragment, "function", json_object_get(old));
		result = read_call(answer, fragment, 0);
		json_object_put(fragment);
	}
	return result;
}

static bool
says_something(struct json_object *delta)
{
	struct json_object *content = json_get(delta, "content");
	const char *words =
	    json_object_is_type(content, json_type_string) ? json_object_get_string(content) : NULL;

	return (words && *words) || json_len(content) > 0 ||
	    json_len(json_get(delta, "tool_calls")) > 0;
}

/* A piece of the answer, or all of it: both have the same form. */
static int
read_choice(struct collector *answer, struct json_object *choice)
{
	struct json_object *delta = json_get_object(choice, "delta");
	const char *reason = json_get_string(choice, "finish_reason");
	bool whole = !delta;

	if (whole)
		delta = json_get_object(choice, "message");
	if (read_more(answer, delta) < 0)
		return -1;
	/* Read the text first: it may come together with the end, or after it. */
	if (says_something(delta))
		answer->finished = false;
	if (say_content(answer, json_get(delta, "content")) < 0 ||
	    say(answer, MODEL_REFUSAL, json_get_string(delta, "refusal")) < 0 ||
	    read_calls(answer, delta, whole) < 0)
		return -1;
	return reason && *reason ? finish(answer, choice, reason) : 0;
}

static const struct usage_names usage_names = {
    "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"};

static int
read_event(struct collector *answer, const char *type, struct json_object *event)
{
	/* `type`: the event's name, by which alone some servers mark an error. */
	if (strcmp(type, "error") == 0)
		return server_error(answer, event);
	server_read_usage(answer, json_get_object(event, "usage"), &usage_names);
	return read_choice(answer, json_at(json_get_array(event, "choices"), 0));
}

static bool
is_none(struct json_raw raw)
{
	return raw.len == 0 || *raw.at == 'n';
}

/* The string in {"content": "…"}, if there is nothing else; {NULL, 0}: there is more. */
static struct json_raw
peek_content(struct json_raw delta)
{
	static const char begins[] = "{\"content\":";
	const char *end = delta.at + delta.len, *at = delta.at + sizeof begins - 1;
	size_t len;

	if (delta.len < sizeof begins || memcmp(delta.at, begins, sizeof begins - 1) != 0)
		return (struct json_raw){NULL, 0};
	at += *at == ' ';
	len = json_literal_len(at, (size_t)(end - at));
	return len > 0 && at + len + 1 == end ? (struct json_raw){at, len}
					      : (struct json_raw){NULL, 0};
}

/*
 * Most pieces of an answer have one choice with a bit of text, and nothing else that counts. These
 * are not parsed, which would cost ten times as much.
 */
static int
peek(struct collector *answer, const char *name, const char *data, size_t len)
{
	static const char *const keys[] = {"choices", "error", "usage", "type", "object", NULL};
	static const char *const choice_keys[] = {"delta", "finish_reason", "message", NULL};
	static const char object[] = "\"chat.completion.chunk\"";
	struct json_raw values[5], choice[3], content;
	struct json_object *words;
	int result;

	if (strcmp(name, "message") != 0 || !json_peek(data, len, keys, values) ||
	    values[0].len < 2 || *values[0].at != '[' || !is_none(values[1]) ||
	    !is_none(values[2]) || values[3].len > 0 || values[4].len != sizeof object - 1 ||
	    memcmp(values[4].at, object, values[4].len) != 0 ||
	    !json_peek(values[0].at + 1, values[0].len - 2, choice_keys, choice) ||
	    !is_none(choice[1]) || choice[2].len > 0)
		return 0;
	content = peek_content(choice[0]);
	if (content.len == 0)
		return 0;
	words = json_raw_parse(content);
	answer->finished = answer->finished && json_object_get_string_len(words) == 0;
	result = say(answer, MODEL_TEXT, json_object_get_string(words));
	json_object_put(words);
	return result < 0 ? -1 : 1;
}

/* --- what is sent back to the server --- */

/*
 * Plain-text reasoning goes back only with calls. DeepSeek requires it there, and has refused it
 * elsewhere.
 */
static struct json_object *
message_items(struct collector *answer)
{
	static const char *const thoughts[] = {"reasoning_content", "reasoning", "thinking"};
	struct json_object *more = members_take(&answer->more), *items;

	for (size_t i = 0; more && i < sizeof thoughts / sizeof *thoughts; i++)
		if (json_get_string(more, thoughts[i]))
			json_remove(more, thoughts[i]);
	if (!more || json_object_object_length(more) == 0) {
		json_object_put(more);
		return NULL;
	}
	items = history_items(answer->server, false);
	json_set(items, "message", more);
	return items;
}

static struct json_object *
call_items(struct collector *answer)
{
	struct json_object *items = history_items(answer->server, !answer->bad_arguments);
	struct json_object *more = members_take(&answer->more), *calls = json_new_array();
	bool any = false;

	if (more)
		json_set(items, "message", more);
	for (size_t i = 0; i < answer->calls_len; i++) {
		struct json_object *call = members_take(&answer->calls[i].more);
		struct json_object *function = members_take(&answer->calls[i].function_more);

		if (function && !call)
			call = json_new_object();
		if (function)
			json_set(call, "function", function);
		any |= call != NULL;
		json_add(calls, call);
	}
	if (any)
		json_set(items, "calls", calls);
	else
		json_object_put(calls);
	return items;
}

/* The stream may announce its end, or just stop after a finish reason. */
static int
read_end(struct collector *answer)
{
	bool nothing = !answer->begun && !answer->any && !answer->open && answer->calls_len == 0;
	bool calls = answer->calls_len > 0;

	if (!answer->finished && nothing)
		return 0;
	if (collector_close_message(answer, calls ? NULL : message_items(answer)) < 0 ||
	    collector_close_calls(answer) < 0)
		return -1;
	if (calls)
		answer->result->items = call_items(answer);
	answer->ended = true;
	answer->result->outcome = answer->outcome;
	return 0;
}

static bool
read_body(struct collector *answer, struct json_object *body)
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
	static const char *const foreign[] = {NULL};
	static const struct dialect dialect = {
	    "chat/completions", fill, peek, read_event, read_body, read_end, refused, foreign};

	return server_model_new(client, server, &dialect);
}
