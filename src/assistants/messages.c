/* Messages of a thread, by its user or by a run. */
#include "assistants/kinds.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/text.h"

enum { TEXT_MAX = 256000 };

static const struct field text_fields[] = {
    {"type", FIELD_STRING, true},
    {"text", FIELD_STRING, true, 1, TEXT_MAX},
};

static const char *const detail_words[] = {"auto", "low", "high", NULL};

static const struct field url_fields[] = {
    {"url", FIELD_URL, true},
    {"detail", FIELD_STRING, .words = detail_words},
};

static const struct shape url = {NULL, FIELDS(url_fields)};

static const struct field url_part_fields[] = {
    {"type", FIELD_STRING, true},
    {"image_url", FIELD_OBJECT, true, .shapes = &url},
};

static const struct field file_fields[] = {
    {"file_id", FIELD_STRING, true, 1, 256},
    {"detail", FIELD_STRING, .words = detail_words},
};

static const struct shape file = {NULL, FIELDS(file_fields)};

static const struct field file_part_fields[] = {
    {"type", FIELD_STRING, true},
    {"image_file", FIELD_OBJECT, true, .shapes = &file},
};

static const struct shape part_shapes[] = {
    {"text", FIELDS(text_fields)},
    {"image_url", FIELDS(url_part_fields)},
    {"image_file", FIELDS(file_part_fields)},
    {NULL},
};

static const struct field part_element = {.types = FIELD_OBJECT, .shapes = part_shapes};

static const struct field attachment_fields[] = {
    {"file_id", FIELD_STRING, true, 1, 256},
    {"tools", FIELD_ARRAY, true, .element = &attachment_tool_element},
};

static const struct shape attachment = {NULL, FIELDS(attachment_fields)};
static const struct field attachment_element = {.types = FIELD_OBJECT, .shapes = &attachment};

static const struct field new_fields[] = {
    {"role", FIELD_STRING, true, .words = message_role_words},
    {"content", FIELD_STRING | FIELD_ARRAY, true, 1, TEXT_MAX, .element = &part_element},
    {"attachments", FIELD_ARRAY, .element = &attachment_element},
    {"metadata", FIELD_METADATA},
};

static const struct shape new_message = {NULL, FIELDS(new_fields)};
static const struct field message_element = {.types = FIELD_OBJECT, .shapes = &new_message};

static const struct field changed_fields[] = {{"metadata", FIELD_METADATA}};

const struct kind message_kind = {
    .name = "message",
    .prefix = "msg",
    .deleted = "thread.message.deleted",
    .owner = OWNER_THREAD,
    .record = &message_record,
    .restriction = "run_id",
    .restricted = &run_message_record,
    .fields = changed_fields,
    .fields_len = FIELDS_LEN(changed_fields),
};

bool
messages_check(struct call *call, struct json_object *messages, const char *name)
{
	static const struct field field = {.types = FIELD_ARRAY, .element = &message_element};

	char id[ID_SIZE];

	if (!check_value(call, &field, name, messages))
		return false;
	/* Made before the transaction, so that a repetition writes the same ids. */
	if (json_len(messages) > 0)
		call->message_ids = json_new_array();
	for (size_t i = 0; i < json_len(messages); i++) {
		id_new_in_order(id, "msg_");
		json_add(call->message_ids, json_new_string(id));
	}
	return true;
}

/* A client's part as the API shows it. */
static struct json_object *
part_shown(struct json_object *part)
{
	const char *type = json_get_string(part, "type");
	struct json_object *shown, *given = json_get_object(part, type), *image;

	if (!given)
		return model_text_part(json_get_string(part, "text"));
	shown = json_new_object();
	image = json_new_object();
	json_object_object_foreach(given, name, value)
	{
		json_set(image, name, json_object_get(value));
	}
	if (!json_get(image, "detail"))
		json_set_string(image, "detail", "auto");
	json_set_string(shown, "type", type);
	json_set(shown, type, image);
	return shown;
}

/* A client's content, a string or parts, as the API shows it. */
static struct json_object *
content_of(struct json_object *message)
{
	struct json_object *given = json_get(message, "content"), *content = json_new_array();

	if (json_object_is_type(given, json_type_string))
		json_add(content, model_text_part(json_object_get_string(given)));
	for (size_t i = 0; i < json_len(given); i++)
		json_add(content, part_shown(json_at(given, i)));
	return content;
}

/* Inserts a client's message. 1; -1: failed. */
static int
insert_new(struct db_tx *tx, long long thread, const char *id, struct json_object *given)
{
	struct json_object *body = json_new_object(), *content = content_of(given);
	int role = word_find(message_role_words, json_get_string(given, "role"));
	long long now = clock_unix();
	int inserted;

	json_copy(body, given, "attachments");
	json_copy(body, given, "metadata");
	inserted = message_insert(tx,
	    &(struct message){
		.id = id,
		.thread = thread,
		.created_at = now,
		.completed_at = now,
		.role = (enum message_role)role,
		.content = content,
		.body = body,
	    });
	json_object_put(content);
	json_object_put(body);
	return inserted == 1 ? 1 : -1;
}

int
messages_insert_new(
    const struct call *call, struct db_tx *tx, long long thread, struct json_object *messages)
{
	for (size_t i = 0; i < json_len(messages); i++) {
		const char *id = json_object_get_string(json_at(call->message_ids, i));

		if (insert_new(tx, thread, id, json_at(messages, i)) != 1)
			return -1;
	}
	return 1;
}

struct creation {
	struct call *call;
	struct json_object *body;
	char id[ID_SIZE];
};

static bool
write_message(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	struct call *call = creation->call;
	char run_id[ID_SIZE];
	struct owner owner = {0};
	int active;

	if (!call_thread(call, tx, &owner.seq))
		return false;
	active = thread_settle_active(&call->api->runs, tx, owner.seq, run_id);
	if (active == 1) {
		call_refuse(call, NULL, "Can't add messages to %s while a run %s is active.",
		    call->ids[0], run_id);
		call->response->error = API_THREAD_BUSY;
	}
	if (active != 0 || insert_new(tx, owner.seq, creation->id, creation->body) != 1)
		return false;
	return object_answer(call, tx, creation->id, &owner);
}

void
message_create(struct call *call)
{
	struct creation creation = {.call = call, .body = call_body(call)};

	id_new_in_order(creation.id, "msg_");
	if (creation.body && check_fields(call, creation.body, FIELDS(new_fields), ""))
		call_write(call, write_message, &creation);
	json_object_put(creation.body);
}

/* --- import --- */

/* Parts as the API shows them. */
static const struct field shown_words_fields[] = {
    {"value", FIELD_STRING, true},
    {"annotations", FIELD_ARRAY},
};
static const struct shape shown_words = {NULL, FIELDS(shown_words_fields)};
static const struct field shown_text_fields[] = {
    {"type", FIELD_STRING, true},
    {"text", FIELD_OBJECT, true, .shapes = &shown_words},
};
static const struct field shown_refusal_fields[] = {
    {"type", FIELD_STRING, true},
    {"refusal", FIELD_STRING, true},
};
static const struct shape shown_part_shapes[] = {
    {"text", FIELDS(shown_text_fields)},
    {"refusal", FIELDS(shown_refusal_fields)},
    {"image_url", FIELDS(url_part_fields)},
    {"image_file", FIELDS(file_part_fields)},
    {NULL},
};
static const struct field shown_part_element = {.types = FIELD_OBJECT, .shapes = shown_part_shapes};

static const struct field saved_fields[] = {
    {"role", FIELD_STRING, true, .words = message_role_words},
    {"content", FIELD_ARRAY, true, .element = &shown_part_element},
    {"attachments", FIELD_ARRAY, .element = &attachment_element},
    {"metadata", FIELD_METADATA},
    {"run_id", FIELD_STRING},
    {"assistant_id", FIELD_STRING},
};

int
message_import(struct import *import)
{
	struct json_object *object = import->object, *body;
	struct json_object *saved = import_checked(import, FIELDS(saved_fields));
	struct message message = {
	    .id = json_get_string(object, "id"),
	    .created_at = json_get_int(object, "created_at", 0),
	    .completed_at = json_get_int(object, "completed_at", 0),
	    .incomplete_at = json_get_int(object, "incomplete_at", 0),
	    .reason = message_reason_of(
		json_get_string(json_get(object, "incomplete_details"), "reason")),
	    .items = json_get(import->stored, "items"),
	};
	const char *run_id = json_get_string(saved, "run_id");
	int found = 0, result = -1;

	if (!saved || !import_owner(import, &message.thread, NULL)) {
		json_object_put(saved);
		return -1;
	}
	message.role =
	    (enum message_role)word_find(message_role_words, json_get_string(saved, "role"));
	message.content = json_get(saved, "content");
	/* OpenAI shows neither for most messages. */
	if (!message.completed_at && !message.incomplete_at)
		message.completed_at = message.created_at;
	if (run_id && message.role == MESSAGE_ASSISTANT)
		found = run_find(import->tx, message.thread, run_id, &message.run);
	body = json_new_object();
	json_copy(body, saved, "attachments");
	json_copy(body, saved, "metadata");
	if (found == 0) {
		json_copy(body, saved, "run_id");
		json_copy(body, saved, "assistant_id");
	}
	message.body = body;
	if (found >= 0)
		result = message_insert(import->tx, &message);
	json_object_put(body);
	json_object_put(saved);
	return result;
}
