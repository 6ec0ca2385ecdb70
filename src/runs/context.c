#include "runs/context.h"

#include <stdint.h>

#include "records/conversation.h"
#include "text/json.h"

/* Most messages are stored in this form; then their text need not be parsed. */
static const char text_begins[] = "[{\"type\":\"text\",\"text\":{\"value\":";
static const char text_ends[] = ",\"annotations\":[]}}]";

/* The conversation, read from one of its ends for as long as it fits. */
struct side {
	bool newest_first;
	long long bytes_left, messages_left;
	long long end;        /* where the other side begins */
	long long place;      /* of the entry read last */
	long long run, round; /* of the calls read last; round 0: they have none */
	struct model_context entries;
};

/* Parses a stored text; NULL: it is no JSON. */
static struct json_object *
parse(const char *text)
{
	struct json_object *value = NULL;

	json_parse(text, strlen(text), &value);
	return value;
}

/* The text of a content that has nothing else. NULL: it has more, or may be blank. */
static struct json_object *
plain_words(const char *text, size_t len)
{
	const size_t begin = sizeof text_begins - 1, end = sizeof text_ends - 1;
	const char *words = text + begin;
	size_t words_len;

	if (len < begin + end + 3 || memcmp(text, text_begins, begin) != 0 || words[1] <= ' ' ||
	    words[1] == '\\' || words[1] == '"')
		return NULL;
	words_len = json_literal_len(words, len - begin);
	if (words_len + begin + end != len || memcmp(words + words_len, text_ends, end) != 0)
		return NULL;
	return json_literal(words, words_len);
}

/*
 * The calls as a model reads them, without the API's wrapper. Hosted calls are stored without it.
 */
static struct json_object *
calls_of(const char *text)
{
	struct json_object *calls, *details = parse(text);
	struct json_object *tool_calls = json_get_array(details, "tool_calls");

	if (json_object_is_type(details, json_type_array))
		return details;
	calls = json_new_array();
	for (size_t i = 0; i < json_len(tool_calls); i++) {
		struct json_object *tool_call = json_at(tool_calls, i);
		struct json_object *call = json_new_object();

		json_copy(call, tool_call, "id");
		json_copy(call, json_get(tool_call, "function"), "name");
		json_copy(call, json_get(tool_call, "function"), "arguments");
		json_copy(call, json_get(tool_call, "function"), "output");
		json_add(calls, call);
	}
	json_object_put(details);
	return calls;
}

/* Merges calls of the same answer into the entry; takes both over. */
static void
merge_calls(const struct side *side, struct model_entry *entry, struct json_object *calls,
    struct json_object *items)
{
	struct json_object *first = side->newest_first ? calls : entry->content;
	struct json_object *second = side->newest_first ? entry->content : calls;

	for (size_t i = 0; i < json_len(second); i++)
		json_add(first, json_object_get(json_at(second, i)));
	json_object_put(second);
	entry->content = first;
	if (entry->items)
		json_object_put(items);
	else
		entry->items = items;
}

static void
add_calls(struct side *side, const struct spoken *spoken, struct json_object *items)
{
	struct model_context *entries = &side->entries;
	struct json_object *calls = calls_of(spoken->text);

	if (side->round && side->round == spoken->round && side->run == spoken->run &&
	    entries->len > 0)
		merge_calls(side, &entries->entries[entries->len - 1], calls, items);
	else
		model_context_add(entries, MODEL_CALLS, calls, items);
	side->run = spoken->run;
	side->round = spoken->round;
}

static void
add_entry(struct side *side, const struct spoken *spoken)
{
	struct json_object *content, *items = spoken->items ? parse(spoken->items) : NULL;

	if (spoken->calls) {
		add_calls(side, spoken, items);
		return;
	}
	content = plain_words(spoken->text, spoken->len);
	if (!content)
		content = parse(spoken->text);
	side->round = 0;
	model_context_add(&side->entries,
	    spoken->role == MESSAGE_ASSISTANT ? MODEL_ASSISTANT : MODEL_USER, content, items);
}

/* Adds the next entry, if it fits and belongs to this side. */
static bool
take_next(void *arg, const struct spoken *spoken)
{
	struct side *side = arg;

	if ((!side->newest_first && spoken->place >= side->end) ||
	    (!spoken->calls && side->messages_left == 0) ||
	    ((long long)spoken->len > side->bytes_left &&
		(!side->newest_first || side->entries.len > 0)))
		return false;
	side->place = spoken->place;
	side->bytes_left -= (long long)spoken->len;
	side->messages_left -= !spoken->calls;
	add_entry(side, spoken);
	return true;
}

/* 1: all of it. 0: what fitted. -1: the database failed. */
static int
read_side(struct db_tx *tx, long long thread, struct side *side)
{
	return conversation_read(tx, thread, side->newest_first, take_next, side);
}

/* Appends the entries of `newest`, which were read newest first. */
static void
append(struct model_context *context, const struct model_context *newest)
{
	for (size_t i = newest->len; i > 0; i--) {
		const struct model_entry *entry = &newest->entries[i - 1];

		model_context_add(context, entry->kind, json_object_get(entry->content),
		    json_object_get(entry->items));
	}
	context->failed = context->failed || newest->failed;
}

int
context_load(struct db_tx *tx, long long thread, long long tokens_max, long long messages_max,
    struct model_context *context)
{
	long long bytes = tokens_max * BYTES_A_TOKEN;
	struct side newest = {
	    .newest_first = true,
	    .bytes_left = bytes,
	    .messages_left = messages_max ? messages_max : INT64_MAX,
	};
	struct side oldest = {.bytes_left = bytes / 4, .messages_left = INT64_MAX};
	int result = read_side(tx, thread, &newest);

	if (result == 0 && messages_max == 0) {
		/* Too long: a quarter of the room is for its beginning, the rest for its end. */
		model_context_free(&newest.entries);
		newest.bytes_left = bytes - bytes / 4;
		newest.messages_left = INT64_MAX;
		result = read_side(tx, thread, &newest);
		oldest.end = newest.place;
		if (result >= 0)
			result = read_side(tx, thread, &oldest);
	}
	*context = oldest.entries;
	append(context, &newest.entries);
	model_context_free(&newest.entries);
	return result < 0 || context->failed ? -1 : 0;
}

static size_t
text_size(struct json_object *object, const char *name)
{
	const char *text = json_get_string(object, name);

	return text ? strlen(text) : 0;
}

/* The size of a message or of calls. An image's cost does not depend on its URL's length. */
static size_t
entry_size(const struct model_entry *entry)
{
	struct json_object *content = entry->content;
	size_t size = 0;

	if (json_object_is_type(content, json_type_string))
		return (size_t)json_object_get_string_len(content) - strlen("\"\"");
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);

		size += text_size(json_get_object(part, "text"), "value") +
		    text_size(part, "refusal") + text_size(part, "name") +
		    text_size(part, "arguments") + text_size(part, "output");
	}
	return size;
}

struct sum {
	long long bytes, bytes_max;
};

static bool
add_size(void *arg, const struct spoken *spoken)
{
	struct sum *sum = arg;

	sum->bytes += (long long)spoken->len;
	return sum->bytes < sum->bytes_max;
}

long long
context_estimate(
    struct db_tx *tx, long long thread, struct json_object *options, long long tokens_max)
{
	struct sum sum = {.bytes_max = tokens_max * BYTES_A_TOKEN};

	if (conversation_read(tx, thread, true, add_size, &sum) < 0)
		return -1;
	return (sum.bytes < sum.bytes_max ? sum.bytes : sum.bytes_max) +
	    (long long)context_size(options, NULL);
}

size_t
context_size(struct json_object *options, const struct model_context *context)
{
	struct json_object *tools = json_get_array(options, "tools");
	size_t size = text_size(options, "instructions");

	if (json_len(tools) > 0)
		size += strlen(json_text(tools));
	for (size_t i = 0; context && i < context->len; i++)
		size += entry_size(&context->entries[i]);
	return size;
}
