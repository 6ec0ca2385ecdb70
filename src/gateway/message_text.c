#include "gateway/message_text.h"

#include "text/text.h"

/* MESSAGE_CHARS_MAX is the Assistants API's own limit. */
enum { MESSAGE_CHARS_MAX = 256000, JSON_VALUES_MAX = 1000 };

static const char too_long[] = "The message is longer than 256000 characters.";
static const char no_words[] = "The message is empty: send the text for the assistant as the body.";
static const char not_utf8[] = "The message is not UTF-8.";
static const char has_nul[] = "The message has a NUL character in it, which is not accepted.";
static const char no_json[] =
    "The body is not JSON, or is nested more than 64 deep, or has more than 1000 values.";
static const char no_memory[] = "The server is out of memory; try again soon.";
static const char no_text[] = "The JSON must be {\"text\": \"…\"} or {\"messages\": [{\"role\": "
			      "\"user\", \"text\": \"…\"}]}, with the text of a user message.";

/* The user's text in the JSON; NULL: there is none. */
static struct json_object *
find_text(struct json_object *body)
{
	struct json_object *text = json_get(body, "text"),
			   *messages = json_get_array(body, "messages");

	for (size_t i = json_len(messages); !text && i > 0; i--) {
		const char *role = json_get_string(json_at(messages, i - 1), "role");

		if (role && strcmp(role, "user") == 0)
			text = json_get(json_at(messages, i - 1), "text");
	}
	return json_object_is_type(text, json_type_string) ? text : NULL;
}

/*
 * Parses the body and returns the user's text in it; NULL with the problem. *body is the caller's.
 */
static struct json_object *
read_json(struct request *request, struct json_object **body, const char **problem, int *status)
{
	const struct json_bounds bounds = {JSON_VALUES_MAX, request_hold, request};
	struct json_object *text = NULL;

	if (request->body_len == 0) {
		*problem = no_words;
		return NULL;
	}
	switch (json_parse_within(request->body, request->body_len, &bounds, body)) {
	case JSON_PARSED:
		text = find_text(*body);
		if (!text)
			*problem = no_text;
		break;
	case JSON_BAD:
		*problem = no_json;
		break;
	case JSON_NO_MEMORY:
		*problem = no_memory;
		*status = 503;
	}
	return text;
}

char *
message_text_of_request(struct request *request, const char **problem, int *status)
{
	struct json_object *body = NULL, *text = NULL;
	const char *words = request->body;
	size_t len = request->body_len;
	char *copy = NULL;

	*problem = NULL;
	*status = 400;
	if (!utf8_valid(words, len)) {
		*problem = not_utf8;
	} else if (request->body_media == MEDIA_JSON) {
		text = read_json(request, &body, problem, status);
		words = text ? json_object_get_string(text) : "";
		len = text ? (size_t)json_object_get_string_len(text) : 0;
	}
	if (!*problem && strlen(words) != len)
		*problem = has_nul;
	if (!*problem && text_is_blank(words))
		*problem = no_words;
	if (!*problem && utf8_chars(words) > MESSAGE_CHARS_MAX) {
		*problem = too_long;
		*status = 413;
	}
	if (!*problem && !(copy = strdup(words))) {
		*problem = no_memory;
		*status = 503;
	}
	json_object_put(body);
	return copy;
}

char *
message_text(struct json_object *content, struct citations *citations)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *text = json_get_object(json_at(content, i), "text");
		const char *value = json_get_string(text, "value");
		const char *refusal = json_get_string(json_at(content, i), "refusal");
		char *words = NULL;

		if (text)
			words = citations_mark(
			    citations, value ? value : "", json_get_array(text, "annotations"));
		else if (refusal)
			words = strdup(refusal);
		if (words && *words)
			buf_printf(&out, "%s%s", out.len ? "\n\n" : "", words);
		free(words);
	}
	return buf_take(&out);
}
