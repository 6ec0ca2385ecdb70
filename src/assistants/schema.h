/*
 * Checks bodies by tables before any other code reads them; nothing is checked again later. Only
 * for src/assistants/.
 */
#ifndef ASSISTANTS_SCHEMA_H
#define ASSISTANTS_SCHEMA_H

#include "assistants/call.h"

enum field_type {
	FIELD_STRING = 1,
	FIELD_NUMBER = 2, /* also integers */
	FIELD_INTEGER = 4,
	FIELD_BOOLEAN = 8,
	FIELD_OBJECT = 16,
	FIELD_ARRAY = 32,
	FIELD_METADATA = 64, /* an object: at most 16 strings of 512, names of 64 */
	FIELD_NAME = 128,    /* a string of 1 to 64 letters, digits, '_' and '-' */
	FIELD_URL = 256,     /* a string: where a model server fetches an image */
};

/* For `fields, fields_len` below. */
#define FIELDS_LEN(array) (sizeof(array) / sizeof *(array))
#define FIELDS(array) (array), FIELDS_LEN(array)

/*
 * A value that a body may have: a member, or, if it has no name, each element of an array. null
 * counts as absent, as in the API.
 */
struct field {
	const char *name;
	unsigned types; /* mask of enum field_type */
	bool required;
	/*
	 * Of a number, of a string's length in characters, or of an array's length. max 0: no
	 * bound.
	 */
	double min, max;
	const char *const *words;    /* allowed strings, NULL-terminated; NULL: any */
	const struct shape *shapes;  /* allowed forms of an object; NULL: any */
	const struct field *element; /* allowed elements of an array; NULL: any */
};

/*
 * A form of an object. If there are several, in a table that ends with an empty row, the object's
 * member `type` selects one.
 */
struct shape {
	const char *type; /* NULL: there is only this form */
	const struct field *fields;
	size_t fields_len;
	/* Checks what fields cannot express; NULL: nothing. False: refused. */
	bool (*check)(struct call *call, struct json_object *object, const char *prefix);
};

/*
 * Checks `object` against the table; unknown members are refused by name. `prefix` precedes names
 * in the error's param: "messages[0].". False: refused.
 */
bool check_fields(struct call *call, struct json_object *object, const struct field *fields,
    size_t fields_len, const char *prefix);

/* Checks a value, NULL: absent, named `param` in errors. False: refused. */
bool check_value(
    struct call *call, const struct field *field, const char *param, struct json_object *value);

/* What several kinds of objects share: schema_common.c. */
extern const char *const reasoning_efforts[];
extern const char *const response_format_words[];
extern const struct shape response_formats[];
extern const struct shape tool_resources;
extern const struct shape new_tool_resources; /* may also ask for a new vector store */
extern const struct field tool_element, attachment_tool_element;

#endif
