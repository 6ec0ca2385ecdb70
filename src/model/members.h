/*
 * Members of a message or a call that a dialect does not know, but that the server wants back:
 * Gemini's extra_content, DeepSeek's reasoning_content, OpenRouter's reasoning_details. A stream
 * sends them in pieces. Only for src/model/.
 */
#ifndef MODEL_MEMBERS_H
#define MODEL_MEMBERS_H

#include <json.h>
#include <stdbool.h>

struct members {
	struct member *list;
	size_t len, size;
	bool too_many; /* then none is kept: a part of them would be worse */
};

void members_free(struct members *members);

/*
 * Adds the members of `from`, if it is an object, except `known`, a list that ends with NULL.
 * Strings and arrays are appended, other values replace earlier ones; null and empty values are
 * ignored. Returns about how many bytes that takes: the caller must bound them.
 */
size_t members_add(struct members *members, struct json_object *from, const char *const *known);

/*
 * All members as an object, the caller's; NULL: none. In an array that came in pieces, objects with
 * the same `index` and `type` become one.
 */
struct json_object *members_take(struct members *members);

#endif
