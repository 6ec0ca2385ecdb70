#include "runs/context.h"

#include <stdint.h>

#include "records/conversation.h"
#include "text/json.h"

/* Where a message has this form, which most have, its words need not be parsed. */
static const char text_begins[] = "[{\"type\":\"text\",\"text\":{\"value\":";
static const char text_ends[] = ",\"annotations\":[]}}]";

/* The conversation from one of its ends on, as long as it fits. */
struct side {
	bool newest_first;
	long long bytes_left, messages_left;
	long long end;   /* the place where the other side begins */
	long long place; /* of what was read last */
	struct json_object *entries;
};

/* A text that was stored; NULL: it is no JSON. */
static struct json_object *
parse(const char *text)
{
	struct json_object *value = NULL;

	json_parse(text, strlen(text), &value);
	return value;
}

/* The words of a content that is nothing else; NULL: it is more, or they may be blank. */
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

static struct json_object *
message_entry(const struct spoken *spoken)
{
	struct json_object *entry = json_object_new_object();
	struct json_object *words = plain_words(spoken->text, spoken->len);

	json_set_string(entry, "role", message_role_words[spoken->role]);
	json_set(entry, "content", words ? words : parse(spoken->text));
	return entry;
}

/* The calls as a model knows them, without the API's wrapping. */
static struct json_object *
calls_entry(const struct spoken *spoken)
{
	struct json_object *entry = json_object_new_object(), *calls = json_object_new_array();
	struct json_object *details = parse(spoken->text);
	struct json_object *tool_calls = json_get_array(details, "tool_calls");

	for (size_t i = 0; i < json_len(tool_calls); i++) {
		struct json_object *tool_call = json_at(tool_calls, i);
		struct json_object *call = json_object_new_object();

		json_copy(call, tool_call, "id");
		json_copy(call, json_get(tool_call, "function"), "name");
		json_copy(call, json_get(tool_call, "function"), "arguments");
		json_copy(call, json_get(tool_call, "function"), "output");
		json_add(calls, call);
	}
	json_set(entry, "calls", calls);
	json_object_put(details);
	return entry;
}

/* Takes the next entry along if it fits, and is on this side. */
static bool
take_next(void *arg, const struct spoken *spoken)
{
	struct side *side = arg;
	struct json_object *entry;

	if ((!side->newest_first && spoken->place >= side->end) ||
	    (!spoken->calls && side->messages_left == 0) ||
	    ((long long)spoken->len > side->bytes_left &&
		(!side->newest_first || json_len(side->entries) > 0)))
		return false;
	side->place = spoken->place;
	side->bytes_left -= (long long)spoken->len;
	side->messages_left -= !spoken->calls;
	entry = spoken->calls ? calls_entry(spoken) : message_entry(spoken);
	if (spoken->items)
		json_set(entry, "items", parse(spoken->items));
	json_add(side->entries, entry);
	return true;
}

/* 1 all of it, 0 what fitted, -1 the database failed. */
static int
read_side(struct db_tx *tx, long long thread, struct side *side)
{
	side->entries = json_object_new_array();
	return conversation_read(tx, thread, side->newest_first, take_next, side);
}

static void
reverse_onto(struct json_object *to, struct json_object *from)
{
	for (size_t i = json_len(from); i > 0; i--)
		json_add(to, json_object_get(json_at(from, i - 1)));
}

struct json_object *
context_load(struct db_tx *tx, long long thread, long long tokens_max, long long messages_max)
{
	long long bytes = tokens_max * BYTES_A_TOKEN;
	struct side newest = {
	    .newest_first = true,
	    .bytes_left = bytes,
	    .messages_left = messages_max ? messages_max : INT64_MAX,
	};
	struct side oldest = {.bytes_left = bytes / 4, .messages_left = INT64_MAX};
	struct json_object *context = NULL;
	int result = read_side(tx, thread, &newest);

	if (result == 0 && messages_max == 0) {
		/* Too long: a quarter for how it began, the rest for how it goes on. */
		json_object_put(newest.entries);
		newest.bytes_left = bytes - bytes / 4;
		newest.messages_left = INT64_MAX;
		result = read_side(tx, thread, &newest);
		oldest.end = newest.place;
		if (result >= 0)
			result = read_side(tx, thread, &oldest);
	}
	if (result >= 0) {
		context =
		    oldest.entries ? json_object_get(oldest.entries) : json_object_new_array();
		reverse_onto(context, newest.entries);
	}
	json_object_put(oldest.entries);
	json_object_put(newest.entries);
	return context;
}

static size_t
text_size(struct json_object *object, const char *name)
{
	const char *text = json_get_string(object, name);

	return text ? strlen(text) : 0;
}

/* A message's or calls'. What an image costs is not in the length of its URL. */
static size_t
entry_size(struct json_object *entry)
{
	struct json_object *content = json_get(entry, "content");
	struct json_object *calls = json_get_array(entry, "calls");
	size_t size = 0;

	if (json_object_is_type(content, json_type_string))
		return (size_t)json_object_get_string_len(content) - strlen("\"\"");
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);

		size +=
		    text_size(json_get_object(part, "text"), "value") + text_size(part, "refusal");
	}
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *call = json_at(calls, i);

		size += text_size(call, "name") + text_size(call, "arguments") +
		    text_size(call, "output");
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
context_size(struct json_object *options, struct json_object *context)
{
	struct json_object *tools = json_get_array(options, "tools");
	size_t size = text_size(options, "instructions");

	if (json_len(tools) > 0)
		size += strlen(json_text(tools));
	for (size_t i = 0; i < json_len(context); i++)
		size += entry_size(json_at(context, i));
	return size;
}
