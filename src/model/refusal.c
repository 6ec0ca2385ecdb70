#include "model/refusal.h"

#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

enum { DEPTH_MAX = 4, TEXT_MAX = 64 << 10, WORDS_MAX = 8 << 10, PAGE_TEXT_MAX = 300 };

/*
 * Error texts of OpenAI, of templates (in llama.cpp and vLLM: Gemma's, Mistral's, Qwen's), of
 * Gemini, Groq, Anthropic and Bedrock behind their OpenAI-like paths, and of FastAPI. The first row
 * counts that matches and changes the request.
 */
const struct refused refused_always[] = {
    {"temperature", NEED_NO_TEMPERATURE, false},
    {"top_p", NEED_NO_TOP_P, false},
    {"parallel_tool_calls", NEED_NO_PARALLEL, false},
    {"tool_choice", NEED_NO_CHOICE, false},
    {"reasoning_effort", NEED_NO_EFFORT, false},
    {"reasoning.effort", NEED_NO_EFFORT, false},
    {"reasoningeffort", NEED_NO_EFFORT, false},
    {"'strict'", NEED_NO_STRICT, false},

    {"support tool", NEED_NO_TOOLS, false},
    {"support function", NEED_NO_TOOLS, false},
    {"tool use is not", NEED_NO_TOOLS, false},
    {"tool calling", NEED_NO_TOOLS, false},
    {"function calling", NEED_NO_TOOLS, false},
    {"tool choice requires", NEED_NO_TOOLS, false},
    {"tools param", NEED_NO_TOOLS, false},
    {"param: tools", NEED_NO_TOOLS, false},
    {"'tools'", NEED_NO_TOOLS, false},
    {"single tool", NEED_SINGLE_CALLS, false},
    {"multiple tool", NEED_SINGLE_CALLS, false},
    {"toolconfig", NEED_CALLS_AS_WORDS, false},
    {"tools=", NEED_CALLS_AS_WORDS, false},
    {"must define tools", NEED_CALLS_AS_WORDS, false},
    {"got tool", NEED_CALLS_AS_WORDS, false},
    {"role 'tool'", NEED_CALLS_AS_WORDS, false},
    {"'tool' role", NEED_CALLS_AS_WORDS, false},
    {"tool role", NEED_CALLS_AS_WORDS, false},
    {"roleenum.tool", NEED_CALLS_AS_WORDS, false},

    /* Calls that other servers made lack it. */
    {"missing 'reasoning_content", NEED_CALLS_AS_WORDS, true},
    {"missing a thought_signature", NEED_CALLS_AS_WORDS, true},
    {"must be passed back", NEED_CALLS_AS_WORDS, true},

    {"reasoning_content", NEED_NOTHING_MORE, false},
    {"reasoning_details", NEED_NOTHING_MORE, false},
    {"extra_content", NEED_NOTHING_MORE, false},
    {"'reasoning'", NEED_NOTHING_MORE, false},
    {"not persisted", NEED_NOTHING_MORE, false},
    {"thought signature", NEED_NOTHING_MORE, true},
    {"call id", NEED_SHORT_IDS, false},
    {"call_id", NEED_SHORT_IDS, false},
    {"].id", NEED_SHORT_IDS, false},
    {".id", NEED_SHORT_IDS, false},

    {"support image", NEED_NO_IMAGES, false},
    {"support vision", NEED_NO_IMAGES, false},
    {"image input", NEED_NO_IMAGES, false},
    {"multimodal", NEED_NO_IMAGES, true},
    {"image", NEED_NO_IMAGES, true},
    {"valid string", NEED_NO_IMAGES, true},
    {"must be a string", NEED_NO_IMAGES, true},

    {"system role", NEED_NO_SYSTEM, false},
    {"'system'", NEED_NO_SYSTEM, false},
    {"role system", NEED_NO_SYSTEM, false},
    {"role: system", NEED_NO_SYSTEM, false},
    {"system message", NEED_NO_SYSTEM, false},
    {"system prompt", NEED_NO_SYSTEM, false},
    {"system instruction", NEED_NO_SYSTEM, false},
    {"developer instruction", NEED_NO_SYSTEM, false},
    {"only user and assistant", NEED_NO_SYSTEM, false},
    {"only user, assistant", NEED_NO_SYSTEM, false},
    {"'instructions'", NEED_NO_SYSTEM, false},

    {"prefill", NEED_USER_LAST, false},
    {"last message", NEED_USER_LAST, false},
    {"final message", NEED_USER_LAST, false},
    {"final position", NEED_USER_LAST, false},
    {"last role", NEED_USER_LAST, false},
    {"last turn", NEED_USER_LAST, false},
    {"must end with", NEED_USER_LAST, false},
    {"ends with", NEED_USER_LAST, false},
    {"add_generation_prompt", NEED_USER_LAST, false},
    {"no user", NEED_USER_LAST, false},
    {"user query", NEED_USER_LAST, false},

    {"alternat", NEED_ALTERNATION, false},
    {"unexpected role", NEED_ALTERNATION, false},
    {"after role", NEED_ALTERNATION, false},
    {"first message", NEED_ALTERNATION, false},
    {"start with a user", NEED_ALTERNATION, false},
    {"begin with a user", NEED_ALTERNATION, false},
    {"consecutive", NEED_ALTERNATION, false},
    {"after a user turn", NEED_ALTERNATION, false},
    {"roles must", NEED_ALTERNATION, false},
    {"role order", NEED_ALTERNATION, false},
    /* Templates with only two roles refuse any other with the same words. */
    {"alternat", NEED_NO_SYSTEM, false},
    {"message role", NEED_NO_SYSTEM, false},
    {"alternat", NEED_CALLS_AS_WORDS, false},
    {"message role", NEED_CALLS_AS_WORDS, false},

    {"function_response.name", NEED_TOOL_NAME, false},
    {"'name'", NEED_TOOL_NAME, false},
    {"empty", NEED_WORDS, false},
    {"whitespace", NEED_WORDS, false},
    {"at least 1 character", NEED_WORDS, false},
    {"null", NEED_STRING, false},
    {"nil", NEED_STRING, false},
    {"none", NEED_STRING, false},
    {"content", NEED_STRING, false},
    {"string", NEED_STRING, false},

    {"'stream'", NEED_NO_STREAM, false},
    {"streaming", NEED_NO_STREAM, true},
    {"with stream", NEED_NO_STREAM, false},
    {0},
};

/* --- words --- */

static const char *
string_of(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

/* {loc: [body, messages, 0], msg}, FastAPI's: "body.messages.0: msg". */
static void
print_detail(struct buf *out, struct json_object *detail)
{
	struct json_object *loc = json_get_array(detail, "loc");
	const char *message = json_get_string(detail, "msg");

	for (size_t i = 0; i < json_len(loc); i++)
		buf_printf(out, "%s%s", i ? "." : "",
		    json_at(loc, i) ? json_object_get_string(json_at(loc, i)) : "");
	if (message)
		buf_printf(out, "%s%s", json_len(loc) ? ": " : "", message);
}

/* Prints the words of an error, in any form that servers use. False: it has none. */
static bool
print_words(struct buf *out, struct json_object *value, int depth)
{
	static const char *const names[] = {"error", "message", "detail", "msg", "errors",
	    "error_message", "error_description", "base_resp", "status_msg", "Message", "reason",
	    "title", "code", "type"};
	size_t before = out->len;

	if (string_of(value)) {
		/* This is not a description of the error. */
		if (strcmp(string_of(value), "error") != 0)
			buf_printf(out, "%.*s", WORDS_MAX, string_of(value));
	} else if (json_object_is_type(value, json_type_array) && depth > 0) {
		for (size_t i = 0; i < json_len(value) && i < 3; i++) {
			buf_puts(out, out->len > before ? "; " : "");
			print_words(out, json_at(value, i), depth - 1);
		}
	} else if (json_get_array(value, "loc")) {
		print_detail(out, value);
	} else if (depth > 0) {
		for (size_t i = 0; i < LEN(names) && out->len == before; i++)
			print_words(out, json_get(value, names[i]), depth - 1);
		/* OpenRouter's own words only say that its provider failed. */
		value = json_get(json_get(value, "metadata"), "raw");
		if (string_of(value))
			buf_printf(out, ": %s", string_of(value));
	}
	return out->len > before;
}

/* Adds a name that the error has beside its words. */
static void
print_name(struct buf *text, struct json_object *value)
{
	if (string_of(value))
		buf_printf(text, " '%s'", string_of(value));
}

static void
print_names(struct buf *text, struct json_object *error, struct json_object *body)
{
	struct json_object *details = json_get(body, "detail");

	print_name(text, json_get(error, "param"));
	print_name(text, json_get(error, "code"));
	print_name(text, json_get(error, "type"));
	for (size_t d = 0; d < json_len(details); d++) {
		struct json_object *loc = json_get_array(json_at(details, d), "loc");

		for (size_t i = 0; i < json_len(loc); i++)
			print_name(text, json_at(loc, i));
	}
}

/* Prints a page's text without its tags; other text unchanged. */
static void
print_text(struct buf *out, const char *text)
{
	bool tag = false;

	for (const char *at = text; *at && out->len < PAGE_TEXT_MAX; at++) {
		tag = *at == '<' || (tag && at[-1] != '>');
		if (!tag && (*at > ' ' || (out->len && out->data[out->len - 1] != ' ')))
			buf_append(out, *at > ' ' || *at < 0 ? at : " ", 1);
	}
}

static void
read_words(struct refusal *refusal, struct json_object *body, const char *text)
{
	struct buf *words = &refusal->text;

	if (body)
		print_words(words, body, DEPTH_MAX);
	else
		print_text(words, text);
	if (words->len == 0)
		buf_puts(words, "it gave no reason");
	utf8_copy(refusal->words, sizeof refusal->words, words->data ? words->data : "");
}

/* --- kinds --- */

/* The error alone, because some servers repeat the question around it. */
static struct json_object *
error_of(struct json_object *body)
{
	struct json_object *error;

	if (json_object_is_type(body, json_type_array))
		body = json_at(body, 0);
	error = json_get(body, "error");
	return error ? error : body;
}

static bool
has_any(const char *text, const char *const *signs)
{
	for (; *signs; signs++)
		if (strcasestr(text, *signs))
			return true;
	return false;
}

/* A code is a word or a number, and may be in `type` or `status`. */
static bool
has_code(struct json_object *error, const char *code)
{
	static const char *const names[] = {"code", "type", "status"};

	for (size_t i = 0; i < LEN(names); i++) {
		struct json_object *value = json_get(error, names[i]);

		if (value && strcmp(json_object_get_string(value), code) == 0)
			return true;
	}
	return false;
}

static bool
has_any_code(struct json_object *error, const char *const *codes)
{
	for (; *codes; codes++)
		if (has_code(error, *codes))
			return true;
	return false;
}

static bool
is_unknown_model(long status, struct json_object *error, const char *words)
{
	static const char *const codes[] = {"model_not_found", "model_not_available",
	    "model_decommissioned", "invalid_model", "DeploymentNotFound", NULL};
	static const char *const signs[] = {"not found", "not exist", "unknown model",
	    "no such model", "invalid model", "not a valid model", "not available", "not supported",
	    "unsupported model", "deprecated", "decommissioned", "retired", "not loaded",
	    "no longer", "identifier is invalid", "unable to access", "model:", "not have access",
	    "no endpoints", NULL};
	/* These are about what a known model cannot do. */
	static const char *const others[] = {"tool", "image", "function", "parameter", "value",
	    "temperature", "top_p", "max_tokens", "role", "reasoning", "content", "responses",
	    "endpoint", "stream", "format", NULL};

	if (has_any_code(error, codes))
		return true;
	if (!error || !strcasestr(words, "model"))
		return false;
	return (status == 400 || status == 404 || status == 410 || status == 422) &&
	    has_any(words, signs) &&
	    (status == 404 ? !strcasestr(words, "responses") : !has_any(words, others));
}

static enum refusal_kind
kind_of(long status, struct json_object *error, const char *words, const char *text)
{
	static const char *const quota[] = {"insufficient_quota", "billing_hard_limit_reached",
	    "billing_not_active", "exceeded_current_quota_error", "insufficient_balance", NULL};
	static const char *const busy[] = {"rate_limit_exceeded", "rate_limit_error", "429", "503",
	    "529", "overloaded_error", "server_overloaded", "UNAVAILABLE", NULL};
	static const char *const too_long[] = {"context_length_exceeded", "exceed_context_size",
	    "context length", "context size", "context window", "maximum context",
	    "prompt is too long", "prompt too long", "input is too long", "too many tokens",
	    "token limit", "maximum number of tokens", "reduce the length", "input length", NULL};
	static const char *const path[] = {"endpoint", "invalid url", "unknown url",
	    "unknown request url", "unknown path", "no route", "not implemented", NULL};
	static const char *const form[] = {
	    "400", "422", "invalid_request_error", "BadRequestError", "INVALID_ARGUMENT", NULL};

	if (has_any_code(error, quota) || strcasestr(words, "insufficient balance"))
		return REFUSAL_QUOTA;
	if (status == 429 || status == 503 || status == 529 ||
	    (status / 100 != 4 && has_any_code(error, busy)))
		return REFUSAL_BUSY;
	if (status == 413 || has_any(text, too_long))
		return REFUSAL_TOO_LONG;
	if (is_unknown_model(status, error, words))
		return REFUSAL_MODEL;
	if (status / 100 == 3 || status == 404 || status == 405 || status == 410 || status == 501 ||
	    (status == 403 && !error) ||
	    ((status == 400 || status == 422) && has_any(words, path)) ||
	    (status == 500 && strcasestr(words, "not implemented")))
		return REFUSAL_PATH;
	return status == 400 || status == 422 || (status == 0 && has_any_code(error, form))
	    ? REFUSAL_FORM
	    : REFUSAL_OTHER;
}

void
refusal_read(struct refusal *refusal, long status, struct json_object *body, const char *text)
{
	static const char *const certain[] = {"invalid_prompt", "content_filter",
	    "context_length_exceeded", "model_not_found", "invalid_api_key", NULL};
	static const char *const of_value[] = {"must contain", "invalid schema", "too large",
	    "at most", "less than or equal", "maximum context", "in the completion", "between",
	    "not found", NULL};
	struct json_object *error = error_of(body);

	*refusal = (struct refusal){.text = BUF_INIT(TEXT_MAX)};
	read_words(refusal, body, text);
	print_names(&refusal->text, error, body);
	for (char *at = refusal->text.data; at && *at; at++)
		if (*at == '"' || *at == '`')
			*at = '\'';
	text = refusal->text.data ? refusal->text.data : "";
	refusal->kind = kind_of(status, error, refusal->words, text);
	refusal->of_value = has_any(text, of_value);
	refusal->certain = has_any_code(error, certain);
}

void
refusal_free(struct refusal *refusal)
{
	buf_free(&refusal->text);
}

bool
refusal_is_error(struct json_object *value)
{
	static const char *const names[] = {
	    "detail", "message", "msg", "error_message", "base_resp"};
	const char *object;

	if (json_object_is_type(value, json_type_array))
		return json_get(json_at(value, 0), "error");
	object = json_get_string(value, "object");
	if (json_get(value, "error") || (object && strcmp(object, "error") == 0))
		return true;
	/* Events of the Responses API have a type; answers of either API have content. */
	if (json_get(value, "type") || json_get(value, "choices") || json_get(value, "output"))
		return false;
	for (size_t i = 0; i < LEN(names); i++)
		if (json_get(value, names[i]))
			return true;
	return false;
}
