/* Checks bodies by tables when they arrive (schema.h); nothing else checks them again. */
#include "assistants/schema.h"

#include "net/http_client.h"
#include "text/json.h"
#include "text/text.h"

enum {
	METADATA_PAIRS_MAX = 16,
	METADATA_KEY_MAX = 64,
	METADATA_VALUE_MAX = 512,
	NAME_MAX_LEN = 64,
	SHAPES_MAX = 7,
	PARAM_SIZE = 256
};

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
    {FIELD_NAME, "a string"},
    {FIELD_URL, "a string"},
};

static unsigned
types_of(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_string:
		return FIELD_STRING | FIELD_NAME | FIELD_URL;
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

static const char *
name_of_type(struct json_object *value)
{
	static const char *const names[] = {
	    [json_type_null] = "null",
	    [json_type_boolean] = "a boolean",
	    [json_type_double] = "a decimal number",
	    [json_type_int] = "an integer",
	    [json_type_object] = "an object",
	    [json_type_array] = "an array",
	    [json_type_string] = "a string",
	};

	return names[json_object_get_type(value)];
}

static bool
refuse_type(struct call *call, const char *param, unsigned types, struct json_object *value)
{
	char expected[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
		if (types & type_names[i].type)
			used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
			    used ? " or " : "", type_names[i].name);
	call_refuse_as(call, "invalid_type", param,
	    "Invalid type for '%s': expected %s, but got %s instead.", param, expected,
	    name_of_type(value));
	return false;
}

/* What min and max bound: a number, a string's characters, an array's elements. */
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
	call_refuse(
	    call, param, "Invalid value: '%.64s'. Supported values are: %s.", value, accepted);
	return false;
}

/* Later code cannot store a NUL; it would end the text there. */
static bool
has_nul(struct json_object *string)
{
	return strlen(json_object_get_string(string)) != (size_t)json_object_get_string_len(string);
}

static bool
check_metadata(struct call *call, const char *param, struct json_object *metadata)
{
	if (json_object_object_length(metadata) > METADATA_PAIRS_MAX) {
		call_refuse(call, param, "Invalid '%s': at most %d pairs are accepted.", param,
		    METADATA_PAIRS_MAX);
		return false;
	}
	json_object_object_foreach(metadata, key, value)
	{
		char name[PARAM_SIZE];

		snprintf(name, sizeof name, "%s.%.128s", param, key);
		if (!json_object_is_type(value, json_type_string))
			return refuse_type(call, name, FIELD_STRING, value);
		if (has_nul(value) || utf8_chars(key) > METADATA_KEY_MAX ||
		    measure(value) > METADATA_VALUE_MAX) {
			call_refuse(call, param,
			    "Invalid '%s': a name may have at most %d characters, its value at "
			    "most %d, without NUL characters.",
			    param, METADATA_KEY_MAX, METADATA_VALUE_MAX);
			return false;
		}
	}
	return true;
}

static bool
is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= NAME_MAX_LEN &&
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* A URL that a model server may fetch. A local server must not be made to read its own files. */
static bool
is_url(const char *text)
{
	static const char *const beginnings[] = {"https://", "http://", "data:image/"};

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (strncasecmp(text, beginnings[i], strlen(beginnings[i])) == 0)
			return text[strlen(beginnings[i])] != '\0';
	return false;
}

/* Whether a model server in a private network would be made to fetch something there. */
static bool
is_forbidden_url(const struct call *call, const char *text)
{
	return call->api && call->api->model_url && strncasecmp(text, "http", 4) == 0 &&
	    http_url_is_private(text, false) && http_url_is_private(call->api->model_url, true);
}

static bool
check_string(
    struct call *call, const struct field *field, const char *param, struct json_object *value)
{
	const char *text = json_object_get_string(value);

	if (has_nul(value)) {
		call_refuse(call, param, "Invalid '%s': it has a NUL character in it.", param);
		return false;
	}
	if (field->types & FIELD_NAME && !is_name(text)) {
		call_refuse(call, param,
		    "Invalid '%s': it must have 1 to %d letters (a-z, A-Z), digits, '_' and '-'.",
		    param, NAME_MAX_LEN);
		return false;
	}
	if (field->types & FIELD_URL && !is_url(text)) {
		call_refuse(call, param,
		    "Invalid '%s'. Expected a valid URL: https:, http: or data:image/…", param);
		return false;
	}
	if (field->types & FIELD_URL && is_forbidden_url(call, text)) {
		call_refuse(call, param,
		    "Invalid '%s'. A private address is not accepted, because the model server is "
		    "in a private network, and would fetch the image from there: send it as "
		    "data:image/…;base64,…",
		    param);
		return false;
	}
	return !field->words || check_words(call, param, field->words, text);
}

static bool
check_size(
    struct call *call, const struct field *field, const char *param, struct json_object *value)
{
	double size = field->max > 0 ? measure(value) : 0;
	/* Whole numbers are printed in full; fractional bounds have one digit. */
	int digits = field->min != (double)(long long)field->min ||
	    field->max != (double)(long long)field->max;

	if (field->max <= 0 || (size >= field->min && size <= field->max))
		return true;
	call_refuse(call, param, "Invalid '%s': it must be %s from %.*f to %.*f.", param,
	    json_object_is_type(value, json_type_string)      ? "a length"
		: json_object_is_type(value, json_type_array) ? "a number of elements"
							      : "a number",
	    digits, field->min, digits, field->max);
	return false;
}

/* The shape that `type` selects; NULL: refused. */
static const struct shape *
choose_shape(
    struct call *call, const struct shape *shapes, const char *param, struct json_object *type)
{
	const char *words[SHAPES_MAX + 1] = {NULL};

	if (!type) {
		call_refuse(call, param, "Missing required parameter: '%s'.", param);
		return NULL;
	}
	if (!json_object_is_type(type, json_type_string)) {
		refuse_type(call, param, FIELD_STRING, type);
		return NULL;
	}
	for (size_t i = 0; i < SHAPES_MAX && shapes[i].type; i++) {
		words[i] = shapes[i].type;
		if (strcmp(words[i], json_object_get_string(type)) == 0)
			return &shapes[i];
	}
	check_words(call, param, words, json_object_get_string(type));
	return NULL;
}

static bool
check_object(
    struct call *call, const struct shape *shape, const char *param, struct json_object *object)
{
	char prefix[PARAM_SIZE], type[PARAM_SIZE];

	snprintf(prefix, sizeof prefix, "%s.", param);
	if (shape->type) {
		snprintf(type, sizeof type, "%s.type", param);
		shape = choose_shape(call, shape, type, json_get(object, "type"));
	}
	return shape && check_fields(call, object, shape->fields, shape->fields_len, prefix) &&
	    (!shape->check || shape->check(call, object, prefix));
}

static bool
check_elements(
    struct call *call, const struct field *element, const char *param, struct json_object *array)
{
	char name[PARAM_SIZE];

	for (size_t i = 0; i < json_len(array); i++) {
		struct json_object *value = json_at(array, i);

		snprintf(name, sizeof name, "%s[%zu]", param, i);
		if (!value)
			return refuse_type(call, name, element->types, value);
		if (!check_value(call, element, name, value))
			return false;
	}
	return true;
}

bool
check_value(
    struct call *call, const struct field *field, const char *param, struct json_object *value)
{
	if (!value)
		return true;
	if (!(types_of(value) & field->types))
		return refuse_type(call, param, field->types, value);
	if (field->types & FIELD_METADATA)
		return check_metadata(call, param, value);
	if (json_object_is_type(value, json_type_string) &&
	    !check_string(call, field, param, value))
		return false;
	if (!check_size(call, field, param, value))
		return false;
	if (field->shapes && json_object_is_type(value, json_type_object))
		return check_object(call, field->shapes, param, value);
	return !field->element || !json_object_is_type(value, json_type_array) ||
	    check_elements(call, field->element, param, value);
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
	char param[PARAM_SIZE];

	json_object_object_foreach(object, name, value)
	{
		const struct field *field = find_field(fields, fields_len, name);

		snprintf(param, sizeof param, "%s%.128s", prefix, name);
		if (!field) {
			call_refuse(call, param, "Unknown parameter: '%s'.", param);
			return false;
		}
		if (!check_value(call, field, param, value))
			return false;
	}
	for (size_t i = 0; i < fields_len; i++) {
		if (!fields[i].required || json_get(object, fields[i].name))
			continue;
		snprintf(param, sizeof param, "%s%s", prefix, fields[i].name);
		call_refuse(call, param, "Missing required parameter: '%s'.", param);
		return false;
	}
	return true;
}
