/*
 * The files of assistants and messages, under paths of their own: only the API's first version had
 * them, which spoke of files by their ids alone. The ids stand where the second version has them,
 * in tool_resources and attachments.
 */
#include "assistants/internal.h"

enum { FILES_MAX = 20, FILE_ID_MAX = 256 };

static const struct field new_fields[] = {
    {"file_id", FIELD_STRING, true, 1, FILE_ID_MAX},
};

/* Whose files are asked for. */
struct owner {
	const char *kind;   /* of the files' objects */
	const char *member; /* of these objects, the owner's id */
	struct json_object *object;
	struct json_object *ids; /* an array, oldest first */
};

static void
owner_free(struct owner *owner)
{
	json_object_put(owner->object);
	json_object_put(owner->ids);
}

static struct json_object *
file_object(const struct owner *owner, const char *id)
{
	struct json_object *file = json_object_new_object();

	json_set_string(file, "id", id);
	json_set_string(file, "object", owner->kind);
	/* When the file came is not known: its owner's time stands for it. */
	copy_member(file, owner->object, "created_at");
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

/* False when the call was answered. Ends the transaction. */
static bool
load_assistant(struct call *call, struct owner *owner)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	int found = tx ? assistant_show(call, tx, call->params[0], &owner->object) : -1;
	struct json_object *resources = json_get(owner->object, "tool_resources");

	db_rollback(tx);
	owner->kind = "assistant.file";
	owner->member = "assistant_id";
	owner->ids =
	    json_object_get(json_get_array(json_get(resources, "code_interpreter"), "file_ids"));
	if (found == 0)
		refuse_unknown(call, "assistant", "asst", call->params[0]);
	else if (found < 0)
		fail(call);
	return found == 1;
}

static bool
load_message(struct call *call, struct owner *owner)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	bool found = call_message(call, tx, &owner->object);
	struct json_object *attachments = json_get_array(owner->object, "attachments");

	db_rollback(tx);
	owner->kind = "thread.message.file";
	owner->member = "message_id";
	owner->ids = json_object_new_array();
	for (size_t i = 0; i < json_len(attachments); i++)
		json_add(owner->ids, json_object_get(json_get(json_at(attachments, i), "file_id")));
	return found;
}

/* The place of a cursor's id in the list. False when it is not there: refused. */
static bool
find_cursor(struct call *call, const struct owner *owner, const char *name, const char *id,
    bool ascending, size_t *place)
{
	size_t len = json_len(owner->ids), index = index_of(owner->ids, id);

	*place = ascending ? index : len - 1 - index;
	if (index == len)
		refuse_unknown_at(call, name, "file", "file", id);
	return index < len;
}

static void
answer_page(struct call *call, const struct owner *owner, const struct page *page)
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
	/* With `before` alone those nearest to it are wanted. */
	if (has_more && page->before && !page->after)
		begin = end - limit;
	else if (has_more)
		end = begin + limit;
	data = json_object_new_array();
	for (size_t i = begin; i < end; i++) {
		struct json_object *id = json_at(owner->ids, page->ascending ? i : len - 1 - i);

		json_add(data, file_object(owner, json_object_get_string(id)));
	}
	answer(call, 200, list_object(data, has_more));
}

static void
answer_list(struct call *call, const struct owner *owner)
{
	struct page page;

	if (!page_read(call, &page, false))
		return;
	answer_page(call, owner, &page);
	page_free(&page);
}

static void
answer_file(struct call *call, const struct owner *owner, const char *id)
{
	if (index_of(owner->ids, id) < json_len(owner->ids))
		answer(call, 200, file_object(owner, id));
	else
		refuse_unknown(call, "file", "file", id);
}

void
assistant_files_list(struct call *call)
{
	struct owner owner = {0};

	if (load_assistant(call, &owner))
		answer_list(call, &owner);
	owner_free(&owner);
}

void
assistant_files_retrieve(struct call *call)
{
	struct owner owner = {0};

	if (load_assistant(call, &owner))
		answer_file(call, &owner, call->params[1]);
	owner_free(&owner);
}

void
message_files_list(struct call *call)
{
	struct owner owner = {0};

	if (load_message(call, &owner))
		answer_list(call, &owner);
	owner_free(&owner);
}

void
message_files_retrieve(struct call *call)
{
	struct owner owner = {0};

	if (load_message(call, &owner))
		answer_file(call, &owner, call->params[2]);
	owner_free(&owner);
}

/* --- what an assistant has --- */

/* The member, an object or array of that name, made where it is missing. */
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

/* False when the call was answered. */
static bool
add_id(struct call *call, struct json_object *ids, const char *id)
{
	if (index_of(ids, id) < json_len(ids))
		return true;
	if (json_len(ids) == FILES_MAX) {
		refuse(call, "file_id", "An assistant has at most %d files.", FILES_MAX);
		return false;
	}
	json_add(ids, json_object_new_string(id));
	return true;
}

static bool
remove_id(struct call *call, struct json_object *ids, const char *id)
{
	size_t index = index_of(ids, id);

	if (index == json_len(ids)) {
		refuse_unknown(call, "file", "file", id);
		return false;
	}
	json_object_array_del_idx(ids, index, 1);
	return true;
}

/* Changes the assistant's ids in one transaction. False when the call was answered. */
static bool
change_ids(struct call *call, const char *id,
    bool (*change)(struct call *call, struct json_object *ids, const char *id))
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	const char *assistant_id = call->params[0];
	struct json_object *stored = NULL;
	bool changed = false;
	int found = tx ? assistant_load(tx, call->request->tenant, assistant_id, &stored) : -1;

	if (found == 0)
		refuse_unknown(call, "assistant", "asst", assistant_id);
	if (found == 1 && change(call, stored_ids(stored), id)) {
		changed = assistant_store(tx, assistant_id, stored) == DB_DONE;
		if (changed) {
			changed = db_commit(tx) == 0;
			tx = NULL;
		}
		found = changed ? 1 : -1;
	}
	if (found < 0)
		fail(call);
	db_rollback(tx);
	json_object_put(stored);
	return changed;
}

void
assistant_files_create(struct call *call)
{
	struct json_object *body = body_object(call);
	struct owner owner = {0};
	const char *id;

	if (!body ||
	    !check_fields(call, body, new_fields, sizeof new_fields / sizeof *new_fields, ""))
		goto out;
	id = json_get_string(body, "file_id");
	if (change_ids(call, id, add_id) && load_assistant(call, &owner))
		answer_file(call, &owner, id);
out:
	owner_free(&owner);
	json_object_put(body);
}

void
assistant_files_delete(struct call *call)
{
	if (change_ids(call, call->params[1], remove_id))
		answer(call, 200, deleted_object(call->params[1], "assistant.file"));
}
