/*
 * Assistants: a definition under an id.
 */
#include "assistants/internal.h"
#include "os/clock.h"

#define COLUMNS "id, created_at, body"

/* What a new assistant and a changed one have alike, a row a line. */
/* clang-format off */
#define SAME_FIELDS \
	{"name", FIELD_STRING, false, 0, 256}, \
	{"description", FIELD_STRING, false, 0, 512}, \
	{"instructions", FIELD_STRING, false, 0, 256000}, \
	{"tools", FIELD_ARRAY, false, 0, 128, .element = &tool_element}, \
	{"metadata", FIELD_METADATA}, \
	{"temperature", FIELD_NUMBER, false, 0, 2}, \
	{"top_p", FIELD_NUMBER, false, 0, 1}, \
	{"reasoning_effort", FIELD_STRING, .words = reasoning_efforts}, \
	{"response_format", FIELD_STRING | FIELD_OBJECT, .words = response_format_words, \
	    .shapes = response_formats}
/* clang-format on */

static const struct field new_fields[] = {
    {"model", FIELD_STRING, true, 1, 256},
    {"tool_resources", FIELD_OBJECT, .shapes = &new_tool_resources},
    SAME_FIELDS,
};

static const struct field fields[] = {
    {"model", FIELD_STRING, false, 1, 256},
    {"tool_resources", FIELD_OBJECT, .shapes = &tool_resources},
    SAME_FIELDS,
};

enum { FIELDS_LEN = sizeof fields / sizeof *fields };

/* What the API shows for what was never set. */
static void
set_defaults(struct json_object *body)
{
	if (!json_get(body, "tools"))
		json_set(body, "tools", json_object_new_array());
	if (!json_get(body, "metadata"))
		json_set(body, "metadata", json_object_new_object());
}

/* Hosted tools have their resources, if only none. */
static void
add_empty_resources(struct json_object *assistant)
{
	static const char *const kinds[][2] = {
	    {"code_interpreter", "file_ids"}, {"file_search", "vector_store_ids"}};
	struct json_object *tools = json_get(assistant, "tools");
	struct json_object *resources = json_get(assistant, "tool_resources");

	for (size_t i = 0; i < 2 * json_len(tools); i++) {
		const char *const *kind = kinds[i % 2];
		const char *type = json_get_string(json_at(tools, i / 2), "type");
		struct json_object *none;

		if (strcmp(type, kind[0]) != 0 || json_get(resources, kind[0]))
			continue;
		none = json_object_new_object();
		json_set(none, kind[1], json_object_new_array());
		json_set(resources, kind[0], none);
	}
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
	json_set(assistant, "tools", tools_shown(body));
	json_set(assistant, "tool_resources", tool_resources_shown(body));
	add_empty_resources(assistant);
	if (!json_get(assistant, "temperature"))
		json_set(assistant, "temperature", json_object_new_double(1.0));
	if (!json_get(assistant, "top_p"))
		json_set(assistant, "top_p", json_object_new_double(1.0));
	json_set(assistant, "response_format", response_format_shown(body));
	json_object_put(body);
	return assistant;
}

int
assistant_show(struct call *call, struct db_tx *tx, const char *id, struct json_object **assistant)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT " COLUMNS " FROM assistants WHERE id = ? AND tenant = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, call->request->tenant);
	result = db_step(stmt);
	*assistant = result == DB_ROW ? compose(stmt, NULL) : NULL;
	return db_finish(stmt, result);
}

/* Answers the assistant as it is in the transaction, which it ends. */
static void
answer_assistant(struct call *call, struct db_tx *tx, const char *id)
{
	struct json_object *assistant;
	int found = assistant_show(call, tx, id, &assistant);

	answer_found(call, tx, found, assistant, "assistant", "asst", id);
}

static enum db_result
insert(struct db_tx *tx, const char *id, const char *tenant, long long created_at,
    struct json_object *body)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "INSERT INTO assistants (id, tenant, created_at, body) VALUES (?, ?, ?, ?)");

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	db_bind_int(stmt, 3, created_at);
	db_bind_text(stmt, 4, json_text(body));
	return db_finish(stmt, db_step(stmt));
}

void
assistants_create(struct call *call)
{
	struct json_object *body = body_object(call), *stored;
	enum db_result result = DB_ERROR;
	char id[ID_SIZE];
	struct db_tx *tx;

	if (!body || !check_fields(call, body, new_fields, FIELDS_LEN, ""))
		goto out;
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
	result = insert(tx, id, call->request->tenant, clock_unix(), stored);
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

bool
api_would_create_assistant(struct json_object *body, char error[ERROR_SIZE])
{
	struct api_response response = {0};
	struct call call = {.response = &response};
	bool good = check_fields(&call, body, new_fields, FIELDS_LEN, "");
	const char *words = json_get_string(json_get(response.body, "error"), "message");

	snprintf(error, ERROR_SIZE, "%s", words ? words : "");
	json_object_put(response.body);
	return good;
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

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	return body_load(stmt, body);
}

enum db_result
assistant_store(struct db_tx *tx, const char *id, struct json_object *body)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE assistants SET body = ? WHERE id = ?");

	db_bind_text(stmt, 1, json_text(body));
	db_bind_text(stmt, 2, id);
	return db_finish(stmt, db_step(stmt));
}

void
assistants_modify(struct call *call)
{
	struct json_object *body = body_object(call), *stored = NULL;
	const char *id = call->params[0];
	struct db_tx *tx;
	int found;

	if (!body || !check_fields(call, body, fields, FIELDS_LEN, ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	found = tx ? assistant_load(tx, call->request->tenant, id, &stored) : -1;
	if (found == 1) {
		/* Only what is named changes; null takes away what an assistant can be without. */
		json_object_object_foreach(body, name, value)
		{
			if (value || (strcmp(name, "model") != 0 && strcmp(name, "tools") != 0))
				json_set(stored, name, json_object_get(value));
		}
		set_defaults(stored);
		if (assistant_store(tx, id, stored) != DB_DONE)
			found = -1;
	}
	if (found == 1)
		answer_assistant(call, tx, id);
	else
		answer_found(call, tx, found, NULL, "assistant", "asst", id);
out:
	json_object_put(stored);
	json_object_put(body);
}

void
assistants_delete(struct call *call)
{
	delete_object(
	    call, "DELETE FROM assistants WHERE id = ? AND tenant = ?", "assistant", "asst");
}

/* --- moving in and out --- */

const char assistants_export_sql[] = "SELECT " COLUMNS ", tenant FROM assistants ORDER BY seq";

struct json_object *
assistant_export(struct db_stmt *row)
{
	struct json_object *assistant = compose(row, NULL), *stored = json_object_new_object();

	json_set(stored, "body", json_column(row, 2));
	json_set_string(assistant, "tenant", db_text(row, 3));
	json_set(assistant, "stored", stored);
	return assistant;
}

/*
 * The API shows defaults where nothing was set. They are no wishes: some models refuse to be told
 * their temperature.
 */
static struct json_object *
body_of_shown(struct json_object *shown)
{
	struct json_object *body = json_object_new_object();
	const char *format = json_get_string(shown, "response_format");

	for (int i = 0; i < FIELDS_LEN; i++)
		copy_member(body, shown, fields[i].name);
	if (json_object_get_double(json_get(shown, "temperature")) == 1)
		json_set(body, "temperature", NULL);
	if (json_object_get_double(json_get(shown, "top_p")) == 1)
		json_set(body, "top_p", NULL);
	if (format && strcmp(format, "auto") == 0)
		json_set(body, "response_format", NULL);
	set_defaults(body);
	return body;
}

int
assistant_import(struct import *import)
{
	struct json_object *object = import->object, *body;
	int result = -1;

	body = json_object_get(json_get_object(import->stored, "body"));
	if (!body)
		body = body_of_shown(object);
	if (check_fields(import->call, body, new_fields, FIELDS_LEN, ""))
		result = import_result(import,
		    insert(import->tx, json_get_string(object, "id"), import->call->request->tenant,
			json_get_int(object, "created_at", 0), body));
	json_object_put(body);
	return result;
}
