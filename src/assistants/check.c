/*
 * Bodies, checked at the door by a table (room.h); behind it nobody looks again.
 */
#include "assistants/room.h"

#include "util/text.h"

enum { METADATA_PAIRS_MAX = 16, METADATA_KEY_MAX = 64, METADATA_VALUE_MAX = 512 };

const char *const reasoning_efforts[] = {
    "none", "minimal", "low", "medium", "high", "xhigh", "max", NULL};

static const struct {
	enum field_type type;
	const char *name;
} type_names[] = {
    {FIELD_STRING, "a string"},
    {FIELD_NUMBER, "a number"},
    {FIELD_INTEGER, "an integer"},
    {FIELD_BOOLEAN, "a boolean"},
    {FIELD_OBJECT, "an object"},
    {FIELD_ARRAY, "an array"},
    {FIELD_METADATA, "an object"},
};

static unsigned
types_of(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_string:
		return FIELD_STRING;
	case json_type_int:
		return FIELD_INTEGER | FIELD_NUMBER;
	case json_type_double:
		return FIELD_NUMBER;
	case json_type_boolean:
		return FIELD_BOOLEAN;
	case json_type_object:
		return FIELD_OBJECT | FIELD_METADATA;
	case json_type_array:
		return FIELD_ARRAY;
	default:
		return 0;
	}
}

static bool
refuse_type(struct call *call, const char *param, unsigned types)
{
	char expected[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
		if (types & type_names[i].type)
			used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
			    used ? " or " : "", type_names[i].name);
	refuse(call, param, "Invalid type for '%s': expected %s.", param, expected);
	return false;
}

/* What min and max bound: a number itself, a string's characters, an array's elements. */
static double
measure(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		return (double)utf8_chars(json_object_get_string(value));
	if (json_object_is_type(value, json_type_array))
		return (double)json_len(value);
	return json_object_get_double(value);
}

static bool
check_words(struct call *call, const char *param, const char *const *words, const char *value)
{
	char accepted[256] = "";
	size_t used = 0;

	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0)
			return true;
		used += (size_t)snprintf(
		    accepted + used, sizeof accepted - used, "%s'%s'", i ? ", " : "", words[i]);
	}
	refuse(call, param, "Invalid value: '%.64s'. Supported values are: %s.", value, accepted);
	return false;
}

static bool
check_metadata(struct call *call, const char *param, struct json_object *metadata)
{
	if (json_object_object_length(metadata) > METADATA_PAIRS_MAX) {
		refuse(call, param, "Invalid '%s': at most %d pairs are accepted.", param,
		    METADATA_PAIRS_MAX);
		return false;
	}
	json_object_object_foreach(metadata, key, value)
	{
		if (!json_object_is_type(value, json_type_string) ||
		    utf8_chars(key) > METADATA_KEY_MAX || measure(value) > METADATA_VALUE_MAX) {
			refuse(call, param,
			    "Invalid '%s': accepted are names of at most %d characters with "
			    "strings of at "
			    "most %d.",
			    param, METADATA_KEY_MAX, METADATA_VALUE_MAX);
			return false;
		}
	}
	return true;
}

static bool
check_value(
    struct call *call, const struct field *field, const char *param, struct json_object *value)
{
	double size;

	if (!(types_of(value) & field->types))
		return refuse_type(call, param, field->types);
	if (field->types & FIELD_METADATA)
		return check_metadata(call, param, value);
	if (json_object_is_type(value, json_type_string)) {
		/* Nothing further in can store it, and it would end the text there. */
		if (strlen(json_object_get_string(value)) !=
		    (size_t)json_object_get_string_len(value)) {
			refuse(call, param, "Invalid '%s': it has a NUL character in it.", param);
			return false;
		}
		if (field->words &&
		    !check_words(call, param, field->words, json_object_get_string(value)))
			return false;
	}
	size = measure(value);
	if (field->max > 0 && (size < field->min || size > field->max)) {
		refuse(call, param, "Invalid '%s': accepted is %s from %g to %g.", param,
		    json_object_is_type(value, json_type_string)      ? "a length"
			: json_object_is_type(value, json_type_array) ? "a number of elements"
								      : "a number",
		    field->min, field->max);
		return false;
	}
	return true;
}

static const struct field *
find_field(const struct field *fields, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

bool
check_fields(struct call *call, struct json_object *object, const struct field *fields,
    size_t fields_len, const char *prefix)
{
	char param[256];

	json_object_object_foreach(object, name, value)
	{
		const struct field *field = find_field(fields, fields_len, name);

		snprintf(param, sizeof param, "%s%.128s", prefix, name);
		if (!field) {
			refuse(call, param, "Unknown parameter: '%s'.", param);
			return false;
		}
		if (value && !check_value(call, field, param, value))
			return false;
	}
	for (size_t i = 0; i < fields_len; i++) {
		if (!fields[i].required || json_get(object, fields[i].name))
			continue;
		snprintf(param, sizeof param, "%s%s", prefix, fields[i].name);
		refuse(call, param, "Missing required parameter: '%s'.", param);
		return false;
	}
	return true;
}

bool
check_tools(struct call *call, struct json_object *tools)
{
	static const char *const types[] = {"function", "code_interpreter", "file_search", NULL};
	char param[64];

	for (size_t i = 0; i < json_len(tools); i++) {
		const char *type = json_get_string(json_at(tools, i), "type");
		struct json_object *function = json_get_object(json_at(tools, i), "function");

		snprintf(param, sizeof param, "tools[%zu].type", i);
		if (!check_words(call, param, types, type ? type : ""))
			return false;
		if (strcmp(type, "function") != 0 || json_get_string(function, "name"))
			continue;
		snprintf(param, sizeof param, "tools[%zu].function.name", i);
		refuse(call, param, "Missing required parameter: '%s'.", param);
		return false;
	}
	return true;
}

struct json_object *
body_object(struct call *call)
{
	struct json_object *body = call->request->body;

	if (!body)
		return json_object_new_object();
	if (json_object_is_type(body, json_type_object))
		return json_object_get(body);
	refuse(call, NULL, "The body must be a JSON object.");
	return NULL;
}

void
copy_member(struct json_object *to, struct json_object *from, const char *name)
{
	json_set(to, name, json_object_get(json_get(from, name)));
}
