/*
 * The model that needs no server: a small script in the manner of ELIZA, which says that it is one.
 */
#include "model/backend.h"
#include "model/eliza.h"
#include "util/json.h"

/* The last user's text, and how many users' messages came before it. */
static const char *
last_words(struct json_object *messages, unsigned *turn)
{
	const char *words = "";

	*turn = 0;
	for (size_t i = 0; i < json_len(messages); i++) {
		struct json_object *message = json_at(messages, i);
		const char *role = json_get_string(message, "role");
		const char *said = model_part_words(json_at(json_get(message, "content"), 0));

		if (!role || strcmp(role, "user") != 0)
			continue;
		if (*words)
			++*turn;
		words = said ? said : "";
	}
	return words;
}

static void
offline_ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	unsigned turn;
	const char *words = last_words(request->messages, &turn);
	char *said = eliza_answer(words, turn);
	struct json_object *content;

	(void)model;
	if (!said) {
		snprintf(result->error, sizeof result->error, "out of memory");
		return;
	}
	content = model_text_content(said);
	if (request->on_message(request->arg) == 0 &&
	    request->on_delta(request->arg, MODEL_TEXT, 0, said) == 0 &&
	    request->on_written(request->arg, content) == 0) {
		result->outcome = MODEL_COMPLETED;
		result->prompt_tokens = result->completion_tokens = 0;
	} else {
		snprintf(result->error, sizeof result->error, "The answer could not be kept.");
	}
	json_object_put(content);
	free(said);
}

static void
offline_free(struct model *model)
{
	free(model);
}

struct model *
model_offline_new(void)
{
	struct model *model = calloc(1, sizeof *model);

	if (!model)
		return NULL;
	model->ask = offline_ask;
	model->free = offline_free;
	return model;
}
