/*
 * Tenants: whatever path a program uses with another tenant's ids, it is told that there is no such
 * object, and nothing changes.
 */

#include "api_calls.h"

#include <sqlite3.h>

/* A tenant, and the id of one object of each kind that it has. */
struct tenant {
	const char *name;
	char assistant[64], thread[64], message[64], run[64], step[64], file[64];
};

static struct tenant us = {.name = "us"}, them = {.name = "them"};

static const struct {
	const char *pattern, *body; /* %s is an assistant's id */
} bodies[] = {
    {"/assistants/{id}", "{'name': 'theirs'}"},
    {"/assistants/{id}/files", "{'file_id': 'file-theirs'}"},
    {"/threads/{id}", "{'metadata': {'whose': 'theirs'}}"},
    {"/threads/{id}/messages", "{'role': 'user', 'content': 'theirs'}"},
    {"/threads/{id}/messages/{message}", "{'metadata': {'whose': 'theirs'}}"},
    {"/threads/{id}/runs", "{'assistant_id': '%s'}"},
    {"/threads/runs", "{'assistant_id': '%s'}"},
    {"/threads/{id}/runs/{run}", "{'metadata': {'whose': 'theirs'}}"},
    {"/threads/{id}/runs/{run}/submit_tool_outputs",
	"{'tool_outputs': [{'tool_call_id': 'call_1', 'output': 'theirs'}]}"},
};

static void
make_file(struct tenant *tenant)
{
	struct blob_writer blob;
	const struct api_upload upload = {.filename = tenant->name, .blob = blob.name, .bytes = 1};
	const struct api_request request = {
	    .tenant = tenant->name,
	    .operation = API_FILE_CREATE,
	    .body = json_of("{'purpose': 'assistants'}"),
	    .upload = &upload,
	};
	struct api_response response;

	assert_int_equal(blob_begin(here.blobs, &blob), 0);
	assert_int_equal(blob_write(&blob, "x", 1), 0);
	assert_int_equal(blob_complete(&blob), 0);
	api_handle(here.api, &request, &response);
	assert_int_equal(response.status, 200);
	blob_end(&blob, true);
	snprintf(tenant->file, 64, "%s", json_get_string(response.body, "id"));
	json_object_put(response.body);
	json_object_put(request.body);
}

static void
make_everything(struct tenant *tenant)
{
	struct json_object *object;
	char path[128], body[192];
	struct db_stmt *stmt;
	struct db_tx *tx;
	int status;

	make_file(tenant);
	snprintf(body, sizeof body,
	    "{'model': 'm', 'tool_resources': {'code_interpreter': {'file_ids': ['%s']}}}",
	    tenant->file);
	object = call_as(tenant->name, "POST", "/assistants", body, &status);
	snprintf(tenant->assistant, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
	object = call_as(tenant->name, "POST", "/threads", "{}", &status);
	snprintf(tenant->thread, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
	snprintf(path, sizeof path, "/threads/%s/messages", tenant->thread);
	snprintf(body, sizeof body,
	    "{'role': 'user', 'content': 'x', 'attachments': [{'file_id': '%s', 'tools': "
	    "[{'type': 'code_interpreter'}]}]}",
	    tenant->file);
	object = call_as(tenant->name, "POST", path, body, &status);
	snprintf(tenant->message, 64, "%s", json_get_string(object, "id"));
	json_object_put(object);
	snprintf(path, sizeof path, "/threads/%s/runs", tenant->thread);
	snprintf(body, sizeof body, "{'assistant_id': '%s', 'stream': true}", tenant->assistant);
	json_object_put(call_as(tenant->name, "POST", path, body, &status));
	assert_int_equal(status, 200);
	snprintf(tenant->run, 64, "%s", here.run);
	tx = db_begin(here.db, DB_READ);
	stmt = db_prepare(tx, "SELECT id FROM run_steps ORDER BY seq DESC LIMIT 1");
	assert_int_equal(db_step(stmt), DB_ROW);
	snprintf(tenant->step, 64, "%s", db_text(stmt, 0));
	db_finish(stmt, DB_DONE);
	db_rollback(tx);
}

static int
open_with_tenants(void **state)
{
	api_open(state);
	make_everything(&us);
	make_everything(&them);
	return 0;
}

static int
add_row(void *arg, int columns, char **values, char **names)
{
	(void)names;
	for (int i = 0; i < columns; i++)
		buf_printf(arg, "%s|", values[i] ? values[i] : "NULL");
	buf_puts(arg, "\n");
	return 0;
}

static int
add_table(void *arg, int columns, char **values, char **names)
{
	struct {
		sqlite3 *handle;
		struct buf *out;
	} *to = arg;
	char sql[128];

	(void)columns;
	(void)names;
	snprintf(sql, sizeof sql, "SELECT * FROM %s", values[0]);
	return sqlite3_exec(to->handle, sql, add_row, to->out, NULL);
}

/* Everything in the database as text, the caller's to free. */
static char *
dump(void)
{
	struct buf out = BUF_INIT(1 << 20);
	struct {
		sqlite3 *handle;
		struct buf *out;
	} to = {.out = &out};
	char *path = path_in(here.folder, "test.db");

	assert_int_equal(sqlite3_open(path, &to.handle), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(to.handle, "SELECT name FROM sqlite_schema WHERE type = 'table'",
		add_table, &to, NULL),
	    SQLITE_OK);
	sqlite3_close(to.handle);
	free(path);
	assert_true(out.len > 500);
	return buf_take(&out);
}

/* The id for the {name} after "…/KINDs/": the first is `first`'s, the others are `rest`'s. */
static void
fill_path(
    char path[512], const char *pattern, const struct tenant *first, const struct tenant *rest)
{
	const struct tenant *tenant = first;
	size_t used = 0;

	path[0] = '\0';
	for (const char *at = pattern; *at; at++) {
		const char *kind = path + used, *id;

		if (*at != '{') {
			path[used++] = *at;
			path[used] = '\0';
			continue;
		}
		do
			kind--;
		while (kind > path && kind[-1] != '/');
		id = strcmp(kind, "assistants/") == 0 ? tenant->assistant
		    : strcmp(kind, "threads/") == 0   ? tenant->thread
		    : strcmp(kind, "messages/") == 0  ? tenant->message
		    : strcmp(kind, "runs/") == 0      ? tenant->run
		    : strcmp(kind, "steps/") == 0     ? tenant->step
		    : strcmp(kind, "files/") == 0     ? tenant->file
						      : NULL;
		if (!id)
			fail_msg("%s: what is the id after %s?", pattern, kind);
		used += (size_t)snprintf(path + used, 512 - used, "%s", id);
		tenant = rest;
		at += strcspn(at, "}");
	}
}

/* An operation, by method and path. */
struct api_row {
	const char *method, *pattern;
};

static struct api_row
row_of(enum api_operation operation)
{
	return (struct api_row){api_method(operation), api_pattern(operation)};
}

static const char *
body_of(const struct api_row *row, const char *assistant_id)
{
	static char body[256];

	if (strcmp(row->method, "POST") != 0)
		return NULL;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		const char *at = strstr(bodies[i].body, "%s");

		if (strcmp(bodies[i].pattern, row->pattern) != 0)
			continue;
		if (!at)
			return bodies[i].body;
		snprintf(body, sizeof body, "%.*s%s%s", (int)(at - bodies[i].body), bodies[i].body,
		    assistant_id, at + 2);
		return body;
	}
	return "{}";
}

/* The call gets 404, and the database does not change. */
static void
check_unseen(const struct api_row *row, const char *path, const char *body)
{
	char *before = dump(), *after, name[1024];
	struct json_object *answer;
	int status;

	answer = call_as(them.name, row->method, path, body, &status);
	after = dump();
	snprintf(name, sizeof name, "%s %s %s: %.300s", row->method, path, body ? body : "",
	    json_text(answer));
	check_int(name, status, 404);
	if (!strstr(json_text(answer), "No such File object: "))
		check_has(name, json_text(answer), "found with id");
	if (strcmp(before, after) != 0)
		fail_msg("%s: changed\n%s\nto\n%s", name, before, after);
	json_object_put(answer);
	free(before);
	free(after);
}

static void
other_tenants_ids_are_unknown_on_every_path(void **state)
{
	char path[512];
	unsigned rows = 0, mixed = 0;

	(void)state;
	for (enum api_operation i = 0; i < API__MAX; i++) {
		const struct api_row of_operation = row_of(i), *row = &of_operation;
		const char *first = strchr(row->pattern, '{');

		if (!first)
			continue;
		fill_path(path, row->pattern, &us, &us);
		check_unseen(row, path, body_of(row, us.assistant));
		check_unseen(row, path, body_of(row, them.assistant));
		rows++;
		/* In the tenant's own thread, too. */
		if (!strchr(first + 1, '{'))
			continue;
		fill_path(path, row->pattern, &them, &us);
		check_unseen(row, path, body_of(row, them.assistant));
		mixed++;
	}
	assert_true(rows >= 17 && mixed >= 5);
}

/* Without this, a path that never works would pass the test above. */
static void
own_ids_are_known_on_every_path(void **state)
{
	char path[512];

	(void)state;
	for (enum api_operation i = 0; i < API__MAX; i++) {
		const struct api_row of_operation = row_of(i), *row = &of_operation;
		struct json_object *answer;
		int status;

		if (strcmp(row->method, "GET") != 0)
			continue;
		fill_path(path, row->pattern, &them, &them);
		answer = call_as(them.name, "GET", path, NULL, &status);
		check_int(path, status, 200);
		json_object_put(answer);
	}
}

static void
bodies_and_queries_reach_only_own_objects(void **state)
{
	const struct {
		const char *method, *path, *body;
	} rows[] = {
	    {"POST", "/threads/{id}/runs", "{'assistant_id': '%s'}"},
	    {"GET", "/threads/{id}/messages?run_id=R", NULL},
	    {"GET", "/threads/{id}/messages?after=M", NULL},
	    {"GET", "/threads/{id}/messages?before=M", NULL},
	    {"GET", "/threads?after=T", NULL},
	    {"GET", "/assistants?before=A", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct api_row row = {.method = rows[i].method, .pattern = rows[i].path};
		char path[512], body[128];
		size_t end;

		fill_path(path, rows[i].path, &them, &them);
		end = strlen(path) - 1;
		if (strchr(path, '='))
			snprintf(path + end, sizeof path - end, "%s",
			    path[end] == 'R'       ? us.run
				: path[end] == 'M' ? us.message
				: path[end] == 'T' ? us.thread
						   : us.assistant);
		snprintf(body, sizeof body, "{'assistant_id': '%s'}", us.assistant);
		check_unseen(&row, path, rows[i].body ? body : NULL);
	}
}

static void
lists_have_only_the_tenants_objects(void **state)
{
	static const char *const paths[] = {"/assistants", "/threads"};

	(void)state;
	check_list(paths[0], "/id", us.assistant);
	check_list(paths[1], "/id", us.thread);
	for (size_t i = 0; i < COUNT(paths); i++) {
		int status;
		struct json_object *list = call_as("nobody", "GET", paths[i], NULL, &status);

		check_int(paths[i], status, 200);
		check_member(paths[i], list, "",
		    "{'object': 'list', 'data': [], 'first_id': null, 'last_id': null, "
		    "'has_more': false}");
		json_object_put(list);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_tenants, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(other_tenants_ids_are_unknown_on_every_path),
	    TEST(own_ids_are_known_on_every_path),
	    TEST(bodies_and_queries_reach_only_own_objects),
	    TEST(lists_have_only_the_tenants_objects),
	};

	return cmocka_run_group_tests_name("tenants", tests, NULL, NULL);
}
