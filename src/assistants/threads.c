/*
 * Threads: what holds a conversation's messages together.
 */
#include "assistants/room.h"
#include "util/clock.h"

#define COLUMNS "id, created_at, body"

static const struct field fields[] = {
    {"messages", FIELD_ARRAY, false, 0, 0, NULL},
    {"tool_resources", FIELD_OBJECT, false, 0, 0, NULL},
    {"metadata", FIELD_METADATA, false, 0, 0, NULL},
};

enum { FIELDS_LEN = sizeof fields / sizeof *fields };

static struct json_object *
compose(const char *id, long long created_at, struct json_object *body)
{
	struct json_object *thread = json_object_new_object();

	json_set_string(thread, "id", id);
	json_set_string(thread, "object", "thread");
	json_set_int(thread, "created_at", created_at);
	copy_member(thread, body, "tool_resources");
	copy_member(thread, body, "metadata");
	return thread;
}

static enum db_result
insert(
    struct db_tx *tx, const char *tenant, const char *id, long long now, struct json_object *body)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "INSERT INTO threads (id, tenant, created_at, body) VALUES (?, ?, ?, ?)");

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	db_bind_int(stmt, 3, now);
	db_bind_text(stmt, 4, json_text(body));
	return db_finish(stmt, db_step(stmt));
}

void
threads_create(struct call *call)
{
	struct json_object *body = body_object(call), *stored = json_object_new_object();
	struct json_object *messages = json_get_array(body, "messages");
	long long now = clock_unix();
	char id[ID_SIZE];
	struct db_tx *tx;

	if (!body || !check_fields(call, body, fields, FIELDS_LEN, "") ||
	    !messages_check(call, messages, "messages"))
		goto out;
	copy_member(stored, body, "tool_resources");
	copy_member(stored, body, "metadata");
	if (!json_get(stored, "metadata"))
		json_set(stored, "metadata", json_object_new_object());
	id_new(id, "thread_");
	tx = db_begin(call->api->db, DB_WRITE);
	if (tx && insert(tx, call->request->tenant, id, now, stored) == DB_DONE &&
	    messages_insert(tx, db_insert_seq(tx), messages) == DB_DONE) {
		if (db_commit(tx) == 0)
			answer(call, 200, compose(id, now, stored));
		else
			fail(call);
	} else {
		db_rollback(tx);
		fail(call);
	}
out:
	json_object_put(stored);
	json_object_put(body);
}

void
threads_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	struct json_object *body;
	enum db_result result;
	struct db_stmt *stmt;

	if (!tx) {
		fail(call);
		return;
	}
	stmt = db_prepare(tx, "SELECT " COLUMNS " FROM threads WHERE id = ? AND tenant = ?");
	db_bind_text(stmt, 1, call->params[0]);
	db_bind_text(stmt, 2, call->request->tenant);
	result = db_step(stmt);
	if (result == DB_ROW) {
		body = json_column(stmt, 2);
		answer(call, 200, compose(db_text(stmt, 0), db_int(stmt, 1), body));
		json_object_put(body);
	} else if (result == DB_DONE) {
		refuse_unknown(call, "thread", "thread", call->params[0]);
	} else {
		fail(call);
	}
	db_finish(stmt, result);
	db_rollback(tx);
}

void
threads_delete(struct call *call)
{
	/*
	 * Messages, runs and steps go with it; a run that is carried out finds itself gone, and
	 * ends.
	 */
	delete_object(call, "DELETE FROM threads WHERE id = ? AND tenant = ?", "thread", "thread");
}

int
thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT seq FROM threads WHERE id = ? AND tenant = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	result = db_step(stmt);
	if (result == DB_ROW)
		*seq = db_int(stmt, 0);
	return db_finish(stmt, result);
}
