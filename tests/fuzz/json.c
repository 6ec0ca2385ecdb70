/* Looking into a text finds the same as parsing it. Input: the text. */
#include "support.h"

#include "text/json.h"

static void
compare(struct json_object *whole, const char *key, struct json_raw raw)
{
	struct json_object *value = json_raw_parse(raw);

	CHECK(raw.at || !json_object_object_get_ex(whole, key, NULL));
	CHECK(json_object_equal(value, json_get(whole, key)));
	json_object_put(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"a", "delta", "", NULL};
	struct json_object *whole = NULL;
	struct json_raw values[3];
	char *text = text_of(data, size);
	bool peeked = json_peek(text, size, keys, values);
	bool parsed = json_parse_foreign(text, size, &whole) == 0 &&
	    json_object_is_type(whole, json_type_object) && json_object_object_length(whole) > 0;

	CHECK(parsed || !peeked);
	for (size_t i = 0; peeked && keys[i]; i++)
		compare(whole, keys[i], values[i]);
	json_object_put(whole);
	free(text);
	return 0;
}
