#include "gateway/tool_arguments.h"

#include <math.h>

#include "text/json.h"
#include "text/text.h"

enum { PATH_SIZE = 96 };

/* The value being checked, and its path for the model. */
struct place {
	char path[PATH_SIZE]; /* such as "point.x"; "": the whole */
	char *error;
};

static struct place
below(const struct place *place, const char *name)
{
	struct place inner = {.error = place->error};
	char path[2 * PATH_SIZE];

	/* A name that the model invented may have any length. */
	snprintf(path, sizeof path, "%s%s%.80s", place->path, *place->path ? "." : "", name);
	utf8_copy(inner.path, sizeof inner.path, path);
	return inner;
}

static bool
is_of_type(struct json_object *value, const char *type)
{
	double number;

	switch (json_object_get_type(value)) {
	case json_type_null:
		return strcmp(type, "null") == 0;
	case json_type_boolean:
		return strcmp(type, "boolean") == 0;
	case json_type_int:
		return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
	case json_type_double:
		/* 1.0 is an integer, too (JSON Schema, 6.1.1). */
		number = json_object_get_double(value);
		return strcmp(type, "number") == 0 ||
		    (strcmp(type, "integer") == 0 && number == floor(number));
	case json_type_string:
		return strcmp(type, "string") == 0;
	case json_type_array:
		return strcmp(type, "array") == 0;
	default:
		return strcmp(type, "object") == 0;
	}
}

static bool
has_type(const struct place *place, struct json_object *schema, struct json_object *value)
{
	struct json_object *type = json_get(schema, "type");
	size_t len = json_object_is_type(type, json_type_array) ? json_len(type) : 0;

	if (json_object_is_type(type, json_type_string)) {
		if (is_of_type(value, json_object_get_string(type)))
			return true;
	} else if (len == 0) {
		return true;
	}
	for (size_t i = 0; i < len; i++) {
		struct json_object *one = json_at(type, i);

		/* In json-c null is a NULL pointer. */
		if (is_of_type(value, one ? json_object_get_string(one) : "null"))
			return true;
	}
	snprintf(place->error, ERROR_SIZE, "%s%s%s must be of type %.60s",
	    *place->path ? "\"" : "the arguments", place->path, *place->path ? "\"" : "",
	    len ? json_text(type) : json_object_get_string(type));
	return false;
}

static bool
has_required(const struct place *place, struct json_object *schema, struct json_object *value)
{
	struct json_object *required = json_get_array(schema, "required");

	for (size_t i = 0; i < json_len(required); i++) {
		struct json_object *item = json_at(required, i);
		const char *name = json_object_get_string(item);

		if (!json_object_is_type(item, json_type_string) ||
		    json_object_object_get_ex(value, name, NULL))
			continue;
		snprintf(place->error, ERROR_SIZE, "\"%s\" is missing", below(place, name).path);
		return false;
	}
	return true;
}

/* The parsers bounded the depth of both schema and value. */
static bool
fits(const struct place *place, struct json_object *schema, struct json_object *value)
{
	struct json_object *properties = json_get_object(schema, "properties");
	struct json_object *items = json_get_object(schema, "items");

	if (!has_type(place, schema, value))
		return false;
	if (json_object_is_type(value, json_type_array)) {
		struct place inner = below(place, "[]");

		for (size_t i = 0; items && i < json_len(value); i++)
			if (!fits(&inner, items, json_at(value, i)))
				return false;
		return true;
	}
	if (!json_object_is_type(value, json_type_object))
		return true;
	if (!has_required(place, schema, value))
		return false;
	json_object_object_foreach(value, name, member)
	{
		struct json_object *known = json_get_object(properties, name);
		struct place inner = below(place, name);

		if (known && !fits(&inner, known, member))
			return false;
	}
	return true;
}

bool
arguments_fit(struct json_object *parameters, struct json_object *arguments, char error[ERROR_SIZE])
{
	struct place whole = {.error = error};

	*error = '\0';
	return !parameters || fits(&whole, parameters, arguments);
}
