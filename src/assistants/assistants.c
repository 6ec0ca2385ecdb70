/*
 * Assistants: a definition under an id.
 */
#include "assistants/room.h"
#include "util/clock.h"

#define COLUMNS "id, created_at, body"

static const struct field fields[] = {
    {"model", FIELD_STRING, false, 1, 256, NULL},
    {"name", FIELD_STRING, false, 0, 256, NULL},
    {"description", FIELD_STRING, false, 0, 512, NULL},
    {"instructions", FIELD_STRING, false, 0, 256000, NULL},
    {"tools", FIELD_ARRAY, false, 0, 128, NULL},
    {"tool_resources", FIELD_OBJECT, false, 0, 0, NULL},
    {"metadata", FIELD_METADATA, false, 0, 0, NULL},
    {"temperature", FIELD_NUMBER, false, 0, 2, NULL},
    {"top_p", FIELD_NUMBER, false, 0, 1, NULL},
    {"reasoning_effort", FIELD_STRING, false, 0, 0, reasoning_efforts},
    {"response_format", FIELD_STRING | FIELD_OBJECT, false, 0, 0, NULL},
};

enum { FIELDS_LEN = sizeof fields / sizeof *fields };

static bool
check_body(struct call *call, struct json_object *body)
{
	return check_fields(call, body, fields, FIELDS_LEN, "") &&
	    check_tools(call, json_get(body, "tools"));
}

/* What the API shows for what was never set. */
static void
set_defaults(struct json_object *body)
{
	if (!json_get(body, "tools"))
		json_set(body, "tools", json_object_new_array());
	if (!json_get(body, "metadata"))
		json_set(body, "metadata", json_object_new_object());
}

static struct json_object *
compose(struct db_stmt *row, void *arg)
{
	struct json_object *body = json_column(row, 2), *assistant = json_object_new_object();

	(void)arg;
	json_set_string(assistant, "id", db_text(row, 0));
	json_set_string(assistant, "object", "assistant");
	json_set_int(assistant, "created_at", db_int(row, 1));
	for (int i = 0; i < FIELDS_LEN; i++)
		copy_member(assistant, body, fields[i].name);
	if (!json_get(assistant, "temperature"))
		json_set(assistant, "temperature", json_object_new_double(1.0));
	if (!json_get(assistant, "top_p"))
		json_set(assistant, "top_p", json_object_new_double(1.0));
	if (!json_get(assistant, "response_format"))
		json_set_string(assistant, "response_format", "auto");
	json_object_put(body);
	return assistant;
}

/* Answers the assistant as it is in the transaction, which it ends. */
static void
answer_assistant(struct call *call, struct db_tx *tx, const char *id)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT " COLUMNS " FROM assistants WHERE id = ? AND tenant = ?");
	struct json_object *assistant = NULL;
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, call->request->tenant);
	result = db_step(stmt);
	if (result == DB_ROW)
		assistant = compose(stmt, NULL);
	db_finish(stmt, result);
	if (result < 0 || (result == DB_ROW && db_commit(tx) < 0)) {
		json_object_put(assistant);
		fail(call);
	} else if (result == DB_ROW) {
		answer(call, 200, assistant);
	} else {
		refuse_unknown(call, "assistant", "asst", id);
	}
	if (result != DB_ROW)
		db_rollback(tx);
}

void
assistants_create(struct call *call)
{
	struct json_object *body = body_object(call), *stored;
	enum db_result result = DB_ERROR;
	char id[ID_SIZE];
	struct db_stmt *stmt;
	struct db_tx *tx;

	if (!body || !check_body(call, body))
		goto out;
	if (!json_get(body, "model")) {
		refuse(call, "model", "Missing required parameter: 'model'.");
		goto out;
	}
	tx = db_begin(call->api->db, DB_WRITE);
	if (!tx) {
		fail(call);
		goto out;
	}
	id_new(id, "asst_");
	stored = json_object_new_object();
	for (int i = 0; i < FIELDS_LEN; i++)
		copy_member(stored, body, fields[i].name);
	set_defaults(stored);
	stmt = db_prepare(
	    tx, "INSERT INTO assistants (id, tenant, created_at, body) VALUES (?, ?, ?, ?)");
	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, call->request->tenant);
	db_bind_int(stmt, 3, clock_unix());
	db_bind_text(stmt, 4, json_text(stored));
	result = db_finish(stmt, db_step(stmt));
	json_object_put(stored);
	if (result == DB_DONE) {
		answer_assistant(call, tx, id);
	} else {
		db_rollback(tx);
		fail(call);
	}
out:
	json_object_put(body);
}

void
assistants_list(struct call *call)
{
	struct list list = {
	    .sql_ascending =
		"SELECT " COLUMNS " FROM assistants WHERE tenant = ? AND seq > ? AND seq < ?"
		" ORDER BY seq LIMIT ?",
	    .sql_descending =
		"SELECT " COLUMNS " FROM assistants WHERE tenant = ? AND seq > ? AND seq < ?"
		" ORDER BY seq DESC LIMIT ?",
	    .cursor_sql = "SELECT seq FROM assistants WHERE id = ? AND tenant = ?",
	    .kind = "assistant",
	    .prefix = "asst",
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
assistants_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);

	if (tx)
		answer_assistant(call, tx, call->params[0]);
	else
		fail(call);
}

int
assistant_load(struct db_tx *tx, const char *tenant, const char *id, struct json_object **body)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT body FROM assistants WHERE id = ? AND tenant = ?");
	enum db_result result;

	*body = NULL;
	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	result = db_step(stmt);
	if (result == DB_ROW)
		*body = json_column(stmt, 0);
	return db_finish(stmt, result);
}

static int
update_body(struct db_tx *tx, const char *id, struct json_object *stored)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE assistants SET body = ? WHERE id = ?");

	db_bind_text(stmt, 1, json_text(stored));
	db_bind_text(stmt, 2, id);
	return db_finish(stmt, db_step(stmt));
}

void
assistants_modify(struct call *call)
{
	struct json_object *body = body_object(call), *stored = NULL;
	struct db_tx *tx = NULL;
	int found;

	if (!body || !check_body(call, body))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	found = tx ? assistant_load(tx, call->request->tenant, call->params[0], &stored) : -1;
	if (found == 0)
		refuse_unknown(call, "assistant", "asst", call->params[0]);
	if (found < 0)
		fail(call);
	if (found != 1)
		goto out;
	/* Only what the body names changes; null takes a value away, but a model must be. */
	json_object_object_foreach(body, name, value)
	{
		if (value || strcmp(name, "model") != 0)
			json_set(stored, name, json_object_get(value));
	}
	set_defaults(stored);
	if (update_body(tx, call->params[0], stored) == DB_DONE) {
		answer_assistant(call, tx, call->params[0]);
		tx = NULL;
	} else {
		fail(call);
	}
out:
	db_rollback(tx);
	json_object_put(stored);
	json_object_put(body);
}

void
assistants_delete(struct call *call)
{
	delete_object(
	    call, "DELETE FROM assistants WHERE id = ? AND tenant = ?", "assistant", "asst");
}
