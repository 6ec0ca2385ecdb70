/* Threads, which messages and runs belong to. */
#include "assistants/kinds.h"
#include "os/clock.h"
#include "records/thread_delete.h"
#include "text/json.h"

static const struct field new_fields[] = {
    {"messages", FIELD_ARRAY},
    {"tool_resources", FIELD_OBJECT, .shapes = &new_tool_resources},
    {"metadata", FIELD_METADATA},
};

static const struct field fields[] = {
    {"tool_resources", FIELD_OBJECT, .shapes = &tool_resources},
    {"metadata", FIELD_METADATA},
};

const struct kind thread_kind = {
    .name = "thread",
    .prefix = "thread",
    .owner = OWNER_TENANT,
    .record = &thread_record,
    .fields = fields,
    .fields_len = FIELDS_LEN(fields),
};

bool
thread_check(struct call *call, struct json_object *thread, const char *prefix)
{
	char messages[64];

	snprintf(messages, sizeof messages, "%smessages", prefix);
	return check_fields(
		   call, thread, new_fields, sizeof new_fields / sizeof *new_fields, prefix) &&
	    messages_check(call, json_get(thread, "messages"), messages);
}

int
thread_insert_new(const struct call *call, struct db_tx *tx, struct json_object *thread,
    const char *id, long long *seq)
{
	struct json_object *body = json_new_object();
	int inserted;

	json_copy(body, thread, "tool_resources");
	json_copy(body, thread, "metadata");
	inserted = thread_insert(tx,
	    &(struct thread){.id = id,
		.tenant = call->request->tenant,
		.created_at = clock_unix(),
		.body = body},
	    seq);
	json_object_put(body);
	if (inserted != 1)
		return -1;
	return messages_insert_new(call, tx, *seq, json_get(thread, "messages"));
}

struct creation {
	struct call *call;
	struct json_object *body;
	char id[ID_SIZE];
};

static bool
write_thread(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	const struct owner owner = {.tenant = creation->call->request->tenant};
	long long seq;

	if (thread_insert_new(creation->call, tx, creation->body, creation->id, &seq) != 1)
		return false;
	return object_answer(creation->call, tx, creation->id, &owner);
}

void
thread_create(struct call *call)
{
	struct creation creation = {.call = call, .body = call_body(call)};

	id_new(creation.id, "thread_");
	if (creation.body && thread_check(call, creation.body, ""))
		call_write(call, write_thread, &creation);
	json_object_put(creation.body);
}

static bool
write_deletion(struct db_tx *tx, void *arg)
{
	struct call *call = arg;
	long long thread;

	/* Hides the thread and deletes the first rows; thread_delete_finish() deletes the rest. */
	if (!call_thread(call, tx, &thread) ||
	    thread_delete(tx, &call->api->runs.budgets, thread) < 0)
		return false;
	call_answer(call, 200, object_deleted(call->ids[0], "thread.deleted"));
	return true;
}

void
thread_remove(struct call *call)
{
	call_write(call, write_deletion, call);
	/* Even if nothing was found: an earlier deletion may be unfinished. */
	if (call->response->status < 500)
		thread_delete_finish(call->api->runs.db);
}

int
thread_import(struct import *import)
{
	struct json_object *object = import->object, *body;
	struct thread thread = {
	    .id = json_get_string(object, "id"),
	    .tenant = import->call->request->tenant,
	    .created_at = json_get_int(object, "created_at", 0),
	};
	long long seq;
	int result = -1;

	body = json_object_get(json_get_object(import->stored, "body"));
	if (!body) {
		body = json_new_object();
		json_copy(body, object, "tool_resources");
		json_copy(body, object, "metadata");
	}
	thread.body = body;
	if (thread_check(import->call, body, ""))
		result = thread_insert(import->tx, &thread, &seq);
	json_object_put(body);
	return result;
}
