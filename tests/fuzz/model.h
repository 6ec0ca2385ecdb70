/*
 * A model server's answers, for the fuzz programs of both APIs. What the callbacks get is complete
 * and in order, and the outcome is described in words that can be stored.
 *
 * Input: a character for how the call ended, one for the status, one for the length of the stream's
 * pieces, one for the callback that fails (0: none); then the stream, or the body.
 */
#ifndef MODEL_H
#define MODEL_H

#include "support.h"

#include "../unit/contexts.h"
#include "model/model.h"
#include "obs/log.h"
#include "os/clock.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

enum { HEADER_LEN = 4, WORDS_MAX = 1 << 20, CALLS_MAX = 128, REQUESTS_MAX = 32 };

static const char secret[] = "fuzz-secret";

struct heard;

/* What the server does, from the input. */
struct script {
	enum http_outcome outcome;
	bool streams;
	long status;
	size_t piece;
	const char *bytes;
	size_t len;
	const struct http_call *call; /* during the call */
	int requests;
	const struct heard *heard;
	struct buf told; /* deltas since the last whole message */
	bool calls;      /* there may have been calls, after which text may be left out */
};

/* What the callbacks received. */
struct heard {
	struct script *script;
	unsigned left; /* callbacks until the one that fails; 0: none */
	bool failed, open, any;
	struct buf deltas;
	char *ids[CALLS_MAX];
	bool whole[CALLS_MAX];
	int calls;
};

/* --- replaces net/http_client.c --- */

struct http_client {
	struct script *script;
};

/* Defined by each API: adds an event's text to what must be reported. */
static void note_event(struct script *script, const char *type, struct json_object *event);

static int
pass_event(void *arg, const char *event, const char *data, size_t len)
{
	struct script *script = arg;
	struct json_object *object;
	const char *type;

	if (json_parse_foreign(data, len, &object) == 0) {
		type = json_get_string(object, "type");
		note_event(script, type ? type : event, object);
		json_object_put(object);
	}
	return script->call->on_event(script->call->event_arg, event, data, len);
}

/* Like the real one: above 0 that was the last event, below 0 the call is stopped. */
static enum http_outcome
stream(struct script *script)
{
	enum http_outcome outcome = script->outcome;
	struct sse sse;
	int result = 0;

	sse_init(&sse, script->call->answer_max);
	for (size_t at = 0; result == 0 && at < script->len; at += script->piece) {
		size_t left = script->len - at;

		result = sse_feed(&sse, script->bytes + at,
		    left < script->piece ? left : script->piece, pass_event, script);
	}
	if (result != 0)
		outcome = result > 0 ? HTTP_ANSWERED : HTTP_STOPPED;
	sse_free(&sse);
	return outcome;
}

enum http_outcome
http_client_call(
    struct http_client *client, const struct http_call *call, struct http_answer *answer)
{
	struct script *script = client->script;
	struct json_object *body;

	/* Each form is tried once, and none after an answer has begun. */
	CHECK(++script->requests <= REQUESTS_MAX && !script->heard->any);
	CHECK(json_parse(call->body, strlen(call->body), &body) == 0);
	json_object_put(body);
	*answer = (struct http_answer){
	    .status = script->status, .body = BUF_INIT(call->answer_max), .retry_after_s = 7};
	snprintf(answer->detail, sizeof answer->detail, "the detail");
	script->call = call;
	if (script->streams && script->status / 100 == 2) {
		answer->streamed = true;
		return stream(script);
	}
	snprintf(answer->content_type, sizeof answer->content_type, "application/json");
	buf_append(&answer->body, script->bytes, script->len);
	return script->outcome;
}

void
http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
}

bool
http_url_is_private(const char *url, bool resolve)
{
	(void)url;
	return resolve;
}

const char *
http_outcome_strerror(enum http_outcome outcome)
{
	CHECK(outcome < HTTP__MAX);
	return "the outcome";
}

void
http_count_failure(const char *upstream, enum http_outcome outcome, long status)
{
	CHECK(strcmp(upstream, "model") == 0 && outcome < HTTP__MAX && status >= 0);
}

/* --- the callbacks --- */

/* After a callback that failed there is no other. */
static int
count(struct heard *heard)
{
	CHECK(!heard->failed);
	heard->failed = heard->left > 0 && --heard->left == 0;
	return heard->failed ? -1 : 0;
}

static int
on_message(void *arg)
{
	struct heard *heard = arg;

	CHECK(!heard->open && heard->calls == 0);
	heard->open = heard->any = true;
	buf_drop(&heard->deltas, heard->deltas.len);
	return count(heard);
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	struct heard *heard = arg;

	CHECK(heard->open);
	CHECK(kind == MODEL_TEXT || kind == MODEL_REFUSAL);
	CHECK(index >= 0);
	CHECK(*words && utf8_valid(words, strlen(words)));
	buf_puts(&heard->deltas, words);
	return count(heard);
}

/*
 * All text was reported, except for blanks before the first word. Reasoning has no test here, see
 * test_thoughts.c.
 */
static void
check_deltas(const struct buf *deltas, const struct buf *expected)
{
	size_t blanks = expected->len - deltas->len;
	char *before;

	if (expected->data && strpbrk(expected->data, "<["))
		return;
	CHECK(deltas->len <= expected->len);
	before = strndup(expected->data ? expected->data : "", blanks);
	CHECK(before && text_is_blank(before));
	CHECK(deltas->len == 0 || memcmp(deltas->data, expected->data + blanks, deltas->len) == 0);
	free(before);
}

static int
on_written(void *arg, struct json_object *content, struct json_object *items)
{
	struct heard *heard = arg;
	struct buf words = BUF_INIT(WORDS_MAX), *expected;

	CHECK(heard->open);
	CHECK(json_object_is_type(content, json_type_array));
	CHECK(!items || json_len(json_get_array(items, "list")) > 0 ||
	    json_get_object(items, "message"));
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *text = json_get_string(json_get_object(part, "text"), "value");

		text = text ? text : json_get_string(part, "refusal");
		CHECK(text && json_get_string(part, "type"));
		buf_puts(&words, text);
	}
	/* A server may send another text at the end than in its deltas: both are passed on. */
	expected = heard->script->told.len > 0 ? &heard->script->told : &words;
	if (!heard->script->calls)
		check_deltas(&heard->deltas, expected);
	buf_drop(&heard->script->told, heard->script->told.len);
	buf_free(&words);
	heard->open = false;
	return count(heard);
}

static int
on_call(void *arg, int index, const char *id, const char *name)
{
	struct heard *heard = arg;

	CHECK(!heard->open && index == heard->calls && index < CALLS_MAX);
	CHECK(*id && *name && utf8_valid(id, strlen(id)) && utf8_valid(name, strlen(name)));
	for (int i = 0; i < index; i++)
		CHECK(strcmp(heard->ids[i], id) != 0);
	heard->ids[heard->calls++] = strdup(id);
	heard->any = true;
	return count(heard);
}

static int
on_arguments(void *arg, int index, const char *fragment)
{
	struct heard *heard = arg;

	CHECK(index >= 0 && index < heard->calls && !heard->whole[index]);
	CHECK(*fragment && utf8_valid(fragment, strlen(fragment)));
	return count(heard);
}

static int
on_called(void *arg, int index, const char *arguments)
{
	struct heard *heard = arg;

	CHECK(index >= 0 && index < heard->calls && !heard->whole[index]);
	CHECK(*arguments && utf8_valid(arguments, strlen(arguments)));
	heard->whole[index] = true;
	return count(heard);
}

/* --- the question --- */

/* Defined by each API. */
static struct model *new_model(struct http_client *client, const struct model_server *server);

static struct http_client client;
static struct json_object *options;
static struct model_context context;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char options_text[] =
	    "{\"model\":\"m\",\"instructions\":\"i\",\"temperature\":1,\"reasoning_effort\":"
	    "\"low\","
	    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}},"
	    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
	    "\"parallel_tool_calls\":false}";
	static const char context_text[] =
	    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":{\"value\":\"Hello\"}}]},"
	    "{\"calls\":[{\"id\":\"call_a\",\"name\":\"f\",\"arguments\":\"{}\",\"output\":\"1\"}]}"
	    "]";
	struct json_object *entries;

	(void)argc;
	(void)argv;
	CHECK(log_add_secret(secret) == 0);
	CHECK(json_parse(options_text, sizeof options_text - 1, &options) == 0);
	CHECK(json_parse(context_text, sizeof context_text - 1, &entries) == 0);
	context = context_of_json(entries);
	json_object_put(entries);
	return 0;
}

static void
check_result(const struct model_result *result, const struct heard *heard)
{
	bool done = result->outcome == MODEL_COMPLETED || result->outcome == MODEL_INCOMPLETE;
	long long total;

	CHECK(result->outcome < MODEL__MAX);
	CHECK(!done || (!heard->open && !heard->failed));
	for (int i = 0; i < heard->calls; i++)
		CHECK(!done || heard->whole[i]);
	CHECK(result->outcome != MODEL_TOO_LONG || !heard->any);
	CHECK(!result->items || (done && heard->calls && json_get_string(result->items, "server")));
	CHECK(!heard->failed || result->outcome == MODEL_FAILED);
	CHECK((result->prompt_tokens < 0) == (result->completion_tokens < 0));
	CHECK(!__builtin_add_overflow(result->prompt_tokens, result->completion_tokens, &total));
	CHECK(result->outcome == MODEL_BUSY || result->retry_after_s == -1);
	CHECK(memchr(result->error, '\0', sizeof result->error));
	CHECK(utf8_valid(result->error, strlen(result->error)));
	CHECK(!strstr(result->error, secret));
	CHECK(done || result->outcome == MODEL_INTERRUPTED || *result->error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = {200, 201, 400, 401, 404, 429, 500, 503, 0};
	struct script script = {.outcome = HTTP_ANSWERED, .told = BUF_INIT(WORDS_MAX)};
	struct heard heard = {.script = &script, .deltas = BUF_INIT(WORDS_MAX)};
	const struct model_server server = {.base_url = "http://model/v1", .api_key = secret};
	const struct model_request request = {
	    .options = options,
	    .context = &context,
	    .max_output_tokens = 9,
	    .deadline_ms = clock_ms() + 1000,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	    .on_call = on_call,
	    .on_arguments = on_arguments,
	    .on_called = on_called,
	    .arg = &heard,
	};
	struct model_result result;
	struct model *model;

	if (size < HEADER_LEN)
		return 0;
	/* 0: a stream, 1: a body; others end in the middle, in different ways. */
	script.streams = data[0] != '1';
	if (data[0] != '0' && data[0] != '1')
		script.outcome = data[0] % HTTP__MAX;
	script.status = statuses[(uint8_t)(data[1] - '0') % COUNT(statuses)];
	script.piece = data[2] == '0' ? size : (size_t)(uint8_t)(data[2] - '0');
	heard.left = (uint8_t)(data[3] - '0');
	script.bytes = (const char *)data + HEADER_LEN;
	script.len = size - HEADER_LEN;
	script.heard = &heard;
	client.script = &script;
	/* A new one each time, because it remembers what its server refused. */
	model = new_model(&client, &server);
	CHECK(model);
	model_ask(model, &request, &result);
	model_free(model);
	check_result(&result, &heard);
	json_object_put(result.items);
	for (int i = 0; i < heard.calls; i++)
		free(heard.ids[i]);
	buf_free(&heard.deltas);
	buf_free(&script.told);
	return 0;
}

#endif
