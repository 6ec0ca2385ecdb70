#include "model/members.h"

#include "text/buf.h"
#include "text/json.h"

enum { MEMBERS_MAX = 32, SIZE_MAX_BYTES = 4 << 20, ELEMENT_SIZE = 512 };

struct member {
	char *name;
	struct buf text;           /* of a string */
	struct json_object *value; /* of anything else */
};

void
members_free(struct members *members)
{
	for (size_t i = 0; i < members->len; i++) {
		free(members->list[i].name);
		buf_free(&members->list[i].text);
		json_object_put(members->list[i].value);
	}
	free(members->list);
	*members = (struct members){.too_many = members->too_many};
}

static struct member *
find(struct members *members, const char *name)
{
	struct member *member;

	for (size_t i = 0; i < members->len; i++)
		if (strcmp(members->list[i].name, name) == 0)
			return &members->list[i];
	if (members->len == MEMBERS_MAX)
		return NULL;
	if (!members->list)
		members->list = calloc(MEMBERS_MAX, sizeof *members->list);
	if (!members->list)
		return NULL;
	member = &members->list[members->len];
	*member = (struct member){.name = strdup(name), .text = BUF_INIT(SIZE_MAX_BYTES)};
	members->len += member->name != NULL;
	return member->name ? member : NULL;
}

/* About how many bytes the value takes; 0: it is empty. */
static size_t
size_of(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		return (size_t)json_object_get_string_len(value);
	if (json_object_is_type(value, json_type_array) && json_len(value) == 0)
		return 0;
	if (json_object_is_type(value, json_type_object) && json_object_object_length(value) == 0)
		return 0;
	return value ? ELEMENT_SIZE + strlen(json_text(value)) : 0;
}

/* False: too many. */
static bool
add(struct members *members, const char *name, struct json_object *value)
{
	struct member *member = find(members, name);
	bool is_array = json_object_is_type(value, json_type_array);

	members->size += size_of(value);
	if (!member || members->size > SIZE_MAX_BYTES)
		return false;
	if (json_object_is_type(value, json_type_string))
		return buf_puts(&member->text, json_object_get_string(value)) == 0;
	if (is_array && json_object_is_type(member->value, json_type_array)) {
		for (size_t i = 0; i < json_len(value); i++)
			json_add(member->value, json_object_get(json_at(value, i)));
		return true;
	}
	json_object_put(member->value);
	member->value = json_object_get(value);
	return true;
}

static bool
is_known(const char *name, const char *const *known)
{
	while (*known && strcmp(*known, name) != 0)
		known++;
	return *known;
}

size_t
members_add(struct members *members, struct json_object *from, const char *const *known)
{
	size_t before = members->size;

	if (!json_object_is_type(from, json_type_object) || members->too_many)
		return 0;
	json_object_object_foreach(from, name, value)
	{
		if (is_known(name, known) || size_of(value) == 0)
			continue;
		if (!add(members, name, value)) {
			members->too_many = true;
			members_free(members);
			return 0;
		}
	}
	return members->size - before;
}

/* Whether the piece continues the element. */
static bool
goes_on(struct json_object *element, struct json_object *piece)
{
	return json_get(element, "index") &&
	    json_object_equal(json_get(element, "index"), json_get(piece, "index")) &&
	    json_object_equal(json_get(element, "type"), json_get(piece, "type"));
}

/* Appends strings, except those that say what kind of element it is. */
static void
join(struct json_object *element, struct json_object *piece)
{
	static const char *const whole[] = {"type", "id", "format", NULL};

	json_object_object_foreach(piece, name, value)
	{
		const char *had = json_get_string(element, name);
		struct buf both = BUF_INIT(SIZE_MAX_BYTES);

		if (!value)
			continue;
		if (!had || !json_object_is_type(value, json_type_string) ||
		    is_known(name, whole)) {
			json_set(element, name, json_object_get(value));
			continue;
		}
		buf_puts(&both, had);
		buf_puts(&both, json_object_get_string(value));
		json_set_string(element, name, both.data);
		buf_free(&both);
	}
}

static struct json_object *
joined(struct json_object *array)
{
	struct json_object *made = json_new_array();

	for (size_t i = 0; i < json_len(array); i++) {
		struct json_object *piece = json_at(array, i);
		struct json_object *last =
		    json_len(made) ? json_at(made, json_len(made) - 1) : NULL;

		if (goes_on(last, piece))
			join(last, piece);
		else
			json_add(made, json_object_get(piece));
	}
	return made;
}

struct json_object *
members_take(struct members *members)
{
	struct json_object *all = members->len ? json_new_object() : NULL;

	for (size_t i = 0; i < members->len; i++) {
		struct member *member = &members->list[i];

		if (json_object_is_type(member->value, json_type_array))
			json_set(all, member->name, joined(member->value));
		else if (member->value)
			json_set(all, member->name, json_object_get(member->value));
		else
			json_set_string(all, member->name, member->text.data);
	}
	members_free(members);
	return all;
}
