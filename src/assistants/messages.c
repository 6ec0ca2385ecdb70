/*
 * Messages: what was said in a thread, by its user or by an assistant's run.
 */
#include "assistants/room.h"

#include "assistants/runs.h"
#include "util/clock.h"

#define COLUMNS                                                                                    \
	"m.id, m.created_at, m.completed_at, m.incomplete_at, m.incomplete_reason, m.role, "       \
	"m.content, m.body, r.id, r.assistant_id"
#define LIST "SELECT " COLUMNS " FROM messages m LEFT JOIN runs r ON r.seq = m.run WHERE "
#define RANGE " = ? AND m.seq > ? AND m.seq < ? ORDER BY m.seq"

static const char *const roles[] = {"user", "assistant", NULL};

static const struct field fields[] = {
    {"role", FIELD_STRING, true, 0, 0, roles},
    {"content", FIELD_STRING | FIELD_ARRAY, true, 1, 256000, NULL},
    {"attachments", FIELD_ARRAY, false, 0, 0, NULL},
    {"metadata", FIELD_METADATA, false, 0, 0, NULL},
};

static const struct field part_fields[] = {
    {"type", FIELD_STRING, true, 0, 0, (const char *const[]){"text", NULL}},
    {"text", FIELD_STRING, true, 0, 256000, NULL},
};

static bool
message_check(struct call *call, struct json_object *message, const char *prefix)
{
	struct json_object *content;
	char part_prefix[96];

	if (!json_object_is_type(message, json_type_object)) {
		refuse(call, NULL, "A message must be an object.");
		return false;
	}
	if (!check_fields(call, message, fields, sizeof fields / sizeof *fields, prefix))
		return false;
	content = json_get_array(message, "content");
	for (size_t i = 0; i < json_len(content); i++) {
		snprintf(part_prefix, sizeof part_prefix, "%scontent[%zu].", prefix, i);
		if (!json_object_is_type(json_at(content, i), json_type_object)) {
			refuse(
			    call, part_prefix, "A part of a message's content must be an object.");
			return false;
		}
		if (!check_fields(call, json_at(content, i), part_fields,
			sizeof part_fields / sizeof *part_fields, part_prefix))
			return false;
	}
	return true;
}

bool
messages_check(struct call *call, struct json_object *messages, const char *name)
{
	char prefix[64];

	for (size_t i = 0; i < json_len(messages); i++) {
		snprintf(prefix, sizeof prefix, "%s[%zu].", name, i);
		if (!message_check(call, json_at(messages, i), prefix))
			return false;
	}
	return true;
}

/* A client's content, a string or parts, as the API shows it. */
static struct json_object *
content_of(struct json_object *message)
{
	struct json_object *given = json_get(message, "content"),
			   *content = json_object_new_array();

	if (json_object_is_type(given, json_type_string))
		json_add(content, model_text_part(json_object_get_string(given)));
	for (size_t i = 0; i < json_len(given); i++)
		json_add(content, model_text_part(json_get_string(json_at(given, i), "text")));
	return content;
}

/* What all messages have; body is attachments and metadata. */
struct parts {
	const char *id, *thread_id, *role, *run_id, *assistant_id, *incomplete_reason;
	long long created_at;
	struct json_object *completed_at, *incomplete_at, *content,
	    *body; /* references given away */
};

static struct json_object *
compose_parts(const struct parts *parts)
{
	struct json_object *message = json_object_new_object(), *details = NULL;
	const char *status = parts->incomplete_at ? "incomplete"
	    : parts->completed_at                 ? "completed"
						  : "in_progress";

	if (parts->incomplete_reason) {
		details = json_object_new_object();
		json_set_string(details, "reason", parts->incomplete_reason);
	}
	json_set_string(message, "id", parts->id);
	json_set_string(message, "object", "thread.message");
	json_set_int(message, "created_at", parts->created_at);
	json_set_string(message, "assistant_id", parts->assistant_id);
	json_set_string(message, "thread_id", parts->thread_id);
	json_set_string(message, "run_id", parts->run_id);
	json_set_string(message, "status", status);
	json_set(message, "incomplete_details", details);
	json_set(message, "completed_at", parts->completed_at);
	json_set(message, "incomplete_at", parts->incomplete_at);
	json_set_string(message, "role", parts->role);
	json_set(message, "content", parts->content);
	copy_member(message, parts->body, "attachments");
	copy_member(message, parts->body, "metadata");
	if (!json_get(message, "attachments"))
		json_set(message, "attachments", json_object_new_array());
	if (!json_get(message, "metadata"))
		json_set(message, "metadata", json_object_new_object());
	json_object_put(parts->body);
	return message;
}

static struct json_object *
compose(struct db_stmt *row, void *thread_id)
{
	return compose_parts(&(struct parts){
	    .id = db_text(row, 0),
	    .thread_id = thread_id,
	    .created_at = db_int(row, 1),
	    .completed_at = time_or_null(row, 2),
	    .incomplete_at = time_or_null(row, 3),
	    .incomplete_reason = db_text(row, 4),
	    .role = db_text(row, 5),
	    .content = json_column(row, 6),
	    .body = json_column(row, 7),
	    .run_id = db_text(row, 8),
	    .assistant_id = db_text(row, 9),
	});
}

struct json_object *
run_message_compose(const struct run *run, const struct run_message *message)
{
	return compose_parts(&(struct parts){
	    .id = message->id,
	    .thread_id = run->thread_id,
	    .created_at = message->created_at,
	    .completed_at =
		message->completed_at ? json_object_new_int64(message->completed_at) : NULL,
	    .incomplete_at =
		message->incomplete_at ? json_object_new_int64(message->incomplete_at) : NULL,
	    .incomplete_reason = message->incomplete_reason,
	    .role = "assistant",
	    .content =
		message->content ? json_object_get(message->content) : json_object_new_array(),
	    .run_id = run->id,
	    .assistant_id = run->assistant_id,
	});
}

enum db_result
run_message_insert(struct db_tx *tx, const struct run *run, const struct run_message *message)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO messages (id, thread, run, created_at, completed_at, incomplete_at, "
	    "incomplete_reason, role, content, body) VALUES (?, ?, ?, ?, ?, ?, ?, 'assistant', ?, "
	    "'{}')");

	db_bind_text(stmt, 1, message->id);
	db_bind_int(stmt, 2, run->thread);
	db_bind_int(stmt, 3, run->seq);
	db_bind_int(stmt, 4, message->created_at);
	db_bind_time(stmt, 5, message->completed_at);
	db_bind_time(stmt, 6, message->incomplete_at);
	db_bind_text(stmt, 7, message->incomplete_reason);
	db_bind_text(stmt, 8, json_text(message->content));
	return db_finish(stmt, db_step(stmt));
}

static enum db_result
message_insert(struct db_tx *tx, long long thread, struct json_object *message, char id[ID_SIZE])
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO messages (id, thread, created_at, completed_at, role, content, body) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?)");
	struct json_object *content = content_of(message), *body = json_object_new_object();
	long long now = clock_unix();

	id_new(id, "msg_");
	copy_member(body, message, "attachments");
	copy_member(body, message, "metadata");
	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, now);
	db_bind_int(stmt, 4, now);
	db_bind_text(stmt, 5, json_get_string(message, "role"));
	db_bind_text(stmt, 6, json_text(content));
	db_bind_text(stmt, 7, json_text(body));
	json_object_put(content);
	json_object_put(body);
	return db_finish(stmt, db_step(stmt));
}

enum db_result
messages_insert(struct db_tx *tx, long long thread, struct json_object *messages)
{
	char id[ID_SIZE];

	for (size_t i = 0; i < json_len(messages); i++) {
		enum db_result result = message_insert(tx, thread, json_at(messages, i), id);

		if (result != DB_DONE)
			return result;
	}
	return DB_DONE;
}

/* Answers a message of the thread as it is in the transaction. */
static enum db_result
answer_message(struct call *call, struct db_tx *tx, long long thread, const char *id)
{
	struct db_stmt *stmt = db_prepare(tx, LIST "m.id = ? AND m.thread = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	result = db_step(stmt);
	if (result == DB_ROW)
		answer(call, 200, compose(stmt, call->params[0]));
	else if (result == DB_DONE)
		refuse_unknown(call, "message", "msg", id);
	return db_finish(stmt, result);
}

/* The call's thread. False when there is none, or the database failed: answered. */
static bool
find_thread(struct call *call, struct db_tx *tx, long long *thread)
{
	int found = tx ? thread_find(tx, call->request->tenant, call->params[0], thread) : -1;

	if (found == 0)
		refuse_unknown(call, "thread", "thread", call->params[0]);
	else if (found < 0)
		fail(call);
	return found == 1;
}

void
messages_create(struct call *call)
{
	struct json_object *body = body_object(call);
	char id[ID_SIZE], run_id[ID_SIZE];
	struct db_tx *tx = NULL;
	long long thread;
	int active;

	if (!body || !message_check(call, body, ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	if (!find_thread(call, tx, &thread))
		goto out;
	active = run_active(call->api, tx, thread, run_id);
	if (active == 1) {
		refuse(call, NULL, "Can't add messages to %s while a run %s is active.",
		    call->params[0], run_id);
		goto out;
	}
	if (active < 0 || message_insert(tx, thread, body, id) != DB_DONE ||
	    answer_message(call, tx, thread, id) != DB_ROW) {
		fail(call);
		goto out;
	}
	if (db_commit(tx) < 0)
		fail(call);
	tx = NULL;
out:
	db_rollback(tx);
	json_object_put(body);
}

/* A run's messages are found by its own index, not by looking through the thread. */
static bool
choose_statements(struct call *call, struct list *list, const char *run_id)
{
	int found;

	list->sql_ascending = LIST "m.thread" RANGE " LIMIT ?";
	list->sql_descending = LIST "m.thread" RANGE " DESC LIMIT ?";
	list->cursor_sql = "SELECT seq FROM messages WHERE id = ? AND thread = ?";
	if (!run_id)
		return true;
	found = run_find(list->tx, list->owner, run_id, &list->owner);
	list->sql_ascending = LIST "m.run" RANGE " LIMIT ?";
	list->sql_descending = LIST "m.run" RANGE " DESC LIMIT ?";
	list->cursor_sql = "SELECT seq FROM messages WHERE id = ? AND run = ?";
	if (found == 0)
		refuse_unknown(call, "run", "run", run_id);
	else if (found < 0)
		fail(call);
	return found == 1;
}

void
messages_list(struct call *call)
{
	struct list list = {
	    .kind = "message", .prefix = "msg", .compose = compose, .arg = call->params[0]};
	struct page page;

	if (!page_read(call, &page, true))
		return;
	list.tx = db_begin(call->api->db, DB_READ);
	if (find_thread(call, list.tx, &list.owner) && choose_statements(call, &list, page.run_id))
		list_answer(call, &page, &list);
	else
		db_rollback(list.tx);
	page_free(&page);
}

void
messages_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	long long thread;

	if (find_thread(call, tx, &thread) && answer_message(call, tx, thread, call->params[1]) < 0)
		fail(call);
	db_rollback(tx);
}

struct json_object *
messages_context(struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT role, content FROM messages WHERE thread = ? ORDER BY seq");
	struct json_object *context = json_object_new_array();
	enum db_result result;

	db_bind_int(stmt, 1, thread);
	while ((result = db_step(stmt)) == DB_ROW) {
		struct json_object *message = json_object_new_object();

		json_set_string(message, "role", db_text(stmt, 0));
		json_set(message, "content", json_column(stmt, 1));
		json_add(context, message);
	}
	if (db_finish(stmt, result) == DB_DONE)
		return context;
	json_object_put(context);
	return NULL;
}
