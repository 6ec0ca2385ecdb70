#include "model/backend.h"
#include "text/buf.h"
#include "text/json.h"

void
model_result_clear(struct model_result *result)
{
	*result = (struct model_result){.outcome = MODEL_FAILED,
	    .prompt_tokens = -1,
	    .completion_tokens = -1,
	    .retry_after_s = -1};
}

void
model_ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	model_result_clear(result);
	model->ask(model, request, result);
}

void
model_free(struct model *model)
{
	if (model)
		model->free(model);
}

const char *
model_sent_name(struct json_object *models, const char *asked)
{
	const char *sent = json_get_string(models, asked);

	if (!sent)
		sent = json_get_string(models, "*");
	return sent ? sent : asked;
}

struct json_object *
model_text_part(const char *words)
{
	struct json_object *part = json_new_object(), *text = json_new_object();

	json_set_string(text, "value", words);
	json_set(text, "annotations", json_new_array());
	json_set_string(part, "type", "text");
	json_set(part, "text", text);
	return part;
}

struct json_object *
model_text_content(const char *words)
{
	struct json_object *content = json_new_array();

	json_add(content, model_text_part(words));
	return content;
}

void
model_add_part(struct json_object *content, enum model_part kind, const char *words)
{
	struct json_object *part;

	if (kind == MODEL_TEXT) {
		json_add(content, model_text_part(words));
		return;
	}
	part = json_new_object();
	json_set_string(part, "type", "refusal");
	json_set_string(part, "refusal", words);
	json_add(content, part);
}

const char *
model_part_words(struct json_object *part)
{
	const char *text = json_get_string(json_get_object(part, "text"), "value");

	return text ? text : json_get_string(part, "refusal");
}

void
model_context_add(struct model_context *context, enum model_entry_kind kind,
    struct json_object *content, struct json_object *items)
{
	size_t size = context->size ? context->size * 2 : 16;
	struct model_entry *entries = context->entries;

	if (context->len == context->size) {
		entries = reallocarray(entries, size, sizeof *entries);
		context->failed = context->failed || !entries;
		if (!entries) {
			json_object_put(content);
			json_object_put(items);
			return;
		}
		context->entries = entries;
		context->size = size;
	}
	entries[context->len++] = (struct model_entry){kind, content, items};
}

void
model_context_free(struct model_context *context)
{
	for (size_t i = 0; i < context->len; i++) {
		json_object_put(context->entries[i].content);
		json_object_put(context->entries[i].items);
	}
	free(context->entries);
	*context = (struct model_context){0};
}

const char *const model_roles[] = {[MODEL_USER] = "user", [MODEL_ASSISTANT] = "assistant"};

bool
model_is_words(struct json_object *content)
{
	return json_object_is_type(content, json_type_string);
}

struct json_object *
model_parts(struct json_object *content)
{
	struct json_object *words = NULL, *parts;

	if (!model_is_words(content))
		return json_object_get(content);
	json_parse(
	    json_object_get_string(content), (size_t)json_object_get_string_len(content), &words);
	parts = model_text_content(words ? json_object_get_string(words) : "");
	json_object_put(words);
	return parts;
}

char *
model_words(struct json_object *content)
{
	struct buf words = BUF_INIT((size_t)-1 / 2);

	for (size_t i = 0; i < json_len(content); i++) {
		const char *part = model_part_words(json_at(content, i));

		if (part && words.len)
			buf_puts(&words, "\n\n");
		if (part)
			buf_puts(&words, part);
	}
	return buf_take(&words);
}

bool
model_has_image(struct json_object *content)
{
	for (size_t i = 0; i < json_len(content); i++)
		if (json_get_object(json_at(content, i), "image_url"))
			return true;
	return false;
}
