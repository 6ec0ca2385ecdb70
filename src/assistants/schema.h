/*
 * Bodies are checked by tables before anything else looks at them; behind that nothing is checked
 * again. Only for src/assistants/.
 */
#ifndef ASSISTANTS_SCHEMA_H
#define ASSISTANTS_SCHEMA_H

#include "assistants/call.h"

enum field_type {
	FIELD_STRING = 1,
	FIELD_NUMBER = 2, /* integers, too */
	FIELD_INTEGER = 4,
	FIELD_BOOLEAN = 8,
	FIELD_OBJECT = 16,
	FIELD_ARRAY = 32,
	FIELD_METADATA = 64, /* an object of at most 16 strings of 512, names of 64 */
	FIELD_NAME = 128,    /* a string of 1 to 64 letters, digits, '_' and '-' */
	FIELD_URL = 256,     /* a string: where a model server finds an image */
};

/* For `fields, fields_len` below. */
#define FIELDS_LEN(array) (sizeof(array) / sizeof *(array))
#define FIELDS(array) (array), FIELDS_LEN(array)

/*
 * A value that a body may have: a member, or, without its name, each element of an array. null
 * counts as left out, as it does in the API.
 */
struct field {
	const char *name;
	unsigned types; /* mask of enum field_type */
	bool required;
	/* Of a number; of a string's length in characters; of an array's. max 0: no bound. */
	double min, max;
	const char *const *words;    /* what a string may be, NULL-terminated; NULL: anything */
	const struct shape *shapes;  /* what an object may be; NULL: anything */
	const struct field *element; /* what an array's elements may be; NULL: anything */
};

/*
 * A form of an object. Of several, in a table that ends with an empty row, it is the one whose
 * `type` the object's member `type` says.
 */
struct shape {
	const char *type; /* NULL: there is only this one */
	const struct field *fields;
	size_t fields_len;
	/* What the fields can't say, NULL for nothing. False when it was refused. */
	bool (*check)(struct call *call, struct json_object *object, const char *prefix);
};

/*
 * Checks `object` against the table; unknown members are refused by name. `prefix` goes before
 * names in the error's param: "messages[0].". False when it was refused.
 */
bool check_fields(struct call *call, struct json_object *object, const struct field *fields,
    size_t fields_len, const char *prefix);

/* Checks a value, NULL for none, that the error calls `param`. False when it was refused. */
bool check_value(
    struct call *call, const struct field *field, const char *param, struct json_object *value);

/* What the API's objects have in common: schema_common.c. */
extern const char *const reasoning_efforts[];
extern const char *const response_format_words[];
extern const struct shape response_formats[];
extern const struct shape tool_resources;
extern const struct shape new_tool_resources; /* may ask for a vector store to be made, too */
extern const struct field tool_element, attachment_tool_element;

#endif
