/*
 * The files of assistants and messages under paths of their own, which only version 1 had. It dealt
 * with files by their ids alone. The ids are stored where version 2 has them, in tool_resources and
 * attachments.
 */
#include "assistants/kinds.h"
#include "records/assistant.h"
#include "text/json.h"

enum { FILES_MAX = 20, FILE_ID_MAX = 256 };

static const struct field new_fields[] = {
    {"file_id", FIELD_STRING, true, 1, FILE_ID_MAX},
};

/* The object that has the files. */
struct owner_files {
	struct call *call;
	const char *kind;   /* of the file objects */
	const char *member; /* the member of a file object with the owner's id */
	struct json_object *object;
	struct json_object *ids; /* array, oldest first */
};

static void
owner_free(struct owner_files *owner)
{
	json_object_put(owner->object);
	json_object_put(owner->ids);
}

static struct json_object *
file_object(const struct owner_files *owner, const char *id)
{
	struct json_object *file = json_new_object();

	json_set_string(file, "id", id);
	json_set_string(file, "object", owner->kind);
	/* It is not known when the file was added, so the owner's time is shown. */
	json_copy(file, owner->object, "created_at");
	json_set_string(file, owner->member, json_get_string(owner->object, "id"));
	return file;
}

static size_t
index_of(struct json_object *ids, const char *id)
{
	size_t i = 0;

	while (i < json_len(ids) && strcmp(json_object_get_string(json_at(ids, i)), id) != 0)
		i++;
	return i;
}

static bool
read_assistant(struct db_tx *tx, void *arg)
{
	struct owner_files *owner = arg;
	struct call *call = owner->call;
	const struct owner tenant = {.tenant = call->request->tenant};
	int found = record_find(tx, &assistant_record, call->ids[0], &tenant, &owner->object);

	if (found == 0)
		call_refuse_unknown(call, "assistant", "asst", call->ids[0]);
	else if (found == 1)
		call_answer(call, 200, NULL);
	return true;
}

/* False: the call was answered. */
static bool
load_assistant(struct owner_files *owner)
{
	struct json_object *resources;

	call_read(owner->call, read_assistant, owner);
	resources = json_get(owner->object, "tool_resources");
	owner->kind = "assistant.file";
	owner->member = "assistant_id";
	owner->ids =
	    json_object_get(json_get_array(json_get(resources, "code_interpreter"), "file_ids"));
	return owner->call->response->status == 200;
}

static bool
read_message(struct db_tx *tx, void *arg)
{
	struct owner_files *owner = arg;
	struct call *call = owner->call;
	struct owner thread = {0};
	int found;

	if (!call_thread(call, tx, &thread.seq))
		return true;
	found = record_find(tx, &message_record, call->ids[1], &thread, &owner->object);
	if (found == 0)
		call_refuse_unknown(call, "message", "msg", call->ids[1]);
	else if (found == 1)
		call_answer(call, 200, NULL);
	return true;
}

static bool
load_message(struct owner_files *owner)
{
	struct json_object *attachments;

	call_read(owner->call, read_message, owner);
	attachments = json_get_array(owner->object, "attachments");
	owner->kind = "thread.message.file";
	owner->member = "message_id";
	owner->ids = json_new_array();
	for (size_t i = 0; i < json_len(attachments); i++)
		json_add(owner->ids, json_object_get(json_get(json_at(attachments, i), "file_id")));
	return owner->call->response->status == 200;
}

/* The index of a cursor's id in the list. False: not found; refused. */
static bool
find_cursor(struct call *call, const struct owner_files *owner, const char *name, const char *id,
    bool ascending, size_t *place)
{
	size_t len = json_len(owner->ids), index = index_of(owner->ids, id);

	*place = ascending ? index : len - 1 - index;
	if (index == len)
		call_refuse_unknown_at(call, name, "file", "file", id);
	return index < len;
}

static void
answer_page(struct call *call, const struct owner_files *owner, const struct page *page)
{
	size_t len = json_len(owner->ids), begin = 0, end = len;
	size_t limit = (size_t)page->limit;
	struct json_object *data;
	bool has_more;

	if (page->after) {
		if (!find_cursor(call, owner, "after", page->after, page->ascending, &begin))
			return;
		begin++;
	}
	if (page->before &&
	    !find_cursor(call, owner, "before", page->before, page->ascending, &end))
		return;
	has_more = end > begin + limit;
	/* With `before` alone, the ones nearest to it are wanted. */
	if (has_more && page->before && !page->after)
		begin = end - limit;
	else if (has_more)
		end = begin + limit;
	data = json_new_array();
	for (size_t i = begin; i < end; i++) {
		struct json_object *id = json_at(owner->ids, page->ascending ? i : len - 1 - i);

		json_add(data, file_object(owner, json_object_get_string(id)));
	}
	call_answer(call, 200, list_object(data, has_more));
}

static void
answer_list(struct call *call, const struct owner_files *owner)
{
	struct page page;

	if (!page_read(call, &page))
		return;
	answer_page(call, owner, &page);
	page_free(&page);
}

static void
answer_file(struct call *call, const struct owner_files *owner, const char *id)
{
	if (index_of(owner->ids, id) < json_len(owner->ids))
		call_answer(call, 200, file_object(owner, id));
	else
		call_refuse_unknown(call, "file", "file", id);
}

void
assistant_file_list(struct call *call)
{
	struct owner_files owner = {.call = call};

	if (load_assistant(&owner))
		answer_list(call, &owner);
	owner_free(&owner);
}

void
assistant_file_retrieve(struct call *call)
{
	struct owner_files owner = {.call = call};

	if (load_assistant(&owner))
		answer_file(call, &owner, call->ids[1]);
	owner_free(&owner);
}

void
message_file_list(struct call *call)
{
	struct owner_files owner = {.call = call};

	if (load_message(&owner))
		answer_list(call, &owner);
	owner_free(&owner);
}

void
message_file_retrieve(struct call *call)
{
	struct owner_files owner = {.call = call};

	if (load_message(&owner))
		answer_file(call, &owner, call->ids[2]);
	owner_free(&owner);
}

/* --- an assistant's files --- */

/* The member of that name, an object or array, made if it is missing. */
static struct json_object *
member_of(struct json_object *object, const char *name, struct json_object *(*make)(void))
{
	if (!json_get(object, name))
		json_set(object, name, make());
	return json_get(object, name);
}

static struct json_object *
stored_ids(struct json_object *assistant)
{
	struct json_object *resources =
	    member_of(assistant, "tool_resources", json_object_new_object);

	return member_of(member_of(resources, "code_interpreter", json_object_new_object),
	    "file_ids", json_object_new_array);
}

/* False: answered. */
static bool
add_id(struct call *call, struct json_object *ids, const char *id)
{
	if (index_of(ids, id) < json_len(ids))
		return true;
	if (json_len(ids) == FILES_MAX) {
		call_refuse(call, "file_id", "An assistant has at most %d files.", FILES_MAX);
		return false;
	}
	json_add(ids, json_new_string(id));
	return true;
}

static bool
remove_id(struct call *call, struct json_object *ids, const char *id)
{
	size_t index = index_of(ids, id);

	if (index == json_len(ids)) {
		call_refuse_unknown(call, "file", "file", id);
		return false;
	}
	json_object_array_del_idx(ids, index, 1);
	return true;
}

struct id_change {
	struct call *call;
	const char *id;
	bool (*change)(struct call *call, struct json_object *ids, const char *id);
};

static bool
write_ids(struct db_tx *tx, void *arg)
{
	struct id_change *change = arg;
	struct call *call = change->call;
	const struct owner owner = {.tenant = call->request->tenant};
	struct json_object *stored = NULL;
	int found = record_body(tx, &assistant_record, call->ids[0], &owner, &stored);

	if (found == 0)
		call_refuse_unknown(call, "assistant", "asst", call->ids[0]);
	if (found == 1 && change->change(call, stored_ids(stored), change->id)) {
		found = record_store_body(tx, &assistant_record, call->ids[0], &owner, stored);
		if (found == 1)
			call_answer(call, 200, NULL);
	}
	json_object_put(stored);
	return call->response->status == 200;
}

/* Changes the assistant's ids. False: answered. */
static bool
change_ids(struct call *call, const char *id,
    bool (*change)(struct call *call, struct json_object *ids, const char *id))
{
	struct id_change id_change = {call, id, change};

	call_write(call, write_ids, &id_change);
	return call->response->status == 200;
}

void
assistant_file_create(struct call *call)
{
	struct json_object *body = call_body(call);
	struct owner_files owner = {.call = call};
	const char *id;

	if (!body ||
	    !check_fields(call, body, new_fields, sizeof new_fields / sizeof *new_fields, ""))
		goto out;
	id = json_get_string(body, "file_id");
	if (change_ids(call, id, add_id) && load_assistant(&owner))
		answer_file(call, &owner, id);
out:
	owner_free(&owner);
	json_object_put(body);
}

void
assistant_file_delete(struct call *call)
{
	if (change_ids(call, call->ids[1], remove_id))
		call_answer(call, 200, object_deleted(call->ids[1], "assistant.file.deleted"));
}
