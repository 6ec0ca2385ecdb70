/*
 * The offline model, which needs no server: a small script in the manner of ELIZA, which says that
 * it is one. A line "call NAME {json}" of the user makes it call that function, so that programs
 * can be tried.
 */
#include "model/backend.h"
#include "model/eliza.h"
#include "os/id.h"
#include "text/buf.h"
#include "text/json.h"

enum { CALLS_MAX = 128, WORDS_MAX = 16 << 20 };

static const char not_kept[] = "The answer could not be stored.";

/* A message's first text, the caller's to free. NULL: it has none. */
static char *
first_words(const struct model_entry *message)
{
	struct json_object *parts = model_parts(message->content);
	const char *words = model_part_words(json_at(parts, 0));
	char *copy = words && *words ? strdup(words) : NULL;

	json_object_put(parts);
	return copy;
}

/* The last user message's text, the caller's to free, and how many user messages came before. */
static char *
last_words(const struct model_context *context, unsigned *turn)
{
	char *words = NULL;

	*turn = 0;
	for (size_t i = 0; i < context->len; i++) {
		if (context->entries[i].kind != MODEL_USER)
			continue;
		*turn += words != NULL;
		free(words);
		words = first_words(&context->entries[i]);
	}
	return words;
}

/* --- functions --- */

static bool
has_function(struct json_object *tools, const char *name, size_t len)
{
	for (size_t i = 0; i < json_len(tools); i++) {
		const char *known =
		    json_get_string(json_get_object(json_at(tools, i), "function"), "name");

		if (known && strlen(known) == len && memcmp(known, name, len) == 0)
			return true;
	}
	return false;
}

/* The call's arguments in the line, "{}" if there are none, the caller's to free; NULL: no call. */
static char *
arguments_of(struct json_object *tools, const char *line, size_t len, char **name)
{
	size_t name_len, at = strlen("call ");
	struct json_object *value;
	char *arguments;

	if (len <= at || memcmp(line, "call ", at) != 0)
		return NULL;
	name_len = strcspn(line + at, " \t\r\n");
	if (!has_function(tools, line + at, name_len))
		return NULL;
	*name = strndup(line + at, name_len);
	at += name_len;
	while (at < len && strchr(" \t\r", line[at]))
		at++;
	while (len > at && strchr(" \t\r", line[len - 1]))
		len--;
	arguments = at < len ? strndup(line + at, len - at) : strdup("{}");
	if (*name && arguments && json_parse(arguments, strlen(arguments), &value) == 0) {
		json_object_put(value);
		return arguments;
	}
	free(*name);
	free(arguments);
	return NULL;
}

static int
call(const struct model_request *request, int index, const char *name, const char *arguments)
{
	char id[ID_SIZE];

	id_new(id, "call_");
	if (request->on_call(request->arg, index, id, name) != 0 ||
	    request->on_arguments(request->arg, index, arguments) != 0)
		return -1;
	return request->on_called(request->arg, index, arguments);
}

/* Calls the functions that the user's lines name. Returns how many; -1: a callback failed. */
static int
call_functions(const struct model_request *request, const char *words)
{
	struct json_object *tools = json_get(request->options, "tools");
	int calls = 0;

	for (size_t len; *words && calls < CALLS_MAX; words += len + (words[len] == '\n')) {
		char *name, *arguments;
		int result;

		len = strcspn(words, "\n");
		arguments = arguments_of(tools, words, len, &name);
		if (!arguments)
			continue;
		result = call(request, calls++, name, arguments);
		free(name);
		free(arguments);
		if (result != 0)
			return -1;
	}
	return calls;
}

/* The outputs of functions, if they came last, the caller's to free; else NULL. */
static char *
answers(const struct model_context *context)
{
	size_t len = context->len;
	struct buf words = BUF_INIT(WORDS_MAX);
	struct json_object *calls;

	if (len == 0 || context->entries[len - 1].kind != MODEL_CALLS)
		return NULL;
	calls = context->entries[len - 1].content;
	for (size_t i = 0; i < json_len(calls); i++) {
		const char *name = json_get_string(json_at(calls, i), "name");
		const char *output = json_get_string(json_at(calls, i), "output");

		buf_printf(&words, "%sThe function %s answered: %s", i ? "\n" : "",
		    name ? name : "", output ? output : "");
	}
	return buf_take(&words);
}

/* --- words --- */

static int
say(const struct model_request *request, const char *said)
{
	struct json_object *content = model_text_content(said);
	int result = request->on_message(request->arg);

	if (result == 0)
		result = request->on_delta(request->arg, MODEL_TEXT, 0, said);
	if (result == 0)
		result = request->on_written(request->arg, content, NULL);
	json_object_put(content);
	return result;
}

static void
offline_ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	unsigned turn;
	char *words = last_words(request->context, &turn), *said = answers(request->context);
	int calls = said ? 0 : call_functions(request, words ? words : "");

	(void)model;
	if (!said && calls == 0)
		said = eliza_answer(words ? words : "", turn);
	if (calls < 0 || (said && say(request, said) != 0)) {
		snprintf(result->error, sizeof result->error, "%s", not_kept);
	} else if (!said && calls == 0) {
		snprintf(result->error, sizeof result->error, "out of memory");
	} else {
		result->outcome = MODEL_COMPLETED;
		result->prompt_tokens = result->completion_tokens = 0;
	}
	free(said);
	free(words);
}

static void
offline_free(struct model *model)
{
	free(model);
}

struct model *
model_offline_new(void)
{
	struct model *model = calloc(1, sizeof *model);

	if (!model)
		return NULL;
	model->ask = offline_ask;
	model->free = offline_free;
	return model;
}
