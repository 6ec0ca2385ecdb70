#include "assistants/objects.h"

#include "text/json.h"

/* The owner of the path's object. False: not found, or the database failed. */
static bool
find_owner(struct call *call, struct db_tx *tx, struct owner *owner)
{
	long long thread;

	*owner = (struct owner){.tenant = call->request->tenant};
	switch (call->kind->owner) {
	case OWNER_THREAD:
		return call_thread(call, tx, &owner->seq);
	case OWNER_RUN:
		return call_run(call, tx, &thread, &owner->seq);
	default:
		return true;
	}
}

static const char *
id_of(const struct call *call)
{
	return call->ids[call->kind->owner];
}

static void
refuse_unknown(struct call *call, const char *id)
{
	if (call->kind->no_such)
		call_refuse_no_such(call, call->kind->no_such, id);
	else
		call_refuse_unknown(call, call->kind->name, call->kind->prefix, id);
}

bool
object_answer(struct call *call, struct db_tx *tx, const char *id, const struct owner *owner)
{
	struct json_object *object;
	int found = record_find(tx, call->kind->record, id, owner, &object);

	if (found == 1)
		call_answer(call, 200, object);
	else if (found == 0)
		refuse_unknown(call, id);
	return found == 1;
}

static bool
read_object(struct db_tx *tx, void *arg)
{
	struct call *call = arg;
	struct owner owner;

	if (find_owner(call, tx, &owner))
		object_answer(call, tx, id_of(call), &owner);
	return true;
}

void
object_retrieve(struct call *call)
{
	call_read(call, read_object, call);
}

struct json_object *
object_deleted(const char *id, const char *object)
{
	struct json_object *body = json_new_object();

	json_set_string(body, "id", id);
	json_set_string(body, "object", object);
	json_set(body, "deleted", json_new_bool(1));
	return body;
}

static bool
write_deletion(struct db_tx *tx, void *arg)
{
	struct call *call = arg;
	struct owner owner;
	int deleted;

	if (!find_owner(call, tx, &owner))
		return false;
	deleted = record_remove(tx, call->kind->record, id_of(call), &owner);
	if (deleted == 0)
		refuse_unknown(call, id_of(call));
	else if (deleted > 0)
		call_answer(call, 200, object_deleted(id_of(call), call->kind->deleted));
	return deleted > 0;
}

void
object_delete(struct call *call)
{
	call_write(call, write_deletion, call);
}

struct modification {
	struct call *call;
	struct json_object *body;
};

static void
replace_members(struct json_object *stored, struct json_object *body)
{
	json_object_object_foreach(body, name, value)
	{
		json_set(stored, name, json_object_get(value));
	}
}

static bool
write_modification(struct db_tx *tx, void *arg)
{
	struct modification *modification = arg;
	struct call *call = modification->call;
	const struct kind *kind = call->kind;
	struct json_object *stored = NULL;
	struct owner owner;
	int found;

	if (!find_owner(call, tx, &owner))
		return false;
	found = record_body(tx, kind->record, id_of(call), &owner, &stored);
	if (found == 1) {
		(kind->change ? kind->change : replace_members)(stored, modification->body);
		found = record_store_body(tx, kind->record, id_of(call), &owner, stored);
	}
	if (found == 0)
		refuse_unknown(call, id_of(call));
	json_object_put(stored);
	return found == 1 && object_answer(call, tx, id_of(call), &owner);
}

void
object_modify(struct call *call)
{
	struct modification modification = {.call = call, .body = call_body(call)};
	const struct kind *kind = call->kind;

	if (modification.body &&
	    check_fields(call, modification.body, kind->fields, kind->fields_len, ""))
		call_write(call, write_modification, &modification);
	json_object_put(modification.body);
}
