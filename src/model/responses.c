/*
 * A model server that speaks OpenAI's Responses API: stateless, the whole history in every request,
 * the answer as a stream.
 *
 * Servers differ in which events they send. What counts is the whole item (output_item.done);
 * deltas only show it growing, and where they, or the stream, are missing, the final response has
 * it all.
 */
#include <stdarg.h>

#include "model/backend.h"
#include "util/json.h"
#include "util/log.h"
#include "util/text.h"

/* A model's answer with all its messages, or one event of it; and tokens that anybody counts. */
enum { ANSWER_MAX = 16 << 20, PARTS_MAX = 256, TOKENS_MAX = INT32_MAX };

struct responses {
	struct model model;
	struct http_client *client;
	char *url;
	char *authorization; /* the header; NULL: none */
};

/* One question on its way. */
struct question {
	const struct model_request *request;
	struct model_result *result;
	bool open;        /* a message has begun, and is not written yet */
	bool any;         /* a message has been written */
	bool ended;       /* the server has said how it ended */
	bool broken;      /* it called a function, or the answer could not be kept */
	struct buf words; /* the open message's deltas, for servers that never send the whole */
	enum model_part kind;
	size_t parts,
	    written; /* of all messages: how many, and the bytes of those that are whole */
};

static const char not_kept[] = "The answer could not be kept.";

static void __attribute__((format(printf, 2, 3)))
set_error(struct question *question, const char *format, ...)
{
	char *error = NULL, *shown = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&error, format, args) < 0)
		error = NULL;
	va_end(args);
	/* Redacted before it is cut: half a key would not be known for one. */
	if (error)
		shown = log_redact(error);
	utf8_copy(question->result->error, sizeof question->result->error,
	    shown ? shown : "out of memory");
	free(error);
	free(shown);
}

/* --- the request --- */

/*
 * One message of the history. A single text is sent as a string, the form that every server takes.
 */
static struct json_object *
input_item(struct json_object *message)
{
	struct json_object *item = json_object_new_object(),
			   *content = json_get(message, "content");
	struct buf words = BUF_INIT((size_t)-1 / 2);
	char *text;

	for (size_t i = 0; i < json_len(content); i++) {
		const char *part = model_part_words(json_at(content, i));

		if (part && words.len)
			buf_puts(&words, "\n\n");
		if (part)
			buf_puts(&words, part);
	}
	text = buf_take(&words);
	json_set_string(item, "role", json_get_string(message, "role"));
	json_set_string(item, "content", text ? text : "");
	free(text);
	return item;
}

static struct json_object *
input_items(struct json_object *messages)
{
	struct json_object *input = json_object_new_array();

	for (size_t i = 0; i < json_len(messages); i++) {
		struct json_object *item = input_item(json_at(messages, i));

		/*
		 * A message that was broken off before its first word says nothing, and servers
		 * refuse it.
		 */
		if (*json_get_string(item, "content"))
			json_add(input, item);
		else
			json_object_put(item);
	}
	return input;
}

/*
 * Function tools are flat here; hosted tools are not the model server's. NULL when there are none.
 */
static struct json_object *
flat_tools(struct json_object *tools)
{
	struct json_object *flat = NULL;

	for (size_t i = 0; i < json_len(tools); i++) {
		struct json_object *function = json_get_object(json_at(tools, i), "function"),
				   *tool;
		struct json_object *strict = json_get(function, "strict");

		if (!function)
			continue;
		tool = json_object_new_object();
		json_set_string(tool, "type", "function");
		json_set(tool, "name", json_object_get(json_get(function, "name")));
		if (json_get(function, "description"))
			json_set(tool, "description",
			    json_object_get(json_get(function, "description")));
		json_set(tool, "parameters", json_object_get(json_get(function, "parameters")));
		json_set(
		    tool, "strict", strict ? json_object_get(strict) : json_object_new_boolean(0));
		if (!flat)
			flat = json_object_new_array();
		json_add(flat, tool);
	}
	return flat;
}

/*
 * The Assistants API's {type: json_schema, json_schema: {…}} is flat here; "auto" is the default.
 */
static struct json_object *
text_format(struct json_object *response_format)
{
	struct json_object *schema = json_get_object(response_format, "json_schema");
	struct json_object *format, *text;

	if (!json_object_is_type(response_format, json_type_object))
		return NULL;
	format = json_object_new_object();
	json_set(format, "type", json_object_get(json_get(response_format, "type")));
	if (schema) {
		json_object_object_foreach(schema, name, value)
		    json_set(format, name, json_object_get(value));
	}
	text = json_object_new_object();
	json_set(text, "format", format);
	return text;
}

static struct json_object *
tool_choice(struct json_object *choice)
{
	struct json_object *function = json_get_object(choice, "function"), *flat;

	if (!function)
		return json_object_get(choice);
	flat = json_object_new_object();
	json_set_string(flat, "type", "function");
	json_set(flat, "name", json_object_get(json_get(function, "name")));
	return flat;
}

/* Sets a member unless `value`, which is taken over, is NULL: servers stumble over null. */
static void
set_if(struct json_object *body, const char *name, struct json_object *value)
{
	if (value)
		json_set(body, name, value);
}

static struct json_object *
request_body(const struct model_request *request)
{
	struct json_object *options = request->options, *body = json_object_new_object();
	struct json_object *tools = flat_tools(json_get(options, "tools"));
	const char *instructions = json_get_string(options, "instructions");
	const char *effort = json_get_string(options, "reasoning_effort");

	json_set(body, "model", json_object_get(json_get(options, "model")));
	if (instructions && *instructions)
		json_set_string(body, "instructions", instructions);
	json_set(body, "input", input_items(request->messages));
	json_set(body, "stream", json_object_new_boolean(1));
	json_set(body, "store", json_object_new_boolean(0));
	set_if(body, "temperature", json_object_get(json_get(options, "temperature")));
	set_if(body, "top_p", json_object_get(json_get(options, "top_p")));
	set_if(
	    body, "max_output_tokens", json_object_get(json_get(options, "max_completion_tokens")));
	set_if(body, "text", text_format(json_get(options, "response_format")));
	if (effort) {
		struct json_object *reasoning = json_object_new_object();

		json_set_string(reasoning, "effort", effort);
		json_set(body, "reasoning", reasoning);
	}
	if (tools) {
		json_set(body, "tools", tools);
		set_if(body, "tool_choice", tool_choice(json_get(options, "tool_choice")));
		set_if(body, "parallel_tool_calls",
		    json_object_get(json_get(options, "parallel_tool_calls")));
	}
	return body;
}

/* --- the answer --- */

static int
keep(struct question *question, int result)
{
	if (result == 0)
		return 0;
	question->broken = true;
	set_error(question, "%s", not_kept);
	return -1;
}

/* Whether so much more may be said in the open message; if not, the answer breaks off here. */
static bool
has_room(struct question *question, size_t more)
{
	if (question->parts <= PARTS_MAX && question->written + more <= ANSWER_MAX)
		return true;
	question->broken = true;
	set_error(question, "The model's answer is longer than %d MiB, or has more than %d parts.",
	    ANSWER_MAX >> 20, PARTS_MAX);
	return false;
}

static int
begin_message(struct question *question)
{
	if (question->open)
		return 0;
	question->parts++;
	if (!has_room(question, 0))
		return -1;
	question->open = true;
	buf_drop(&question->words, question->words.len);
	return keep(question, question->request->on_message(question->request->arg));
}

static int
on_delta(struct question *question, struct json_object *event, enum model_part kind)
{
	const char *delta = json_get_string(event, "delta");
	int index = (int)json_get_int(event, "content_index", 0);

	if (!delta || !*delta)
		return 0;
	if (begin_message(question) < 0 ||
	    !has_room(question, question->words.len + strlen(delta)) ||
	    keep(question, buf_puts(&question->words, delta)) < 0)
		return -1;
	question->kind = kind;
	return keep(question,
	    question->request->on_delta(
		question->request->arg, kind, index < 0 ? 0 : index, delta));
}

static int
add_part(
    struct question *question, struct json_object *content, enum model_part kind, const char *words)
{
	size_t len = strlen(words);

	/* A message's first part is the message. */
	question->parts += json_len(content) > 0;
	if (!has_room(question, len))
		return -1;
	question->written += len;
	model_add_part(content, kind, words);
	return 0;
}

/* Takes `content` over. */
static int
end_message(struct question *question, struct json_object *content)
{
	int result = keep(question, question->request->on_written(question->request->arg, content));

	json_object_put(content);
	question->open = false;
	question->any = true;
	return result;
}

/* A whole message. What no delta has shown is shown now, so that deltas always add up to it. */
static int
whole_message(struct question *question, struct json_object *item)
{
	struct json_object *parts = json_get_array(item, "content"), *content;
	bool shown = question->open && question->words.len;

	if (begin_message(question) < 0)
		return -1;
	content = json_object_new_array();
	for (size_t i = 0; i < json_len(parts); i++) {
		const char *text = json_get_string(json_at(parts, i), "text");
		const char *refusal = json_get_string(json_at(parts, i), "refusal");
		enum model_part kind = text ? MODEL_TEXT : MODEL_REFUSAL;
		const char *words = text ? text : refusal;

		if (!words)
			continue;
		if (add_part(question, content, kind, words) < 0)
			goto fail;
		if (!shown && *words &&
		    keep(question,
			question->request->on_delta(
			    question->request->arg, kind, (int)json_len(content) - 1, words)) < 0)
			goto fail;
	}
	/* The item may lack what its deltas said. */
	if (shown && json_len(content) == 0 &&
	    add_part(question, content, question->kind, question->words.data) < 0)
		goto fail;
	return end_message(question, content);
fail:
	json_object_put(content);
	return -1;
}

static int
whole_item(struct question *question, struct json_object *item)
{
	const char *type = json_get_string(item, "type");
	const char *name = json_get_string(item, "name");

	if (type && strcmp(type, "message") == 0)
		return whole_message(question, item);
	if (!type || strcmp(type, "function_call") != 0)
		return 0;
	question->broken = true;
	set_error(question,
	    "The model called the function '%.64s', and calling functions is not supported yet.",
	    name ? name : "");
	return -1;
}

/* A count that is none is as good as not told. */
static void
read_usage(struct model_result *result, struct json_object *response)
{
	struct json_object *usage = json_get_object(response, "usage");
	long long prompt = json_get_int(usage, "input_tokens", -1);
	long long completion = json_get_int(usage, "output_tokens", -1);

	if (prompt < 0 || prompt > TOKENS_MAX || completion < 0 || completion > TOKENS_MAX)
		return;
	result->prompt_tokens = prompt;
	result->completion_tokens = completion;
}

/* The words of an error in any of the forms that servers use. */
static const char *
error_words(struct json_object *object)
{
	struct json_object *error = json_get(object, "error");
	const char *words = json_get_string(error, "message");

	if (!words && json_object_is_type(error, json_type_string))
		words = json_object_get_string(error);
	if (!words)
		words = json_get_string(object, "message");
	return words ? words : "it gave no reason";
}

static int
fail(struct question *question, struct json_object *object)
{
	struct json_object *error = json_get_object(object, "error");
	const char *code = json_get_string(error ? error : object, "code");

	question->ended = true;
	question->result->outcome =
	    code && strcmp(code, "rate_limit_exceeded") == 0 ? MODEL_BUSY : MODEL_FAILED;
	set_error(question, "The model server failed: %s", error_words(object));
	return -1;
}

/* The final response, complete or not: what was not streamed stands in its output. */
static int
end_response(struct question *question, struct json_object *response)
{
	struct json_object *output = json_get_array(response, "output");
	const char *status = json_get_string(response, "status");
	const char *reason =
	    json_get_string(json_get_object(response, "incomplete_details"), "reason");

	if (status && strcmp(status, "failed") == 0)
		return fail(question, response);
	if (question->open && question->words.len) {
		struct json_object *content = json_object_new_array();

		/* There is room for it: on_delta() saw to that. */
		model_add_part(content, question->kind, question->words.data);
		if (end_message(question, content) < 0)
			return -1;
	}
	for (size_t i = 0; !question->any && i < json_len(output); i++)
		if (whole_item(question, json_at(output, i)) < 0)
			return -1;
	/* One that was announced, and never got a word. */
	if (question->open && end_message(question, json_object_new_array()) < 0)
		return -1;
	question->ended = true;
	read_usage(question->result, response);
	if (status && strcmp(status, "incomplete") == 0) {
		question->result->outcome = MODEL_INCOMPLETE;
		question->result->incomplete = reason && strcmp(reason, "content_filter") == 0
		    ? MODEL_CONTENT_FILTER
		    : MODEL_MAX_TOKENS;
	} else {
		question->result->outcome = MODEL_COMPLETED;
	}
	return 0;
}

static int
read_event(struct question *question, const char *type, struct json_object *event)
{
	struct json_object *item = json_get_object(event, "item");
	const char *item_type = json_get_string(item, "type");

	if (strcmp(type, "response.output_item.added") == 0)
		return item_type && strcmp(item_type, "message") == 0 ? begin_message(question) : 0;
	if (strcmp(type, "response.output_text.delta") == 0)
		return on_delta(question, event, MODEL_TEXT);
	if (strcmp(type, "response.refusal.delta") == 0)
		return on_delta(question, event, MODEL_REFUSAL);
	if (strcmp(type, "response.output_item.done") == 0)
		return whole_item(question, item);
	if (strcmp(type, "response.completed") == 0 || strcmp(type, "response.incomplete") == 0)
		return end_response(question, json_get_object(event, "response"));
	if (strcmp(type, "response.failed") == 0)
		return fail(question, json_get_object(event, "response"));
	if (strcmp(type, "error") == 0)
		return fail(question, event);
	return 0;
}

static int
on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct question *question = arg;
	struct json_object *event;
	const char *type;
	int result = 0;

	if (json_parse_foreign(data, len, &event) < 0) {
		question->broken = true;
		set_error(question, "The model server sent an event that is not JSON: %s", data);
		return -1;
	}
	type = json_get_string(event, "type");
	result = read_event(question, type ? type : name, event);
	json_object_put(event);
	return result < 0 ? -1 : question->ended;
}

/* An answer that was not streamed: an error, or a server that does not stream. */
static void
read_body(struct question *question, const struct http_answer *answer)
{
	const char *text = answer->body.data ? answer->body.data : "";
	struct json_object *body = NULL;
	bool is_json = json_parse_foreign(text, answer->body.len, &body) == 0;

	if (answer->status / 100 != 2) {
		bool busy = answer->status == 429 || answer->status == 503;

		question->result->outcome = busy ? MODEL_BUSY : MODEL_FAILED;
		question->result->retry_after_s = busy ? answer->retry_after_s : -1;
		set_error(question, "The model server answered %ld: %s", answer->status,
		    is_json ? error_words(body) : "not in JSON");
	} else if (is_json && json_get_array(body, "output")) {
		end_response(question, body);
	} else if (json_get(body, "error")) {
		fail(question, body);
	} else {
		set_error(question,
		    "The model server answered %.64s, which is no response of a model.",
		    *answer->content_type ? answer->content_type : "without a type");
	}
	json_object_put(body);
}

static void
read_outcome(struct question *question, enum http_outcome outcome, const struct http_answer *answer)
{
	if (question->ended || question->broken)
		return;
	switch (outcome) {
	case HTTP_ANSWERED:
		if (answer->streamed)
			set_error(
			    question, "The model server's stream ended before its answer did.");
		else
			read_body(question, answer);
		return;
	case HTTP_INTERRUPTED:
		question->result->outcome = MODEL_INTERRUPTED;
		return;
	case HTTP_SILENT:
		question->result->outcome = MODEL_SILENT;
		set_error(question, "The model server did not answer in time.");
		return;
	default:
		if (answer->status)
			set_error(question, "The model server answered %ld, and then: %s",
			    answer->status, answer->detail);
		else
			set_error(
			    question, "The model server could not be asked: %s", answer->detail);
	}
}

static void
responses_ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	struct responses *self = (struct responses *)model;
	struct json_object *body = request_body(request);
	struct question question = {
	    .request = request, .result = result, .words = BUF_INIT(ANSWER_MAX)};
	const char *headers[] = {
	    "Accept: text/event-stream, application/json", self->authorization, NULL};
	struct http_call call = {
	    .method = "POST",
	    .url = self->url,
	    .headers = headers,
	    .body = json_text(body),
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = request->timeout_ms,
	    .on_event = on_event,
	    .event_arg = &question,
	    .interrupt = request->interrupt,
	};
	struct http_answer answer;
	enum http_outcome outcome = http_client_call(self->client, &call, &answer);

	read_outcome(&question, outcome, &answer);
	http_answer_free(&answer);
	buf_free(&question.words);
	json_object_put(body);
}

static void
responses_free(struct model *model)
{
	struct responses *self = (struct responses *)model;

	if (self->authorization)
		explicit_bzero(self->authorization, strlen(self->authorization));
	free(self->authorization);
	free(self->url);
	free(self);
}

struct model *
model_responses_new(struct http_client *client, const struct model_server *server)
{
	struct responses *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->model = (struct model){.ask = responses_ask, .free = responses_free};
	self->client = client;
	if (asprintf(&self->url, "%s/responses", server->base_url) < 0)
		self->url = NULL;
	if (server->api_key &&
	    asprintf(&self->authorization, "Authorization: Bearer %s", server->api_key) < 0)
		self->authorization = NULL;
	if (self->url && (self->authorization || !server->api_key))
		return &self->model;
	responses_free(&self->model);
	return NULL;
}
