/*
 * A few words on top of json-c, for reading objects that others made. Getters borrow: what they
 * return lives as long as the object. Everything that takes an object takes NULL, too.
 */
#ifndef TEXT_JSON_H
#define TEXT_JSON_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Parses one JSON text that fills `len` bytes (RFC 8259; nothing after it, at most 64 levels deep,
 * valid UTF-8, at most 65,536 objects and arrays or a million other values). The object is the
 * caller's, put with json_object_put(). -1 when it is not JSON. `null` is 0 with *out NULL.
 */
int json_parse(const char *text, size_t len, struct json_object **out);

/* What may be taken for parsing a text that came from outside. */
struct json_bounds {
	size_t values; /* objects, arrays, strings, numbers and literals, at most */
	/* Asked before about how many bytes of memory it takes; NULL: not asked. */
	bool (*hold)(void *arg, size_t bytes);
	void *arg;
};

enum json_result {
	JSON_PARSED,
	JSON_BAD,       /* it is not JSON, or more than is taken */
	JSON_NO_MEMORY, /* also where `hold` said no */
};
enum json_result json_parse_within(
    const char *text, size_t len, const struct json_bounds *bounds, struct json_object **out);

/*
 * The same for what another server says: in its strings U+0000, at which C's would end, becomes
 * U+FFFD.
 */
int json_parse_foreign(const char *text, size_t len, struct json_object **out);

/*
 * A string by its JSON text, quotes included, which is printed as it is: nothing is parsed, or
 * escaped again. Its type is a string's, its value is not. NULL: no memory.
 */
struct json_object *json_literal(const char *text, size_t len);

/* The literal that a text begins with: its length, quotes included; 0 when it is none. */
size_t json_literal_len(const char *text, size_t len);

/* A part of a text, as it stands there; {NULL, 0}: none. */
struct json_raw {
	const char *at;
	size_t len;
};

/*
 * The values of some members of the object that `text` is, for a tenth of what parsing it costs;
 * `keys`, which have nothing to escape, end with NULL. False when it is not JSON, not an object, or
 * an empty one; and for what only parsing can tell, such as whether 1e999 is a number.
 */
bool json_peek(const char *text, size_t len, const char *const *keys, struct json_raw *values);

/* As json_parse_foreign() has it; NULL: null, or none. The object is the caller's. */
struct json_object *json_raw_parse(struct json_raw raw);

/* The member, NULL when missing, null, or `object` is no object. */
struct json_object *json_get(struct json_object *object, const char *key);

/* The member if it is of that type, else NULL. */
struct json_object *json_get_object(struct json_object *object, const char *key);
struct json_object *json_get_array(struct json_object *object, const char *key);
const char *json_get_string(struct json_object *object, const char *key);

/* Whether the member is that string. */
bool json_is(struct json_object *object, const char *key, const char *value);

/* The member if it is an integer, else `otherwise`. */
long long json_get_int(struct json_object *object, const char *key, long long otherwise);

/* Element `index` of an array, NULL past its end. */
struct json_object *json_at(struct json_object *array, size_t index);
size_t json_len(struct json_object *array);

/*
 * What is made here is the caller's to put. Without memory it is NULL, or lacks a member, which
 * memory_is_out() tells; so all that takes an object also takes NULL for it.
 */
struct json_object *json_new_object(void);
struct json_object *json_new_array(void);
struct json_object *json_new_string(const char *value);
struct json_object *json_new_int(long long value);
struct json_object *json_new_bool(bool value);
struct json_object *json_new_double(double value);

/* Sets a member and takes `value` over (NULL is JSON's null), replacing an earlier one. */
void json_set(struct json_object *object, const char *key, struct json_object *value);
void json_set_string(struct json_object *object, const char *key, const char *value);
void json_set_int(struct json_object *object, const char *key, long long value);

/* Sets a member to a reference of what `from` has there, or to null. */
void json_copy(struct json_object *object, struct json_object *from, const char *key);

/* Sets a member that is missing or null, and takes `value` over in any case. */
void json_default(struct json_object *object, const char *key, struct json_object *value);

/* Takes a member out, if it is there. */
void json_remove(struct json_object *object, const char *key);

/* The same as json_set() for an array's end. */
void json_add(struct json_object *array, struct json_object *value);

/* The compact text, borrowed from the object until it is next written or put. "null" for NULL. */
const char *json_text(struct json_object *value);

#endif
