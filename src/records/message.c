#include "records/message.h"

#include "records/thread_delete.h"
#include "text/json.h"
#include "text/text.h"

enum {
	ID,
	THREAD_ID,
	CREATED_AT,
	COMPLETED_AT,
	INCOMPLETE_AT,
	REASON,
	ROLE,
	CONTENT,
	BODY,
	RUN_ID,
	ASSISTANT_ID,
	/* Only exports have these. */
	ITEMS,
	TENANT
};
#define COLUMNS                                                                                    \
	"m.id, t.id, m.created_at, m.completed_at, m.incomplete_at, m.incomplete_reason, m.role, " \
	"m.content, m.body, r.id, r.assistant_id"
#define TABLES                                                                                     \
	" FROM messages m JOIN threads t ON t.seq = m.thread LEFT JOIN runs r ON r.seq = m.run "
#define SELECT "SELECT " COLUMNS TABLES
#define RANGE " = ? AND m.seq > ? AND m.seq < ? ORDER BY m.seq"
#define OWNED "WHERE id = ? AND thread = ?"

const char *const message_role_words[] = {"user", "assistant", NULL};
const char *const message_reason_words[] = {
    "max_tokens", "content_filter", "run_cancelled", "run_expired", "run_failed", NULL};

enum message_reason
message_reason_of(const char *word)
{
	return (enum message_reason)(1 + word_find(message_reason_words, word));
}

static const char *
reason_word(enum message_reason reason)
{
	return reason == MESSAGE_REASON_NONE ? NULL : message_reason_words[reason - 1];
}

struct json_object *
message_json(const struct message *message)
{
	struct json_object *object = json_new_object(), *details = NULL;

	if (message->reason != MESSAGE_REASON_NONE) {
		details = json_new_object();
		json_set_string(details, "reason", reason_word(message->reason));
	}
	json_set_string(object, "id", message->id);
	json_set_string(object, "object", "thread.message");
	json_set_int(object, "created_at", message->created_at);
	json_set_string(object, "assistant_id", message->assistant_id);
	json_set_string(object, "thread_id", message->thread_id);
	json_set_string(object, "run_id", message->run_id);
	json_set_string(object, "status",
	    message->incomplete_at      ? "incomplete"
		: message->completed_at ? "completed"
					: "in_progress");
	json_set(object, "incomplete_details", details);
	json_set(object, "completed_at", record_time(message->completed_at));
	json_set(object, "incomplete_at", record_time(message->incomplete_at));
	json_set_string(object, "role", message_role_words[message->role]);
	json_set(object, "content",
	    message->content ? json_object_get(message->content) : json_new_array());
	json_copy(object, message->body, "attachments");
	json_copy(object, message->body, "metadata");
	json_default(object, "attachments", json_new_array());
	json_default(object, "metadata", json_new_object());
	return object;
}

enum message_role
message_role_of(const char *word)
{
	return word_find(message_role_words, word) == MESSAGE_ASSISTANT ? MESSAGE_ASSISTANT
									: MESSAGE_USER;
}

void
message_of_json(struct json_object *object, struct message *message)
{
	struct json_object *details = json_get(object, "incomplete_details");
	const char *status = json_get_string(object, "status");
	bool incomplete = status && strcmp(status, "incomplete") == 0;

	*message = (struct message){
	    .id = json_get_string(object, "id"),
	    .run_id = json_get_string(object, "run_id"),
	    .created_at = json_get_int(object, "created_at", 0),
	    .completed_at = json_get_int(object, "completed_at", 0),
	    /* Some servers do not send the time; 1 marks it as incomplete. */
	    .incomplete_at = json_get_int(object, "incomplete_at", incomplete),
	    .role = message_role_of(json_get_string(object, "role")),
	    .reason = message_reason_of(json_get_string(details, "reason")),
	    .content = json_get_array(object, "content"),
	};
}

/* A message imported without its run has the ids of run and assistant in its body. */
static struct json_object *
json(struct db_stmt *row)
{
	struct json_object *body = record_json(row, BODY), *content = record_json(row, CONTENT);
	bool has_run = !db_is_null(row, RUN_ID);
	struct message message = {
	    .id = db_text(row, ID),
	    .thread_id = db_text(row, THREAD_ID),
	    .created_at = db_int(row, CREATED_AT),
	    .completed_at = db_int(row, COMPLETED_AT),
	    .incomplete_at = db_int(row, INCOMPLETE_AT),
	    .reason = message_reason_of(db_text(row, REASON)),
	    .role = message_role_of(db_text(row, ROLE)),
	    .content = content,
	    .body = body,
	    .run_id = has_run ? db_text(row, RUN_ID) : json_get_string(body, "run_id"),
	    .assistant_id =
		has_run ? db_text(row, ASSISTANT_ID) : json_get_string(body, "assistant_id"),
	};
	struct json_object *object = message_json(&message);

	json_object_put(content);
	json_object_put(body);
	return object;
}

const struct record message_record = {
    .find = SELECT "WHERE m.id = ? AND m.thread = ?",
    .list = {SELECT "WHERE m.thread" RANGE " LIMIT ?",
	SELECT "WHERE m.thread" RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM messages " OWNED,
    .body = "SELECT body FROM messages " OWNED,
    .store_body = "UPDATE messages SET body = ? " OWNED,
    .remove = "DELETE FROM messages " OWNED,
    .json = json,
};

const struct record run_message_record = {
    .list = {SELECT "WHERE m.run" RANGE " LIMIT ?", SELECT "WHERE m.run" RANGE " DESC LIMIT ?"},
    /* The cursor may be any message of the thread, also one of another run. */
    .cursor = "SELECT m.seq FROM messages m JOIN runs r ON r.thread = m.thread "
	      "WHERE m.id = ? AND r.seq = ?",
    .json = json,
};

int
message_insert(struct db_tx *tx, const struct message *message)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO messages (id, thread, run, created_at, completed_at, incomplete_at, "
	    "incomplete_reason, role, content, items, body) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");

	db_bind_text(stmt, 1, message->id);
	db_bind_int(stmt, 2, message->thread);
	if (message->run)
		db_bind_int(stmt, 3, message->run);
	db_bind_int(stmt, 4, message->created_at);
	db_bind_time(stmt, 5, message->completed_at);
	db_bind_time(stmt, 6, message->incomplete_at);
	db_bind_text(stmt, 7, reason_word(message->reason));
	db_bind_text(stmt, 8, message_role_words[message->role]);
	record_bind_json(stmt, 9, message->content);
	record_bind_json(stmt, 10, message->items);
	db_bind_text(stmt, 11, message->body ? json_text(message->body) : "{}");
	return db_execute(stmt);
}

int
message_of_user(struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT 1 FROM messages WHERE thread = ? AND role = 'user' LIMIT 1");
	long long one;

	db_bind_int(stmt, 1, thread);
	return record_number(stmt, &one);
}

long long
message_last(struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT seq FROM messages WHERE thread = ? ORDER BY seq DESC LIMIT 1");
	long long seq = 0;

	db_bind_int(stmt, 1, thread);
	return record_number(stmt, &seq) < 0 ? -1 : seq;
}

const char message_export_sql[] = "SELECT " COLUMNS ", m.items, t.tenant" TABLES
				  "WHERE t.tenant <> " REMOVED_TENANT " ORDER BY m.seq";

struct json_object *
message_exported(struct db_stmt *row)
{
	struct json_object *message = json(row), *items = record_json(row, ITEMS), *stored;

	json_set_string(message, "tenant", db_text(row, TENANT));
	if (items) {
		stored = json_new_object();
		json_set(stored, "items", items);
		json_set(message, "stored", stored);
	}
	return message;
}
