/* Assistants: a definition under an id. */
#include "assistants/kinds.h"
#include "os/clock.h"
#include "records/assistant.h"
#include "text/json.h"

/* The fields of new and changed assistants, one a line. */
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

/* What the API shows for members that were never set. */
static void
set_defaults(struct json_object *body)
{
	json_default(body, "tools", json_new_array());
	json_default(body, "metadata", json_new_object());
}

/* Only named members change; null removes an optional one. */
static void
change(struct json_object *stored, struct json_object *body)
{
	json_object_object_foreach(body, name, value)
	{
		if (value || (strcmp(name, "model") != 0 && strcmp(name, "tools") != 0))
			json_set(stored, name, json_object_get(value));
	}
	set_defaults(stored);
}

const struct kind assistant_kind = {
    .name = "assistant",
    .prefix = "asst",
    .deleted = "assistant.deleted",
    .owner = OWNER_TENANT,
    .record = &assistant_record,
    .fields = fields,
    .fields_len = FIELDS_LEN(fields),
    .change = change,
};

bool
assistant_check(struct call *call, struct json_object *assistant)
{
	return check_fields(call, assistant, FIELDS(new_fields), "");
}

struct creation {
	struct call *call;
	struct assistant assistant;
};

static bool
write_assistant(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	const struct owner owner = {.tenant = creation->assistant.tenant};

	if (assistant_insert(tx, &creation->assistant) != 1)
		return false;
	return object_answer(creation->call, tx, creation->assistant.id, &owner);
}

void
assistant_create(struct call *call)
{
	struct json_object *body = call_body(call), *stored = json_new_object();
	struct creation creation = {.call = call};
	char id[ID_SIZE];

	if (body && assistant_check(call, body)) {
		for (int i = 0; assistant_members[i]; i++)
			json_copy(stored, body, assistant_members[i]);
		set_defaults(stored);
		id_new(id, "asst_");
		creation.assistant = (struct assistant){
		    .id = id,
		    .tenant = call->request->tenant,
		    .created_at = clock_unix(),
		    .body = stored,
		};
		call_write(call, write_assistant, &creation);
	}
	json_object_put(stored);
	json_object_put(body);
}

/* --- import --- */

/*
 * The API shows defaults where nothing was set. They must not be sent on: some models refuse a
 * temperature.
 */
static struct json_object *
body_of_shown(struct json_object *shown)
{
	struct json_object *body = json_new_object();
	const char *format = json_get_string(shown, "response_format");

	for (int i = 0; assistant_members[i]; i++)
		json_copy(body, shown, assistant_members[i]);
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
	struct assistant assistant = {
	    .id = json_get_string(object, "id"),
	    .tenant = import->call->request->tenant,
	    .created_at = json_get_int(object, "created_at", 0),
	};
	int result = -1;

	body = json_object_get(json_get_object(import->stored, "body"));
	if (!body)
		body = body_of_shown(object);
	assistant.body = body;
	if (assistant_check(import->call, body))
		result = assistant_insert(import->tx, &assistant);
	json_object_put(body);
	return result;
}
