#include "records/assistant.h"

#include "records/options.h"
#include "text/json.h"

enum { ID, CREATED_AT, BODY, TENANT };
#define SELECT "SELECT id, created_at, body, tenant FROM assistants "
#define OWNED "WHERE id = ? AND tenant = ?"
#define RANGE "WHERE tenant = ? AND seq > ? AND seq < ? ORDER BY seq"

const char *const assistant_members[] = {"model", "tool_resources", "name", "description",
    "instructions", "tools", "metadata", "temperature", "top_p", "reasoning_effort",
    "response_format", NULL};

/* A hosted tool always has its resources, even if they are empty. */
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

		if (!type || strcmp(type, kind[0]) != 0 || json_get(resources, kind[0]))
			continue;
		none = json_new_object();
		json_set(none, kind[1], json_new_array());
		json_set(resources, kind[0], none);
	}
}

static struct json_object *
json(struct db_stmt *row)
{
	struct json_object *body = record_json(row, BODY), *assistant = json_new_object();

	json_set_string(assistant, "id", db_text(row, ID));
	json_set_string(assistant, "object", "assistant");
	json_set_int(assistant, "created_at", db_int(row, CREATED_AT));
	for (int i = 0; assistant_members[i]; i++)
		json_copy(assistant, body, assistant_members[i]);
	json_set(assistant, "tools", tools_shown(body));
	json_set(assistant, "tool_resources", tool_resources_shown(body));
	add_empty_resources(assistant);
	json_default(assistant, "temperature", json_new_double(1.0));
	json_default(assistant, "top_p", json_new_double(1.0));
	json_set(assistant, "response_format", response_format_shown(body));
	json_object_put(body);
	return assistant;
}

const struct record assistant_record = {
    .find = SELECT OWNED,
    .list = {SELECT RANGE " LIMIT ?", SELECT RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM assistants " OWNED,
    .body = "SELECT body FROM assistants " OWNED,
    .store_body = "UPDATE assistants SET body = ? " OWNED,
    .remove = "DELETE FROM assistants " OWNED,
    .json = json,
};

int
assistant_insert(struct db_tx *tx, const struct assistant *assistant)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO assistants (id, tenant, created_at, body) VALUES (?, ?, ?, ?) "
	    "ON CONFLICT DO NOTHING");

	db_bind_text(stmt, 1, assistant->id);
	db_bind_text(stmt, 2, assistant->tenant);
	db_bind_int(stmt, 3, assistant->created_at);
	record_bind_json(stmt, 4, assistant->body);
	return db_execute(stmt);
}

const char assistant_export_sql[] = SELECT "ORDER BY seq";

struct json_object *
assistant_exported(struct db_stmt *row)
{
	struct json_object *assistant = json(row), *stored = json_new_object();

	json_set(stored, "body", record_json(row, BODY));
	json_set_string(assistant, "tenant", db_text(row, TENANT));
	json_set(assistant, "stored", stored);
	return assistant;
}
