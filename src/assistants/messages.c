/*
 * Messages: what was said in a thread, by its user or by an assistant's run.
 */
#include "assistants/internal.h"
#include "assistants/thread_delete.h"

#include "assistants/runs.h"
#include "os/clock.h"

#define COLUMNS                                                                                    \
	"m.id, m.created_at, m.completed_at, m.incomplete_at, m.incomplete_reason, m.role, "       \
	"m.content, m.body, r.id, r.assistant_id"
#define LIST "SELECT " COLUMNS " FROM messages m LEFT JOIN runs r ON r.seq = m.run WHERE "
#define RANGE " = ? AND m.seq > ? AND m.seq < ? ORDER BY m.seq"

#define FIELDS(array) (array), sizeof(array) / sizeof *(array)

enum { TEXT_MAX = 256000 };

static const char *const roles[] = {"user", "assistant", NULL};

static const struct field text_fields[] = {
    {"type", FIELD_STRING, true},
    {"text", FIELD_STRING, true, 1, TEXT_MAX},
};

static const char *const detail_words[] = {"auto", "low", "high", NULL};

static const struct field url_fields[] = {
    {"url", FIELD_URL, true},
    {"detail", FIELD_STRING, .words = detail_words},
};

static const struct shape url = {NULL, FIELDS(url_fields)};

static const struct field url_part_fields[] = {
    {"type", FIELD_STRING, true},
    {"image_url", FIELD_OBJECT, true, .shapes = &url},
};

static const struct field file_fields[] = {
    {"file_id", FIELD_STRING, true, 1, 256},
    {"detail", FIELD_STRING, .words = detail_words},
};

static const struct shape file = {NULL, FIELDS(file_fields)};

static const struct field file_part_fields[] = {
    {"type", FIELD_STRING, true},
    {"image_file", FIELD_OBJECT, true, .shapes = &file},
};

static const struct shape part_shapes[] = {
    {"text", FIELDS(text_fields)},
    {"image_url", FIELDS(url_part_fields)},
    {"image_file", FIELDS(file_part_fields)},
    {NULL},
};

static const struct field part_element = {.types = FIELD_OBJECT, .shapes = part_shapes};

static const struct field attachment_fields[] = {
    {"file_id", FIELD_STRING, true, 1, 256},
    {"tools", FIELD_ARRAY, true, .element = &attachment_tool_element},
};

static const struct shape attachment = {NULL, FIELDS(attachment_fields)};
static const struct field attachment_element = {.types = FIELD_OBJECT, .shapes = &attachment};

static const struct field new_fields[] = {
    {"role", FIELD_STRING, true, .words = roles},
    {"content", FIELD_STRING | FIELD_ARRAY, true, 1, TEXT_MAX, .element = &part_element},
    {"attachments", FIELD_ARRAY, .element = &attachment_element},
    {"metadata", FIELD_METADATA},
};

static const struct shape new_message = {NULL, FIELDS(new_fields)};
static const struct field message_element = {.types = FIELD_OBJECT, .shapes = &new_message};

static const struct field fields[] = {{"metadata", FIELD_METADATA}};

bool
messages_check(struct call *call, struct json_object *messages, const char *name)
{
	static const struct field field = {.types = FIELD_ARRAY, .element = &message_element};

	return check_value(call, &field, name, messages);
}

/* A client's part as the API shows it. */
static struct json_object *
part_shown(struct json_object *part)
{
	const char *type = json_get_string(part, "type");
	struct json_object *shown, *given = json_get_object(part, type), *image;

	if (!given)
		return model_text_part(json_get_string(part, "text"));
	shown = json_object_new_object();
	image = json_object_new_object();
	json_object_object_foreach(given, name, value)
	{
		json_set(image, name, json_object_get(value));
	}
	if (!json_get(image, "detail"))
		json_set_string(image, "detail", "auto");
	json_set_string(shown, "type", type);
	json_set(shown, type, image);
	return shown;
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
		json_add(content, part_shown(json_at(given, i)));
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

/* The run and the assistant of a message that was imported without its run are in its body. */
static struct json_object *
compose(struct db_stmt *row, void *thread_id)
{
	struct json_object *body = json_column(row, 7);
	bool has_run = !db_is_null(row, 8);

	return compose_parts(&(struct parts){
	    .id = db_text(row, 0),
	    .thread_id = thread_id ? thread_id : db_text(row, 10),
	    .created_at = db_int(row, 1),
	    .completed_at = time_or_null(row, 2),
	    .incomplete_at = time_or_null(row, 3),
	    .incomplete_reason = db_text(row, 4),
	    .role = db_text(row, 5),
	    .content = json_column(row, 6),
	    .body = body,
	    .run_id = has_run ? db_text(row, 8) : json_get_string(body, "run_id"),
	    .assistant_id = has_run ? db_text(row, 9) : json_get_string(body, "assistant_id"),
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

/* A message as it is kept; 0 and NULL: none. */
struct kept {
	const char *id, *role, *incomplete_reason;
	long long thread, run, created_at, completed_at, incomplete_at;
	struct json_object *content, *items, *body;
};

static enum db_result
insert(struct db_tx *tx, const struct kept *kept)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO messages (id, thread, run, created_at, completed_at, incomplete_at, "
	    "incomplete_reason, role, content, items, body) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	db_bind_text(stmt, 1, kept->id);
	db_bind_int(stmt, 2, kept->thread);
	if (kept->run)
		db_bind_int(stmt, 3, kept->run);
	db_bind_int(stmt, 4, kept->created_at);
	db_bind_time(stmt, 5, kept->completed_at);
	db_bind_time(stmt, 6, kept->incomplete_at);
	db_bind_text(stmt, 7, kept->incomplete_reason);
	db_bind_text(stmt, 8, kept->role);
	db_bind_text(stmt, 9, json_text(kept->content));
	db_bind_text(stmt, 10, kept->items ? json_text(kept->items) : NULL);
	db_bind_text(stmt, 11, kept->body ? json_text(kept->body) : "{}");
	return db_finish(stmt, db_step(stmt));
}

enum db_result
run_message_insert(struct db_tx *tx, const struct run *run, const struct run_message *message)
{
	return insert(tx,
	    &(struct kept){
		.id = message->id,
		.thread = run->thread,
		.run = run->seq,
		.created_at = message->created_at,
		.completed_at = message->completed_at,
		.incomplete_at = message->incomplete_at,
		.incomplete_reason = message->incomplete_reason,
		.role = "assistant",
		.content = message->content,
		.items = message->items,
	    });
}

static enum db_result
message_insert(struct db_tx *tx, long long thread, struct json_object *message, char id[ID_SIZE])
{
	struct json_object *body = json_object_new_object();
	struct kept kept = {
	    .id = id,
	    .thread = thread,
	    .created_at = clock_unix(),
	    .role = json_get_string(message, "role"),
	    .content = content_of(message),
	    .body = body,
	};
	enum db_result result;

	id_new_in_order(id, "msg_");
	kept.completed_at = kept.created_at;
	copy_member(body, message, "attachments");
	copy_member(body, message, "metadata");
	result = insert(tx, &kept);
	json_object_put(kept.content);
	json_object_put(body);
	return result;
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

/* A message of the call's thread, put by the caller. 1 found, 0 not, -1 failed. */
static int
load_message(struct call *call, struct db_tx *tx, long long thread, const char *id,
    struct json_object **message)
{
	struct db_stmt *stmt = db_prepare(tx, LIST "m.id = ? AND m.thread = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	result = db_step(stmt);
	*message = result == DB_ROW ? compose(stmt, call->params[0]) : NULL;
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

bool
call_message(struct call *call, struct db_tx *tx, struct json_object **message)
{
	long long thread;
	int found;

	if (!find_thread(call, tx, &thread))
		return false;
	found = load_message(call, tx, thread, call->params[1], message);
	if (found == 0)
		refuse_unknown(call, "message", "msg", call->params[1]);
	else if (found < 0)
		fail(call);
	return found == 1;
}

void
messages_create(struct call *call)
{
	struct json_object *body = body_object(call), *message = NULL;
	char id[ID_SIZE], run_id[ID_SIZE];
	struct db_tx *tx = NULL;
	int active, found = -1;
	long long thread;

	if (!body || !check_fields(call, body, FIELDS(new_fields), ""))
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
	if (active == 0 && message_insert(tx, thread, body, id) == DB_DONE)
		found = load_message(call, tx, thread, id, &message);
	answer_found(call, tx, found, message, "message", "msg", id);
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
	/* Any message of the thread is a place in it. */
	list->cursor_sql = "SELECT m.seq FROM messages m JOIN runs r ON r.thread = m.thread WHERE "
			   "m.id = ? AND r.seq = ?";
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
	const char *id = call->params[1];
	struct json_object *message;
	long long thread;
	int found;

	if (!find_thread(call, tx, &thread)) {
		db_rollback(tx);
		return;
	}
	found = load_message(call, tx, thread, id, &message);
	answer_found(call, tx, found, message, "message", "msg", id);
}

static int
load_stored(struct db_tx *tx, long long thread, const char *id, struct json_object **stored)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT body FROM messages WHERE id = ? AND thread = ?");

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	return body_load(stmt, stored);
}

static enum db_result
update_body(struct db_tx *tx, const char *id, struct json_object *stored)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE messages SET body = ? WHERE id = ?");

	db_bind_text(stmt, 1, json_text(stored));
	db_bind_text(stmt, 2, id);
	return db_finish(stmt, db_step(stmt));
}

void
messages_modify(struct call *call)
{
	struct json_object *body = body_object(call), *stored = NULL, *message = NULL;
	const char *id = call->params[1];
	struct db_tx *tx = NULL;
	long long thread;
	int found;

	if (!body || !check_fields(call, body, FIELDS(fields), ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	if (!find_thread(call, tx, &thread))
		goto out;
	found = load_stored(tx, thread, id, &stored);
	if (found == 1) {
		json_object_object_foreach(body, name, value)
		{
			json_set(stored, name, json_object_get(value));
		}
		found = update_body(tx, id, stored) == DB_DONE
		    ? load_message(call, tx, thread, id, &message)
		    : -1;
	}
	answer_found(call, tx, found, message, "message", "msg", id);
	tx = NULL;
out:
	db_rollback(tx);
	json_object_put(stored);
	json_object_put(body);
}

/* Also while a run is active: what it was asked with, it already knows. */
void
messages_delete(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	const char *id = call->params[1];
	struct db_stmt *stmt;
	long long thread;
	int found = -1;

	if (!find_thread(call, tx, &thread)) {
		db_rollback(tx);
		return;
	}
	stmt = db_prepare(tx, "DELETE FROM messages WHERE id = ? AND thread = ?");
	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		found = db_changes(tx) > 0;
	answer_found(call, tx, found, deleted_object(id, "thread.message"), "message", "msg", id);
}

/* --- moving in and out --- */

const char messages_export_sql[] =
    "SELECT " COLUMNS ", t.id, t.tenant, m.items FROM messages m "
    "JOIN threads t ON t.seq = m.thread LEFT JOIN runs r ON r.seq = m.run "
    "WHERE t.tenant <> " REMOVAL_TENANT " ORDER BY m.seq";

struct json_object *
message_export(struct db_stmt *row)
{
	struct json_object *message = compose(row, NULL), *items = json_column(row, 12), *stored;

	json_set_string(message, "tenant", db_text(row, 11));
	if (items) {
		stored = json_object_new_object();
		json_set(stored, "items", items);
		json_set(message, "stored", stored);
	}
	return message;
}

/* Parts as the API shows them. */
static const struct field shown_words_fields[] = {
    {"value", FIELD_STRING, true},
    {"annotations", FIELD_ARRAY},
};
static const struct shape shown_words = {NULL, FIELDS(shown_words_fields)};
static const struct field shown_text_fields[] = {
    {"type", FIELD_STRING, true},
    {"text", FIELD_OBJECT, true, .shapes = &shown_words},
};
static const struct field shown_refusal_fields[] = {
    {"type", FIELD_STRING, true},
    {"refusal", FIELD_STRING, true},
};
static const struct shape shown_part_shapes[] = {
    {"text", FIELDS(shown_text_fields)},
    {"refusal", FIELDS(shown_refusal_fields)},
    {"image_url", FIELDS(url_part_fields)},
    {"image_file", FIELDS(file_part_fields)},
    {NULL},
};
static const struct field shown_part_element = {.types = FIELD_OBJECT, .shapes = shown_part_shapes};

static const struct field saved_fields[] = {
    {"role", FIELD_STRING, true, .words = roles},
    {"content", FIELD_ARRAY, true, .element = &shown_part_element},
    {"attachments", FIELD_ARRAY, .element = &attachment_element},
    {"metadata", FIELD_METADATA},
    {"run_id", FIELD_STRING},
    {"assistant_id", FIELD_STRING},
};

int
message_import(struct import *import)
{
	struct json_object *object = import->object, *body;
	struct json_object *saved = import_checked(import, FIELDS(saved_fields));
	struct kept kept = {
	    .id = json_get_string(object, "id"),
	    .created_at = json_get_int(object, "created_at", 0),
	    .completed_at = json_get_int(object, "completed_at", 0),
	    .incomplete_at = json_get_int(object, "incomplete_at", 0),
	    .incomplete_reason = json_get_string(json_get(object, "incomplete_details"), "reason"),
	    .items = json_get(import->stored, "items"),
	};
	const char *run_id = json_get_string(saved, "run_id");
	int found = 0, result = -1;

	if (!saved || !import_owner(import, &kept.thread, NULL)) {
		json_object_put(saved);
		return -1;
	}
	kept.role = json_get_string(saved, "role");
	kept.content = json_get(saved, "content");
	/* OpenAI says of most messages neither. */
	if (!kept.completed_at && !kept.incomplete_at)
		kept.completed_at = kept.created_at;
	if (run_id && strcmp(kept.role, "assistant") == 0)
		found = run_find(import->tx, kept.thread, run_id, &kept.run);
	body = json_object_new_object();
	copy_member(body, saved, "attachments");
	copy_member(body, saved, "metadata");
	if (found == 0) {
		copy_member(body, saved, "run_id");
		copy_member(body, saved, "assistant_id");
	}
	kept.body = body;
	result = import_result(import, found < 0 ? DB_ERROR : insert(import->tx, &kept));
	json_object_put(body);
	json_object_put(saved);
	return result;
}
