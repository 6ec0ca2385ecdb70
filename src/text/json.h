/*
 * Helpers on top of json-c, for objects from outside. Getters borrow: what they return lives as
 * long as the object. Everything that takes an object accepts NULL.
 */
#ifndef TEXT_JSON_H
#define TEXT_JSON_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Parses `len` bytes as one JSON text (RFC 8259): nothing after it, at most 64 levels, valid UTF-8,
 * at most 65,536 objects and arrays or a million other values. The object is the caller's, freed by
 * json_object_put(). -1: not JSON, beyond these limits, or out of memory (memory_is_out()). `null`
 * gives 0 and *out NULL.
 */
int json_parse(const char *text, size_t len, struct json_object **out);

/* Limits for parsing a text from outside. */
struct json_bounds {
	size_t values; /* the most objects, arrays, strings, numbers and literals */
	/* Called first, with about how many bytes of memory the objects take; NULL: not called. */
	bool (*hold)(void *arg, size_t bytes);
	void *arg;
};

enum json_result {
	JSON_PARSED,
	JSON_BAD,       /* not JSON, or beyond the limits */
	JSON_NO_MEMORY, /* also if `hold` refused */
};
enum json_result json_parse_within(
    const char *text, size_t len, const struct json_bounds *bounds, struct json_object **out);

/*
 * The same for another server's text: U+0000 in a string, at which a C string would end, becomes
 * U+FFFD.
 */
int json_parse_foreign(const char *text, size_t len, struct json_object **out);

/*
 * A string value from its JSON text, with quotes. It is printed as it is, without being parsed or
 * escaped again. It has the type of a string, but not its value. NULL: no memory.
 */
struct json_object *json_literal(const char *text, size_t len);

/* The length of the string literal at the text's beginning, with quotes; 0: none. */
size_t json_literal_len(const char *text, size_t len);

/* A part of a text, unparsed; {NULL, 0}: absent. */
struct json_raw {
	const char *at;
	size_t len;
};

/*
 * Finds the values of some members of the object `text`, for a tenth of the cost of parsing it.
 * `keys` need no escapes, and end with NULL. False: not JSON, not an object, or an empty one; or
 * only parsing could tell, such as whether 1e999 is a number.
 */
bool json_peek(const char *text, size_t len, const char *const *keys, struct json_raw *values);

/*
 * Parses a value that json_peek() found, like json_parse_foreign(); no other text may be passed.
 * NULL: null, absent, or no memory. The object is the caller's.
 */
struct json_object *json_raw_parse(struct json_raw raw);

/* The member; NULL: missing, null, or `object` is no object. */
struct json_object *json_get(struct json_object *object, const char *key);

/* The member if it has this type, else NULL. */
struct json_object *json_get_object(struct json_object *object, const char *key);
struct json_object *json_get_array(struct json_object *object, const char *key);
const char *json_get_string(struct json_object *object, const char *key);

/* Whether the member is this string. */
bool json_is(struct json_object *object, const char *key, const char *value);

/* The member if it is an integer, else `otherwise`. */
long long json_get_int(struct json_object *object, const char *key, long long otherwise);

/* Element `index` of an array, NULL past its end. */
struct json_object *json_at(struct json_object *array, size_t index);
size_t json_len(struct json_object *array);

/*
 * The caller releases new values, by json_object_put(). Without memory the result is NULL, or lacks
 * a member, and memory_is_out() says so.
 */
struct json_object *json_new_object(void);
struct json_object *json_new_array(void);
struct json_object *json_new_string(const char *value);
struct json_object *json_new_int(long long value);
struct json_object *json_new_bool(bool value);
struct json_object *json_new_double(double value);

/* Sets or replaces a member; takes `value` over (NULL is JSON's null). */
void json_set(struct json_object *object, const char *key, struct json_object *value);
void json_set_string(struct json_object *object, const char *key, const char *value);
void json_set_int(struct json_object *object, const char *key, long long value);

/* Sets a member to a reference to the same member of `from`, or to null. */
void json_copy(struct json_object *object, struct json_object *from, const char *key);

/* Sets the member if it is missing or null; takes `value` over in any case. */
void json_default(struct json_object *object, const char *key, struct json_object *value);

/* Removes a member, if it is there. */
void json_remove(struct json_object *object, const char *key);

/* Appends to an array; takes `value` over. */
void json_add(struct json_object *array, struct json_object *value);

/* The compact text, borrowed from the value until it is printed again or freed. "null" for NULL. */
const char *json_text(struct json_object *value);

#endif
