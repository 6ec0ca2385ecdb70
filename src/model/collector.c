#include "model/collector.h"

#include <stdarg.h>

#include "model/backend.h"
#include "model/history.h"
#include "obs/log.h"
#include "os/id.h"
#include "text/json.h"
#include "text/text.h"

enum { PARTS_MAX = 256, CALLS_MAX = 128 };

static const char not_kept[] = "The answer could not be stored.";

void
collector_init(struct collector *answer, const struct model_request *request,
    struct model_result *result, const char *server, bool held)
{
	*answer = (struct collector){
	    .request = request, .result = result, .server = server, .words = BUF_INIT(ANSWER_MAX)};
	thoughts_init(&answer->thoughts, held, ANSWER_MAX);
}

void
collector_free(struct collector *answer)
{
	for (size_t i = 0; i < answer->calls_len; i++) {
		struct collector_call *call = &answer->calls[i];

		free(call->key);
		free(call->id);
		free(call->name);
		buf_free(&call->words);
		members_free(&call->more);
		members_free(&call->function_more);
	}
	free(answer->calls);
	buf_free(&answer->words);
	thoughts_free(&answer->thoughts);
	members_free(&answer->more);
	json_object_put(answer->items);
	json_object_put(answer->error);
}

static void __attribute__((format(printf, 2, 0)))
set_error(struct collector *answer, const char *format, va_list args)
{
	char *error = NULL, *shown = NULL;

	if (vasprintf(&error, format, args) < 0)
		error = NULL;
	/* Redact before cutting: half a key would not be recognised. */
	if (error)
		shown = log_redact(error);
	utf8_copy(
	    answer->result->error, sizeof answer->result->error, shown ? shown : "out of memory");
	free(error);
	free(shown);
}

void
collector_set_error(struct collector *answer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(answer, format, args);
	va_end(args);
}

int
collector_break(struct collector *answer, const char *format, ...)
{
	va_list args;

	answer->broken = true;
	va_start(args, format);
	set_error(answer, format, args);
	va_end(args);
	return -1;
}

int
collector_keep(struct collector *answer, int result)
{
	if (result == 0)
		return 0;
	answer->unkept = true;
	return collector_break(answer, "%s", not_kept);
}

/* Whether there is room for this much more; if not, breaks the answer off. */
static int
check_room(struct collector *answer, size_t more)
{
	if (answer->parts <= PARTS_MAX && answer->size + more <= ANSWER_MAX)
		return 0;
	return collector_break(answer,
	    "The model's answer is longer than %d MiB, or has more than %d parts.",
	    ANSWER_MAX >> 20, PARTS_MAX);
}

int
collector_add_size(struct collector *answer, size_t len)
{
	if (check_room(answer, len) < 0)
		return -1;
	answer->size += len;
	return 0;
}

/* --- a message --- */

bool
collector_is_late(struct collector *answer)
{
	if (answer->calls_len == 0)
		return false;
	if (!answer->late)
		log_debug("text that the model sent after its function calls is left out");
	return answer->late = true;
}

int
collector_begin_message(struct collector *answer)
{
	if (answer->open)
		return 0;
	answer->parts++;
	if (check_room(answer, 0) < 0)
		return -1;
	answer->open = true;
	buf_drop(&answer->words, answer->words.len);
	return collector_keep(answer, answer->request->on_message(answer->request->arg));
}

int
collector_show(struct collector *answer, enum model_part kind, int index, const char *words)
{
	if (!*words || (!answer->open && text_is_blank(words)))
		return 0;
	if (collector_begin_message(answer) < 0 ||
	    check_room(answer, answer->words.len + strlen(words)) < 0 ||
	    collector_keep(answer, buf_puts(&answer->words, words)) < 0)
		return -1;
	answer->kind = kind;
	return collector_keep(
	    answer, answer->request->on_delta(answer->request->arg, kind, index, words));
}

int
collector_delta(struct collector *answer, enum model_part kind, int index, const char *words)
{
	if (!words || !*words || collector_is_late(answer))
		return 0;
	answer->begun = true;
	if (kind == MODEL_TEXT)
		words = thoughts_feed(&answer->thoughts, words);
	return words ? collector_show(answer, kind, index, words)
		     : check_room(answer, ANSWER_MAX + 1);
}

const char *
collector_skip_thoughts(struct collector *answer, const char *text)
{
	bool unopened;

	text = thoughts_skip(text, &unopened);
	answer->unopened |= unopened;
	return text;
}

int
collector_add_part(
    struct collector *answer, struct json_object *content, enum model_part kind, const char *words)
{
	/* A message counts as one part; further parts count by themselves. */
	answer->parts += json_len(content) > 0;
	if (collector_add_size(answer, strlen(words)) < 0)
		return -1;
	model_add_part(content, kind, words);
	return 0;
}

int
collector_end_message(
    struct collector *answer, struct json_object *content, struct json_object *items)
{
	int result = collector_keep(
	    answer, answer->request->on_written(answer->request->arg, content, items));

	json_object_put(content);
	json_object_put(items);
	answer->open = false;
	answer->any = true;
	return result;
}

/* The text of the open message's deltas, as content; NULL: too much. */
static struct json_object *
shown_content(struct collector *answer)
{
	struct json_object *content = json_new_array();
	const char *words = answer->words.data ? answer->words.data : "";

	/* Reasoning without an opening tag has been shown, but is not stored. */
	if (answer->kind == MODEL_TEXT && !answer->thoughts.close)
		words = collector_skip_thoughts(answer, words);
	if (!*words || collector_add_part(answer, content, answer->kind, words) == 0)
		return content;
	json_object_put(content);
	return NULL;
}

int
collector_close_message(struct collector *answer, struct json_object *items)
{
	struct json_object *content = NULL;

	if (collector_show(answer, MODEL_TEXT, 0, thoughts_end(&answer->thoughts)) < 0)
		goto failed;
	if (!answer->open) {
		json_object_put(items);
		return 0;
	}
	content = shown_content(answer);
	if (content)
		return collector_end_message(answer, content, items);
failed:
	json_object_put(items);
	return -1;
}

/* --- calls --- */

/* Copies a text; breaks the answer off if there is no memory. */
static int
copy(struct collector *answer, const char *text, char **copied)
{
	*copied = strdup(text);
	return *copied ? 0 : collector_break(answer, "out of memory");
}

struct collector_call *
collector_begin_call(struct collector *answer, const char *key, long long place)
{
	struct collector_call *call;

	if (collector_close_message(answer, NULL) < 0)
		return NULL;
	if (answer->calls_len == CALLS_MAX) {
		collector_break(answer, "The model called more than %d functions.", CALLS_MAX);
		return NULL;
	}
	if (!answer->calls)
		answer->calls = calloc(CALLS_MAX, sizeof *answer->calls);
	if (!answer->calls) {
		collector_break(answer, "out of memory");
		return NULL;
	}
	call = &answer->calls[answer->calls_len];
	*call = (struct collector_call){.place = place, .words = BUF_INIT(ANSWER_MAX)};
	if (copy(answer, key ? key : "", &call->key) < 0)
		return NULL;
	answer->calls_len++;
	return call;
}

static bool
is_taken(const struct collector *answer, const char *id)
{
	for (size_t i = 0; i < answer->calls_len; i++)
		if (answer->calls[i].id && strcmp(answer->calls[i].id, id) == 0)
			return true;
	return false;
}

int
collector_name_call(
    struct collector *answer, struct collector_call *call, const char *id, const char *name)
{
	char made[ID_SIZE];

	if (call->name)
		return 0;
	if (!id || !*id || is_taken(answer, id)) {
		id_new(made, "call_");
		id = made;
	}
	if (collector_add_size(answer, strlen(id) + strlen(name)) < 0)
		return -1;
	if (copy(answer, id, &call->id) < 0 || copy(answer, name, &call->name) < 0)
		return -1;
	call->index = (int)answer->told++;
	if (collector_keep(
		answer, answer->request->on_call(answer->request->arg, call->index, id, name)) < 0)
		return -1;
	return call->words.len ? collector_keep(answer,
				     answer->request->on_arguments(
					 answer->request->arg, call->index, call->words.data))
			       : 0;
}

int
collector_call_delta(struct collector *answer, struct collector_call *call, const char *fragment)
{
	if (call->whole || !*fragment)
		return 0;
	if (collector_add_size(answer, strlen(fragment)) < 0 ||
	    collector_keep(answer, buf_puts(&call->words, fragment)) < 0)
		return -1;
	return call->name
	    ? collector_keep(answer,
		  answer->request->on_arguments(answer->request->arg, call->index, fragment))
	    : 0;
}

int
collector_end_call(struct collector *answer, struct collector_call *call, const char *arguments)
{
	if (call->whole)
		return 0;
	if (!call->name)
		return collector_break(answer, "The model called a function without a name.");
	if (!arguments || !*arguments)
		arguments = call->words.len ? call->words.data : "{}";
	/* Show what no fragment has shown, so that the fragments add up to the whole. */
	if (!call->words.len && collector_call_delta(answer, call, arguments) < 0)
		return -1;
	call->whole = true;
	answer->bad_arguments |= !history_takes_arguments(arguments);
	return collector_keep(
	    answer, answer->request->on_called(answer->request->arg, call->index, arguments));
}

int
collector_close_calls(struct collector *answer)
{
	for (size_t i = 0; i < answer->calls_len; i++)
		if (collector_end_call(answer, &answer->calls[i], NULL) < 0)
			return -1;
	return 0;
}
