/*
 * OpenAI's Responses API: stateless, with the whole history in each request, and the answer as a
 * stream.
 *
 * Servers differ in the events that they send. What counts is the whole item (output_item.done);
 * deltas only show it growing. If they, or the stream, are missing, the final response has
 * everything.
 *
 * A model's reasoning comes as items that only its server can read. They are stored as {server,
 * list}, with the message or the calls that followed, and go back to that server alone.
 */
#include "model/http_model.h"
#include "text/json.h"
#include "text/memory.h"

static const struct refused refused[] = {
    /* A server with another key cannot read items encrypted for the old one. */
    {"invalid_encrypted_content", NEED_NOTHING_MORE, true},
    {"could not be verified", NEED_NOTHING_MORE, true},
    {"reasoning' was provided without", NEED_NOTHING_MORE, true},
    {"'include'", NEED_NO_INCLUDE, false},
    {"encrypted content is not", NEED_NO_INCLUDE, false},
    {"encrypted_content is not", NEED_NO_INCLUDE, false},
    {"'store'", NEED_NO_STORE, false},
    {"parameter: store", NEED_NO_STORE, false},
    {"max_output_tokens", NEED_NO_LIMIT, false},
    {"text.format", NEED_NO_FORMAT, false},
    {"json_schema", NEED_NO_FORMAT, false},
    {"response_format", NEED_NO_FORMAT, false},
    {"reasoning.effort", NEED_NO_EFFORT, false},
    {"'reasoning'", NEED_NO_EFFORT, false},
    {0},
};

/* --- the request --- */

/* The call that the item stands for, in its present form; NULL: none of these. */
static struct json_object *
call_of_item(struct json_object *calls, struct json_object *item)
{
	const char *call_id = json_get_string(item, "call_id");

	for (size_t i = 0; call_id && i < json_len(calls); i++)
		if (json_is(json_at(calls, i), "came_as", call_id))
			return json_at(calls, i);
	return NULL;
}

/* The item, with history.h's form of the call. */
static struct json_object *
told_item(struct json_object *item, struct json_object *call)
{
	struct json_object *told;

	if (!call)
		return json_object_get(item);
	told = json_new_object();
	json_object_object_foreach(item, name, value)
	{
		json_set(told, name, json_object_get(value));
	}
	json_set(told, "call_id", json_object_get(json_get(call, "id")));
	json_set(told, "name", json_object_get(json_get(call, "name")));
	json_set(told, "arguments", json_object_get(json_get(call, "arguments")));
	return told;
}

/* Sends back what the server itself sent. False: there is nothing like that. */
static bool
add_items(struct json_object *input, const struct model_entry *entry)
{
	struct json_object *list = json_get_array(entry->items, "list");
	struct json_object *calls = entry->kind == MODEL_CALLS ? entry->content : NULL;

	for (size_t i = 0; i < json_len(list); i++)
		json_add(input, told_item(json_at(list, i), call_of_item(calls, json_at(list, i))));
	return list;
}

/* A user's text and images. */
static struct json_object *
input_parts(struct json_object *content)
{
	struct json_object *parts = json_new_array();

	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *image = json_get_object(json_at(content, i), "image_url");
		const char *words = model_part_words(json_at(content, i));
		const char *detail = json_get_string(image, "detail");
		struct json_object *part;

		if (!image && !words)
			continue;
		part = json_new_object();
		json_set_string(part, "type", image ? "input_image" : "input_text");
		if (image) {
			server_set(part, "image_url", json_object_get(json_get(image, "url")));
			json_set_string(part, "detail", detail ? detail : "auto");
		} else {
			json_set_string(part, "text", words);
		}
		json_add(parts, part);
	}
	return parts;
}

static void
add_words(struct json_object *input, const struct model_entry *entry)
{
	struct buf item = BUF_INIT(INT32_MAX);

	buf_printf(
	    &item, "{\"type\":\"message\",\"role\":\"%s\",\"content\":", model_roles[entry->kind]);
	buf_append(&item, json_object_get_string(entry->content),
	    (size_t)json_object_get_string_len(entry->content));
	buf_puts(&item, "}");
	if (item.failed)
		memory_fail();
	else
		json_add(input, json_literal(item.data, item.len));
	buf_free(&item);
}

/* Pure text is sent as a string, the form that every server accepts. */
static void
add_message(struct json_object *input, const struct model_entry *entry)
{
	struct json_object *item;
	char *words;

	if (model_is_words(entry->content)) {
		add_words(input, entry);
		return;
	}
	item = json_new_object();
	words = model_words(entry->content);
	json_set_string(item, "type", "message");
	json_set_string(item, "role", model_roles[entry->kind]);
	if (model_has_image(entry->content))
		json_set(item, "content", input_parts(entry->content));
	else
		json_set_string(item, "content", words);
	json_add(input, item);
	free(words);
}

static void
add_calls(struct json_object *input, struct json_object *calls, bool outputs)
{
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *call = json_at(calls, i), *item = json_new_object();

		json_set_string(item, "type", outputs ? "function_call_output" : "function_call");
		json_set(item, "call_id", json_object_get(json_get(call, "id")));
		if (outputs) {
			json_set(item, "output", json_object_get(json_get(call, "output")));
		} else {
			json_set(item, "name", json_object_get(json_get(call, "name")));
			json_set(item, "arguments", json_object_get(json_get(call, "arguments")));
		}
		json_add(input, item);
	}
}

static struct json_object *
input_items(const struct model_context *told)
{
	struct json_object *input = json_new_array();

	for (size_t i = 0; i < told->len; i++) {
		const struct model_entry *entry = &told->entries[i];
		bool calls = entry->kind == MODEL_CALLS, own = add_items(input, entry);

		if (calls && !own)
			add_calls(input, entry->content, false);
		if (calls)
			add_calls(input, entry->content, true);
		else if (!own)
			add_message(input, entry);
	}
	return input;
}

/* The schema of a function without parameters. */
static struct json_object *
no_parameters(void)
{
	struct json_object *parameters = json_new_object();

	json_set_string(parameters, "type", "object");
	json_set(parameters, "properties", json_new_object());
	return parameters;
}

/*
 * Function tools are flat in this API. Without hosted tools, which the model server does not know.
 * NULL: none is left.
 */
static struct json_object *
flat_tools(struct json_object *tools, unsigned needs)
{
	struct json_object *flat = NULL;

	for (size_t i = 0; i < json_len(tools); i++) {
		struct json_object *function = json_get_object(json_at(tools, i), "function");
		struct json_object *parameters = json_get_object(function, "parameters");
		struct json_object *strict = json_get(function, "strict"), *tool;

		if (!function)
			continue;
		tool = json_new_object();
		json_set_string(tool, "type", "function");
		json_set(tool, "name", json_object_get(json_get(function, "name")));
		server_set(tool, "description", json_object_get(json_get(function, "description")));
		json_set(
		    tool, "parameters", parameters ? json_object_get(parameters) : no_parameters());
		if (!(needs & NEED_NO_STRICT))
			json_set(
			    tool, "strict", strict ? json_object_get(strict) : json_new_bool(0));
		if (!flat)
			flat = json_new_array();
		json_add(flat, tool);
	}
	return flat;
}

/*
 * The Assistants API's {type: json_schema, json_schema: {…}} is flat in this API; "auto" is the
 * default.
 */
static struct json_object *
text_format(struct json_object *response_format)
{
	struct json_object *schema = json_get_object(response_format, "json_schema");
	struct json_object *format, *text;

	if (!json_object_is_type(response_format, json_type_object))
		return NULL;
	format = json_new_object();
	json_set(format, "type", json_object_get(json_get(response_format, "type")));
	if (schema) {
		json_object_object_foreach(schema, name, value)
		    json_set(format, name, json_object_get(value));
	}
	text = json_new_object();
	json_set(text, "format", format);
	return text;
}

/* The choice to send: none for "auto" or for a hosted tool. */
static struct json_object *
tool_choice(struct json_object *choice)
{
	struct json_object *function = json_get_object(choice, "function"), *flat;

	if (!function)
		return server_tool_choice(choice);
	flat = json_new_object();
	json_set_string(flat, "type", "function");
	json_set(flat, "name", json_object_get(json_get(function, "name")));
	return flat;
}

static struct json_object *
array_of(const char *text)
{
	struct json_object *array = json_new_array();

	json_add(array, json_new_string(text));
	return array;
}

static void
fill_tools(struct json_object *body, struct json_object *options, unsigned needs)
{
	struct json_object *tools =
	    needs & NEED_NO_TOOLS ? NULL : flat_tools(json_get(options, "tools"), needs);

	if (!tools)
		return;
	json_set(body, "tools", tools);
	if (!(needs & NEED_NO_CHOICE))
		server_set(body, "tool_choice", tool_choice(json_get(options, "tool_choice")));
	if (!(needs & NEED_NO_PARALLEL))
		server_set(body, "parallel_tool_calls", server_parallel(options));
}

static void
fill(struct json_object *body, const struct model_request *request, const struct history *history,
    unsigned needs)
{
	const char *effort = json_get_string(request->options, "reasoning_effort");

	if (history->instructions)
		json_set_string(body, "instructions", history->instructions);
	json_set(body, "input", input_items(&history->told));
	json_set(body, "stream", json_new_bool(!(needs & NEED_NO_STREAM)));
	if (!(needs & NEED_NO_STORE))
		json_set(body, "store", json_new_bool(0));
	if (!(needs & NEED_NO_INCLUDE))
		json_set(body, "include", array_of("reasoning.encrypted_content"));
	server_set_option(body, request, "temperature", needs & NEED_NO_TEMPERATURE);
	server_set_option(body, request, "top_p", needs & NEED_NO_TOP_P);
	if (request->max_output_tokens && !(needs & NEED_NO_LIMIT))
		json_set_int(body, "max_output_tokens", request->max_output_tokens);
	if (!(needs & NEED_NO_FORMAT))
		server_set(
		    body, "text", text_format(json_get(request->options, "response_format")));
	if (effort && !(needs & NEED_NO_EFFORT)) {
		struct json_object *reasoning = json_new_object();

		json_set_string(reasoning, "effort", effort);
		json_set(body, "reasoning", reasoning);
	}
	fill_tools(body, request->options, needs);
}

/* --- what is sent back to the server --- */

static bool
is_type(struct json_object *item, const char *expected)
{
	const char *type = json_get_string(item, "type");

	return type && strcmp(type, expected) == 0;
}

static void
remember(struct collector *answer, struct json_object *item)
{
	if (!answer->items)
		answer->items = json_new_array();
	json_add(answer->items, json_object_get(item));
}

/*
 * Reasoning whose content is not in the item is dropped: the server may have kept it, but a later
 * request cannot refer to it.
 */
static int
whole_reasoning(struct collector *answer, struct json_object *item)
{
	const char *sealed = json_get_string(item, "encrypted_content");

	if (!(sealed && *sealed) && json_len(json_get_array(item, "content")) == 0)
		return 0;
	remember(answer, item);
	return collector_add_size(answer, strlen(json_text(item)));
}

/* Whether the item says more than a message or a call made from our own data would. */
static bool
says_more(struct json_object *item)
{
	static const char *const known[] = {"id", "type", "status", "role", "content", "call_id",
	    "name", "arguments", "output_index"};
	size_t known_len = 0;

	if (is_type(item, "reasoning"))
		return true;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		known_len += json_object_object_get_ex(item, known[i], NULL);
	return json_object_object_length(item) > (int)known_len;
}

/* The items since the last call. NULL: the messages and calls say as much. */
static struct json_object *
take_list(struct collector *answer)
{
	struct json_object *list = answer->items;
	bool more = false;

	for (size_t i = 0; i < json_len(list); i++)
		more |= says_more(json_at(list, i));
	answer->items = NULL;
	if (more)
		return list;
	json_object_put(list);
	return NULL;
}

static struct json_object *
take_items(struct collector *answer)
{
	struct json_object *list = take_list(answer), *items;

	if (!list)
		return NULL;
	items = history_items(answer->server, false);
	json_set(items, "list", list);
	return items;
}

/*
 * The items for calls. They count only if every call is among them; otherwise outputs would have no
 * call.
 */
static struct json_object *
take_call_items(struct collector *answer)
{
	struct json_object *items, *list;
	size_t calls = 0;

	if (answer->calls_len == 0)
		return NULL;
	for (size_t i = 0; i < json_len(answer->items); i++)
		calls += is_type(json_at(answer->items, i), "function_call");
	items = history_items(answer->server, !answer->bad_arguments);
	list = calls == answer->calls_len ? take_list(answer) : NULL;
	if (list)
		json_set(items, "list", list);
	return items;
}

/* --- the answer: messages --- */

static int
tell_delta(struct collector *answer, enum model_part kind, const char *delta, long long index)
{
	return collector_delta(answer, kind, index < 0 ? 0 : (int)index, delta);
}

static int
on_delta(struct collector *answer, struct json_object *event, enum model_part kind)
{
	return tell_delta(
	    answer, kind, json_get_string(event, "delta"), json_get_int(event, "content_index", 0));
}

/* Adds the item's parts to `content`, and shows them unless deltas have. */
static int
read_parts(struct collector *answer, struct json_object *item, struct json_object *content)
{
	const struct model_request *request = answer->request;
	struct json_object *parts = json_get_array(item, "content");
	bool shown = answer->words.len > 0;

	for (size_t i = 0; i < json_len(parts); i++) {
		struct json_object *part = json_at(parts, i);
		const char *text = json_get_string(part, "text");
		const char *refusal = json_get_string(part, "refusal");
		enum model_part kind = text ? MODEL_TEXT : MODEL_REFUSAL;
		const char *words = text ? text : refusal;
		int index = (int)json_len(content);

		if (!words)
			continue;
		if (i == 0 && text && collector_skip_thoughts(answer, text) != text) {
			json_set_string(part, "text", collector_skip_thoughts(answer, text));
			words = json_get_string(part, "text");
		}
		if (collector_add_part(answer, content, kind, words) < 0)
			return -1;
		if (!shown && *words &&
		    collector_keep(answer, request->on_delta(request->arg, kind, index, words)) < 0)
			return -1;
	}
	return 0;
}

/* Handles a whole message. Shows what no delta has shown, so that deltas always add up to it. */
static int
whole_message(struct collector *answer, struct json_object *item)
{
	struct json_object *content;

	if (collector_is_late(answer))
		return 0;
	if (collector_begin_message(answer) < 0)
		return -1;
	content = json_new_array();
	if (read_parts(answer, item, content) < 0) {
		json_object_put(content);
		return -1;
	}
	/* Some servers leave out of the item what was in its deltas. */
	if (json_len(content) == 0) {
		json_object_put(content);
		return collector_close_message(answer, NULL);
	}
	thoughts_end(&answer->thoughts);
	remember(answer, item);
	return collector_end_message(answer, content, take_items(answer));
}

/* --- the answer: calls --- */

/* Finds the call by whatever the server names it, because servers leave members out. NULL: none. */
static struct collector_call *
find_call(struct collector *answer, const char *call_id, const char *key, long long place)
{
	struct collector_call *by_key = NULL, *by_place = NULL;

	for (size_t i = 0; i < answer->calls_len; i++) {
		struct collector_call *call = &answer->calls[i];

		/* Some servers give two calls of one answer the same id. */
		if (call_id && *call_id && call->id && strcmp(call->id, call_id) == 0 &&
		    !(call->whole && place >= 0 && call->place >= 0 && call->place != place))
			return call;
		if (key && *key && strcmp(call->key, key) == 0)
			by_key = call;
		if (place >= 0 && call->place == place)
			by_place = call;
	}
	return by_key ? by_key : by_place;
}

static struct collector_call *
begin_call(struct collector *answer, long long place, struct json_object *item)
{
	const char *name = json_get_string(item, "name");
	struct collector_call *call =
	    collector_begin_call(answer, json_get_string(item, "id"), place);

	if (call && name && *name &&
	    collector_name_call(answer, call, json_get_string(item, "call_id"), name) < 0)
		return NULL;
	return call;
}

static int
call_delta(struct collector *answer, long long place, struct json_object *event)
{
	const char *delta = json_get_string(event, "delta");
	const char *key = json_get_string(event, "item_id");
	struct collector_call *call = find_call(answer, NULL, key, place);

	if (!call && answer->calls_len > 0)
		call = &answer->calls[answer->calls_len - 1];
	return call && delta ? collector_call_delta(answer, call, delta) : 0;
}

static int
whole_call(struct collector *answer, long long place, struct json_object *item)
{
	const char *call_id = json_get_string(item, "call_id");
	const char *name = json_get_string(item, "name");
	struct collector_call *call =
	    find_call(answer, call_id, json_get_string(item, "id"), place);
	struct json_object *arguments;

	if (!call)
		call = begin_call(answer, place, item);
	if (!call)
		return -1;
	if (call->whole)
		return 0;
	if (name && *name && collector_name_call(answer, call, call_id, name) < 0)
		return -1;
	/* Some servers send an object. */
	arguments = json_get(item, "arguments");
	if (collector_end_call(answer, call,
		json_object_is_type(arguments, json_type_object)
		    ? json_text(arguments)
		    : json_get_string(item, "arguments")) < 0)
		return -1;
	json_set_string(item, "call_id", call->id);
	remember(answer, item);
	return 0;
}

/* --- the whole answer --- */

static int
whole_item(struct collector *answer, long long place, struct json_object *item)
{
	if (is_type(item, "message"))
		return whole_message(answer, item);
	if (is_type(item, "function_call"))
		return whole_call(answer, place, item);
	return is_type(item, "reasoning") ? whole_reasoning(answer, item) : 0;
}

static int
item_added(struct collector *answer, long long place, struct json_object *item)
{
	answer->begun = true;
	if (is_type(item, "message"))
		return collector_is_late(answer) ? 0 : collector_begin_message(answer);
	if (is_type(item, "function_call"))
		return begin_call(answer, place, item) ? 0 : -1;
	return 0;
}

static bool
has_open_call(const struct collector *answer)
{
	for (size_t i = 0; i < answer->calls_len; i++)
		if (!answer->calls[i].whole)
			return true;
	return false;
}

/* Takes from the final response whatever was not streamed, or not to its end. */
static int
read_output(struct collector *answer, struct json_object *output)
{
	bool all, calls;

	/* Including what was held back of it. */
	if ((answer->words.len || thoughts_hold(&answer->thoughts)) &&
	    collector_close_message(answer, NULL) < 0)
		return -1;
	all = !answer->any && answer->calls_len == 0;
	calls = answer->calls_len == 0 || has_open_call(answer);
	for (size_t i = 0; i < json_len(output); i++) {
		struct json_object *item = json_at(output, i);

		if ((all || (calls && is_type(item, "function_call"))) &&
		    whole_item(answer, (long long)i, item) < 0)
			return -1;
	}
	/* A message that was announced, but never got any text. */
	if (collector_close_message(answer, NULL) < 0)
		return -1;
	return collector_close_calls(answer);
}

static const struct usage_names usage_names = {
    "input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"};

/* Handles the final response, complete or not. */
static int
end_response(struct collector *answer, struct json_object *response)
{
	const char *status = json_get_string(response, "status");
	const char *reason =
	    json_get_string(json_get_object(response, "incomplete_details"), "reason");
	struct model_result *result = answer->result;

	if (status && strcmp(status, "failed") == 0)
		return server_error(answer, response);
	if (status && strcmp(status, "completed") != 0 && strcmp(status, "incomplete") != 0)
		return collector_break(
		    answer, "The model server ended the response as %.64s.", status);
	if (read_output(answer, json_get_array(response, "output")) < 0)
		return -1;
	answer->ended = true;
	result->items = take_call_items(answer);
	server_read_usage(answer, json_get_object(response, "usage"), &usage_names);
	if (status && strcmp(status, "incomplete") == 0) {
		result->outcome = MODEL_INCOMPLETE;
		result->incomplete = reason && strcmp(reason, "content_filter") == 0
		    ? MODEL_CONTENT_FILTER
		    : MODEL_MAX_TOKENS;
	} else {
		result->outcome = MODEL_COMPLETED;
	}
	return 0;
}

static const char text_delta[] = "response.output_text.delta";

/* The events to be parsed. The others, half of a stream, only repeat what these say. */
static bool
is_parsed(const char *name)
{
	static const char *const parsed[] = {"output_item.added", "refusal.delta",
	    "function_call_arguments.delta", "output_item.done", "incomplete", "failed"};

	if (strncmp(name, "response.", 9) != 0)
		return true;
	for (size_t i = 0; i < sizeof parsed / sizeof *parsed; i++)
		if (strcmp(name + 9, parsed[i]) == 0)
			return true;
	return false;
}

static bool
is_word(struct json_object *value, const char *word)
{
	return json_object_is_type(value, json_type_string) &&
	    strcmp(json_object_get_string(value), word) == 0;
}

static int
tell_peeked(struct collector *answer, struct json_raw raw_delta, struct json_raw raw_index)
{
	struct json_object *delta = json_raw_parse(raw_delta), *index = json_raw_parse(raw_index);
	const char *words =
	    json_object_is_type(delta, json_type_string) ? json_object_get_string(delta) : NULL;
	long long place =
	    json_object_is_type(index, json_type_int) ? json_object_get_int64(index) : 0;
	int result = tell_delta(answer, MODEL_TEXT, words, place);

	json_object_put(delta);
	json_object_put(index);
	return result;
}

/* The members that count. NULL: parse it all, because it reports a failure, or is no JSON. */
static struct json_object *
peek_response(struct json_raw raw)
{
	static const char *const keys[] = {"status", "incomplete_details", "output", "usage", NULL};
	struct json_object *response = json_new_object(), *value;
	struct json_raw values[4];
	bool good = json_peek(raw.at, raw.len, keys, values);

	for (size_t i = 0; good && keys[i]; i++) {
		value = json_raw_parse(values[i]);
		good = value || values[i].len == 0 || *values[i].at == 'n';
		json_set(response, keys[i], value);
	}
	if (good && !is_word(json_get(response, "status"), "failed"))
		return response;
	json_object_put(response);
	return NULL;
}

/* The final response also repeats the whole question, which is skipped here. */
static int
end_peeked(struct collector *answer, struct json_raw raw)
{
	struct json_object *response = peek_response(raw);
	int result;

	if (!response)
		return 0;
	result = end_response(answer, response);
	json_object_put(response);
	return result < 0 ? -1 : 1;
}

/* Most events are deltas, which need not be parsed as a whole. */
static int
peek(struct collector *answer, const char *name, const char *data, size_t len)
{
	static const char *const keys[] = {"type", "delta", "content_index", "response", NULL};
	struct json_object *type;
	struct json_raw values[4];
	bool as_named;

	if (is_parsed(name) || !json_peek(data, len, keys, values))
		return 0;
	/* The type in the data counts, not the event's name. */
	type = json_raw_parse(values[0]);
	as_named = is_word(type, name);
	json_object_put(type);
	if (!as_named)
		return 0;
	if (strcmp(name, "response.completed") == 0)
		return values[3].len ? end_peeked(answer, values[3]) : 0;
	if (strcmp(name, text_delta) != 0)
		return 1;
	return tell_peeked(answer, values[1], values[2]) < 0 ? -1 : 1;
}

static int
read_event(struct collector *answer, const char *type, struct json_object *event)
{
	struct json_object *item = json_get_object(event, "item");
	long long place = json_get_int(event, "output_index", -1);

	if (strcmp(type, "response.output_item.added") == 0)
		return item_added(answer, place, item);
	if (strcmp(type, "response.output_text.delta") == 0)
		return on_delta(answer, event, MODEL_TEXT);
	if (strcmp(type, "response.refusal.delta") == 0)
		return on_delta(answer, event, MODEL_REFUSAL);
	if (strcmp(type, "response.function_call_arguments.delta") == 0)
		return call_delta(answer, place, event);
	if (strcmp(type, "response.output_item.done") == 0)
		return whole_item(answer, place, item);
	if (strcmp(type, "response.completed") == 0 || strcmp(type, "response.incomplete") == 0)
		return end_response(answer, json_get_object(event, "response"));
	if (strcmp(type, "response.failed") == 0)
		return server_error(answer, json_get_object(event, "response"));
	if (strcmp(type, "error") == 0)
		return server_error(answer, event);
	return 0;
}

static bool
read_body(struct collector *answer, struct json_object *body)
{
	if (!json_get_array(body, "output"))
		return false;
	end_response(answer, body);
	return true;
}

/* The answer's end is an event, so there is nothing to do. */
static int
read_end(struct collector *answer)
{
	(void)answer;
	return 0;
}

struct model *
model_responses_new(struct http_client *client, const struct model_server *server)
{
	/* The third is also what a server with only Chat Completions says. */
	static const char *const foreign[] = {"responses api", "/responses", "'messages'", NULL};
	static const struct dialect dialect = {
	    "responses", fill, peek, read_event, read_body, read_end, refused, foreign};

	return server_model_new(client, server, &dialect);
}
