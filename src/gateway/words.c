#include "gateway/words.h"

#include "util/buf.h"
#include "util/text.h"

/* The Assistants API's own bound. */
enum { MESSAGE_CHARS_MAX = 256000 };

static const char too_long[] = "The message is longer than 256000 characters.";
static const char no_words[] =
    "The message is empty: send the words for the assistant as the body.";
static const char not_utf8[] = "The message is not UTF-8.";
static const char has_nul[] = "The message has a NUL character in it, which no text has.";
static const char no_json[] = "The body is not JSON, or nested too deeply.";
static const char no_text[] =
    "The JSON must be {\"text\": \"…\"} or {\"messages\": [{\"role\": \"user\", "
    "\"text\": \"…\"}]}, with a text of the user.";

/* The string in the JSON that counts; NULL when there is none. */
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

char *
words_of_request(const struct request *request, const char **problem, int *status)
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
		if (len == 0)
			*problem = no_words;
		else if (json_parse(words, len, &body) < 0)
			*problem = no_json;
		else if (!(text = find_text(body)))
			*problem = no_text;
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
		*problem = "The server is out of memory.";
		*status = 500;
	}
	json_object_put(body);
	return copy;
}

/* `text` with each `marker` replaced. */
static char *
replaced(const char *text, const char *marker, const char *by)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);
	const char *found;

	while (*marker && (found = strstr(text, marker))) {
		buf_append(&out, text, (size_t)(found - text));
		buf_puts(&out, by);
		text = found + strlen(marker);
	}
	buf_puts(&out, text);
	return buf_take(&out);
}

static void
add_citation(struct json_object *citations, struct json_object *annotation, size_t index)
{
	const char *type = json_get_string(annotation, "type");
	struct json_object *file = type ? json_get_object(annotation, type) : NULL;
	struct json_object *citation = json_object_new_object();

	json_set_int(citation, "index", (long long)index);
	json_set_string(citation, "type", type);
	json_set_string(citation, "file_id", json_get_string(file, "file_id"));
	json_set_string(citation, "quote", json_get_string(file, "quote"));
	json_add(citations, citation);
}

/* A text part's words with their markers replaced; NULL: no memory. */
static char *
words_of_text(struct json_object *text, struct json_object *citations)
{
	struct json_object *annotations = json_get_array(text, "annotations");
	const char *value = json_get_string(text, "value");
	char *words = strdup(value ? value : "");

	for (size_t i = 0; words && i < json_len(annotations); i++) {
		const char *marker = json_get_string(json_at(annotations, i), "text");
		size_t index = json_len(citations) + 1;
		char number[32], *numbered;

		snprintf(number, sizeof number, "[%zu]", index);
		add_citation(citations, json_at(annotations, i), index);
		numbered = replaced(words, marker ? marker : "", number);
		free(words);
		words = numbered;
	}
	return words;
}

char *
words_of_message(struct json_object *message, struct json_object *citations)
{
	struct json_object *content = json_get_array(message, "content");
	struct buf out = BUF_INIT((size_t)-1 / 2);

	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *text = json_get_object(json_at(content, i), "text");
		const char *refusal = json_get_string(json_at(content, i), "refusal");
		char *words = text ? words_of_text(text, citations)
		    : refusal      ? strdup(refusal)
				   : NULL;

		if (words && *words)
			buf_printf(&out, "%s%s", out.len ? "\n\n" : "", words);
		free(words);
	}
	return buf_take(&out);
}
