#include "runs/context.h"

#include <stdint.h>

#include "text/json.h"

/* Rows are (place, size, words or calls, items, role), of both tables in the same order. */
#define MESSAGES                                                                                   \
	"SELECT seq, length(CAST(content AS BLOB)), content, items, role FROM messages "           \
	"WHERE thread = ? ORDER BY seq "
#define CALLS                                                                                      \
	"SELECT after_message, length(CAST(details AS BLOB)), details, items FROM run_steps "      \
	"WHERE thread = ? AND status = 'completed' ORDER BY after_message "

/* The conversation from one of its ends on, as long as it fits. */
struct side {
	struct db_stmt *messages, *calls;
	enum db_result message, call; /* whether there is a next one */
	bool oldest_first;
	long long bytes_left, messages_left;
	long long place; /* of what was read last */
	struct json_object *entries;
};

static void
set_items(struct json_object *entry, struct db_stmt *row)
{
	struct json_object *items = record_json(row, 3);

	if (items)
		json_set(entry, "items", items);
}

static struct json_object *
message_of(struct db_stmt *row)
{
	struct json_object *message = json_object_new_object();

	json_set_string(message, "role", db_text(row, 4));
	json_set(message, "content", record_json(row, 2));
	set_items(message, row);
	return message;
}

/* The calls as a model knows them, without the API's wrapping. */
static struct json_object *
calls_of(struct db_stmt *row)
{
	struct json_object *entry = json_object_new_object(), *calls = json_object_new_array();
	struct json_object *details = record_json(row, 2);
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
	set_items(entry, row);
	json_object_put(details);
	return entry;
}

/* A call's place is its message's: it comes behind that. */
static bool
message_is_next(const struct side *side)
{
	long long message, call;

	if (side->message != DB_ROW || side->call != DB_ROW)
		return side->message == DB_ROW;
	message = db_int(side->messages, 0);
	call = db_int(side->calls, 0);
	return side->oldest_first ? message <= call : message > call;
}

/* Takes the next entry along if it fits, and is on this side of `end`. */
static bool
take_next(struct side *side, long long end)
{
	bool is_message = message_is_next(side);
	struct db_stmt *row = is_message ? side->messages : side->calls;
	long long place = db_int(row, 0), size = db_int(row, 1);

	if ((side->oldest_first ? place >= end : place < end) ||
	    (is_message && side->messages_left == 0) ||
	    (size > side->bytes_left && (side->oldest_first || json_len(side->entries) > 0)))
		return false;
	side->place = place;
	side->bytes_left -= size;
	if (is_message) {
		json_add(side->entries, message_of(row));
		side->messages_left--;
		side->message = db_step(row);
	} else {
		json_add(side->entries, calls_of(row));
		side->call = db_step(row);
	}
	return true;
}

/* Reads up to `end`. 1 all of it, 0 what fitted, -1 the database failed. */
static int
read_side(struct db_tx *tx, long long thread, struct side *side, long long end)
{
	side->messages = db_prepare(tx, side->oldest_first ? MESSAGES : MESSAGES "DESC");
	side->calls = db_prepare(tx, side->oldest_first ? CALLS ", seq" : CALLS "DESC, seq DESC");
	side->entries = json_object_new_array();
	db_bind_int(side->messages, 1, thread);
	db_bind_int(side->calls, 1, thread);
	side->message = db_step(side->messages);
	side->call = db_step(side->calls);
	while ((side->message == DB_ROW || side->call == DB_ROW) && take_next(side, end))
		;
	db_finish(side->messages, side->message);
	db_finish(side->calls, side->call);
	if (side->message < 0 || side->call < 0)
		return -1;
	return side->message == DB_DONE && side->call == DB_DONE;
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
	    .bytes_left = bytes, .messages_left = messages_max ? messages_max : INT64_MAX};
	struct side oldest = {.bytes_left = bytes / 4, .messages_left = INT64_MAX};
	struct json_object *context = NULL;
	int result = read_side(tx, thread, &newest, 0);

	oldest.oldest_first = true;
	if (result == 0 && messages_max == 0) {
		/* Too long: a quarter for how it began, the rest for how it goes on. */
		json_object_put(newest.entries);
		newest.bytes_left = bytes - bytes / 4;
		newest.messages_left = INT64_MAX;
		result = read_side(tx, thread, &newest, 0);
		if (result >= 0)
			result = read_side(tx, thread, &oldest, newest.place);
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
	struct json_object *content = json_get_array(entry, "content");
	struct json_object *calls = json_get_array(entry, "calls");
	size_t size = 0;

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

/* Adds up the one column, newest first, as far as it counts. -1: the database failed. */
static long long
add_sizes(struct db_stmt *stmt, long long thread, long long bytes_max)
{
	enum db_result result;
	long long bytes = 0;

	db_bind_int(stmt, 1, thread);
	while ((result = db_step(stmt)) == DB_ROW && bytes < bytes_max)
		bytes += db_int(stmt, 0);
	return db_finish(stmt, result) < 0 ? -1 : bytes < bytes_max ? bytes : bytes_max;
}

long long
context_estimate(
    struct db_tx *tx, long long thread, struct json_object *options, long long tokens_max)
{
	long long bytes_max = tokens_max * BYTES_A_TOKEN;
	long long messages =
	    add_sizes(db_prepare(tx,
			  "SELECT length(CAST(content AS BLOB)) FROM messages WHERE thread = ? "
			  "ORDER BY seq DESC"),
		thread, bytes_max);
	long long calls =
	    add_sizes(db_prepare(tx,
			  "SELECT length(CAST(details AS BLOB)) FROM run_steps WHERE thread = ? "
			  "ORDER BY after_message DESC, seq DESC"),
		thread, bytes_max);

	if (messages < 0 || calls < 0)
		return -1;
	return (messages + calls < bytes_max ? messages + calls : bytes_max) +
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
