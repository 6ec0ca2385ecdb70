/*
 * Members of a message or a call that a dialect does not know, but that its server wants back:
 * Gemini's extra_content, DeepSeek's reasoning_content, OpenRouter's reasoning_details. A stream
 * brings them in pieces. Only for src/model/.
 */
#ifndef MODEL_MEMBERS_H
#define MODEL_MEMBERS_H

#include <json.h>
#include <stdbool.h>

struct members {
	struct member *list;
	size_t len, size;
	bool too_many; /* none is kept: a part of them would be worse */
};

void members_free(struct members *members);

/*
 * Adds what `from`, if it is an object, has beside `known`, a list that ends with NULL. Strings are
 * joined, arrays too, anything else replaces what came before; null and empty ones don't count. How
 * many bytes that takes, roughly: the caller bounds them.
 */
size_t members_add(struct members *members, struct json_object *from, const char *const *known);

/*
 * All of them as an object, the caller's; NULL when there are none. Of an array that came in
 * pieces, objects of one `index` and `type` become one.
 */
struct json_object *members_take(struct members *members);

#endif
