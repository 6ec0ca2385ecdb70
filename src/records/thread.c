#include "records/thread.h"

#include "records/options.h"
#include "records/thread_delete.h"
#include "text/json.h"

enum { ID, CREATED_AT, BODY, TENANT };
#define SELECT "SELECT id, created_at, body, tenant FROM threads "
#define OWNED "WHERE id = ? AND tenant = ?"
#define RANGE "WHERE tenant = ? AND seq > ? AND seq < ? ORDER BY seq"

static struct json_object *
json(struct db_stmt *row)
{
	struct json_object *body = record_json(row, BODY), *thread = json_new_object();

	json_set_string(thread, "id", db_text(row, ID));
	json_set_string(thread, "object", "thread");
	json_set_int(thread, "created_at", db_int(row, CREATED_AT));
	json_set(thread, "tool_resources", tool_resources_shown(body));
	json_copy(thread, body, "metadata");
	json_default(thread, "metadata", json_new_object());
	json_object_put(body);
	return thread;
}

const struct record thread_record = {
    .find = SELECT OWNED,
    .list = {SELECT RANGE " LIMIT ?", SELECT RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM threads " OWNED,
    .body = "SELECT body FROM threads " OWNED,
    .store_body = "UPDATE threads SET body = ? " OWNED,
    .json = json,
};

int
thread_insert(struct db_tx *tx, const struct thread *thread, long long *seq)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO threads (id, tenant, created_at, body) VALUES (?, ?, ?, ?) "
	    "ON CONFLICT DO NOTHING RETURNING seq");

	db_bind_text(stmt, 1, thread->id);
	db_bind_text(stmt, 2, thread->tenant);
	db_bind_int(stmt, 3, thread->created_at);
	record_bind_json(stmt, 4, thread->body);
	return record_number(stmt, seq);
}

int
thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq)
{
	return record_cursor(tx, &thread_record, id, &(struct owner){.tenant = tenant}, seq);
}

static bool
count(struct db_tx *tx, void *arg)
{
	return record_number(db_prepare(tx, "SELECT count(*) FROM threads"), arg) == 1;
}

long long
threads_count(struct db *db)
{
	long long number;

	return db_write(db, DB_WRITE_RELAXED, count, &number) == 1 ? number : -1;
}

const char thread_export_sql[] = SELECT "WHERE tenant <> " REMOVED_TENANT " ORDER BY seq";

struct json_object *
thread_exported(struct db_stmt *row)
{
	struct json_object *thread = json(row), *stored = json_new_object();

	json_set(stored, "body", record_json(row, BODY));
	json_set_string(thread, "tenant", db_text(row, TENANT));
	json_set(thread, "stored", stored);
	return thread;
}
