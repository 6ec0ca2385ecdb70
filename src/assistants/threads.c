/*
 * Threads: what holds a conversation's messages together.
 */
#include "assistants/internal.h"
#include "assistants/thread_delete.h"
#include "os/clock.h"

#define COLUMNS "id, created_at, body"

static const struct field new_fields[] = {
    {"messages", FIELD_ARRAY},
    {"tool_resources", FIELD_OBJECT, .shapes = &new_tool_resources},
    {"metadata", FIELD_METADATA},
};

static const struct field fields[] = {
    {"tool_resources", FIELD_OBJECT, .shapes = &tool_resources},
    {"metadata", FIELD_METADATA},
};

static struct json_object *
compose(struct db_stmt *row, void *arg)
{
	struct json_object *body = json_column(row, 2), *thread = json_object_new_object();

	(void)arg;
	json_set_string(thread, "id", db_text(row, 0));
	json_set_string(thread, "object", "thread");
	json_set_int(thread, "created_at", db_int(row, 1));
	json_set(thread, "tool_resources", tool_resources_shown(body));
	copy_member(thread, body, "metadata");
	if (!json_get(thread, "metadata"))
		json_set(thread, "metadata", json_object_new_object());
	json_object_put(body);
	return thread;
}

int
thread_load(struct db_tx *tx, const char *tenant, const char *id, struct json_object **thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT " COLUMNS " FROM threads WHERE id = ? AND tenant = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	result = db_step(stmt);
	*thread = result == DB_ROW ? compose(stmt, NULL) : NULL;
	return db_finish(stmt, result);
}

/* Answers the thread as it is in the transaction, which it ends. */
static void
answer_thread(struct call *call, struct db_tx *tx, const char *id)
{
	struct json_object *thread;
	int found = thread_load(tx, call->request->tenant, id, &thread);

	answer_found(call, tx, found, thread, "thread", "thread", id);
}

bool
thread_check(struct call *call, struct json_object *thread, const char *prefix)
{
	char messages[64];

	snprintf(messages, sizeof messages, "%smessages", prefix);
	return check_fields(
		   call, thread, new_fields, sizeof new_fields / sizeof *new_fields, prefix) &&
	    messages_check(call, json_get(thread, "messages"), messages);
}

static enum db_result
insert(struct db_tx *tx, const char *id, const char *tenant, long long created_at,
    struct json_object *body)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "INSERT INTO threads (id, tenant, created_at, body) VALUES (?, ?, ?, ?)");

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	db_bind_int(stmt, 3, created_at);
	db_bind_text(stmt, 4, json_text(body));
	return db_finish(stmt, db_step(stmt));
}

enum db_result
thread_insert(struct db_tx *tx, const char *tenant, struct json_object *thread, char id[ID_SIZE],
    long long *seq)
{
	struct json_object *stored = json_object_new_object();
	enum db_result result;

	id_new(id, "thread_");
	copy_member(stored, thread, "tool_resources");
	copy_member(stored, thread, "metadata");
	result = insert(tx, id, tenant, clock_unix(), stored);
	json_object_put(stored);
	if (result != DB_DONE)
		return result;
	*seq = db_insert_seq(tx);
	return messages_insert(tx, *seq, json_get(thread, "messages"));
}

void
threads_create(struct call *call)
{
	struct json_object *body = body_object(call);
	char id[ID_SIZE];
	struct db_tx *tx;
	long long seq;

	if (!body || !thread_check(call, body, ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	if (tx && thread_insert(tx, call->request->tenant, body, id, &seq) == DB_DONE) {
		answer_thread(call, tx, id);
	} else {
		db_rollback(tx);
		fail(call);
	}
out:
	json_object_put(body);
}

void
threads_list(struct call *call)
{
	struct list list = {
	    .sql_ascending =
		"SELECT " COLUMNS " FROM threads WHERE tenant = ? AND seq > ? AND seq < ?"
		" ORDER BY seq LIMIT ?",
	    .sql_descending =
		"SELECT " COLUMNS " FROM threads WHERE tenant = ? AND seq > ? AND seq < ?"
		" ORDER BY seq DESC LIMIT ?",
	    .cursor_sql = "SELECT seq FROM threads WHERE id = ? AND tenant = ?",
	    .kind = "thread",
	    .prefix = "thread",
	    .tenant = call->request->tenant,
	    .compose = compose,
	};
	struct page page;

	if (!page_read(call, &page, false))
		return;
	list.tx = db_begin(call->api->db, DB_READ);
	if (list.tx)
		list_answer(call, &page, &list);
	else
		fail(call);
	page_free(&page);
}

void
threads_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);

	if (tx)
		answer_thread(call, tx, call->params[0]);
	else
		fail(call);
}

static int
load_stored(struct db_tx *tx, const char *tenant, const char *id, struct json_object **stored)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT body FROM threads WHERE id = ? AND tenant = ?");

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	return body_load(stmt, stored);
}

static enum db_result
update_body(struct db_tx *tx, const char *id, struct json_object *stored)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE threads SET body = ? WHERE id = ?");

	db_bind_text(stmt, 1, json_text(stored));
	db_bind_text(stmt, 2, id);
	return db_finish(stmt, db_step(stmt));
}

void
threads_modify(struct call *call)
{
	struct json_object *body = body_object(call), *stored = NULL;
	const char *id = call->params[0];
	struct db_tx *tx;
	int found;

	if (!body || !check_fields(call, body, fields, sizeof fields / sizeof *fields, ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	found = tx ? load_stored(tx, call->request->tenant, id, &stored) : -1;
	if (found == 1) {
		json_object_object_foreach(body, name, value)
		{
			json_set(stored, name, json_object_get(value));
		}
		if (update_body(tx, id, stored) != DB_DONE)
			found = -1;
	}
	if (found == 1)
		answer_thread(call, tx, id);
	else
		answer_found(call, tx, found, NULL, "thread", "thread", id);
out:
	json_object_put(stored);
	json_object_put(body);
}

void
threads_delete(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	const char *id = call->params[0];
	long long thread = 0;
	int found = tx ? thread_find(tx, call->request->tenant, id, &thread) : -1;

	/* Messages, runs and steps go with it. */
	if (found == 1 && removal_begin(tx, &call->api->budgets, thread) < 0)
		found = -1;
	answer_found(call, tx, found, deleted_object(id, "thread"), "thread", "thread", id);
	/* Of others', too, where nothing is found: one of them may be what was asked for before. */
	if (call->response->status < 500)
		removal_finish(call->api->db);
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

/* --- moving in and out --- */

const char threads_export_sql[] =
    "SELECT " COLUMNS ", tenant FROM threads WHERE tenant <> " REMOVAL_TENANT " ORDER BY seq";

struct json_object *
thread_export(struct db_stmt *row)
{
	struct json_object *thread = compose(row, NULL), *stored = json_object_new_object();

	json_set(stored, "body", json_column(row, 2));
	json_set_string(thread, "tenant", db_text(row, 3));
	json_set(thread, "stored", stored);
	return thread;
}

int
thread_import(struct import *import)
{
	struct json_object *object = import->object, *body;
	int result = -1;

	body = json_object_get(json_get_object(import->stored, "body"));
	if (!body) {
		body = json_object_new_object();
		copy_member(body, object, "tool_resources");
		copy_member(body, object, "metadata");
	}
	if (thread_check(import->call, body, ""))
		result = import_result(import,
		    insert(import->tx, json_get_string(object, "id"), import->call->request->tenant,
			json_get_int(object, "created_at", 0), body));
	json_object_put(body);
	return result;
}

long long
api_count_threads(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct db_stmt *stmt;
	long long count = -1;

	if (!tx)
		return -1;
	stmt = db_prepare(tx, "SELECT COUNT(*) FROM threads");
	if (db_step(stmt) == DB_ROW)
		count = db_int(stmt, 0);
	db_finish(stmt, DB_DONE);
	db_rollback(tx);
	return count;
}
