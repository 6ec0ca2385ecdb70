/* What the backends share. Only for src/model/. */
#ifndef MODEL_BACKEND_H
#define MODEL_BACKEND_H

#include "model/model.h"

/* The first member of each backend's own struct. */
struct model {
	void (*ask)(
	    struct model *model, const struct model_request *request, struct model_result *result);
	void (*free)(struct model *model);
};

/* Resets the result to that of a question not yet asked. */
void model_result_clear(struct model_result *result);

/* Appends a part to a message's content. */
void model_add_part(struct json_object *content, enum model_part kind, const char *words);

/* The text of a part, also of a refusal, borrowed; NULL: it has none. */
const char *model_part_words(struct json_object *part);

/* The content as an array of parts; the caller releases it. See struct model_entry. */
struct json_object *model_parts(struct json_object *content);

/* Whether a content is only text, as a json_literal(). */
bool model_is_words(struct json_object *content);

/* "user" or "assistant". */
extern const char *const model_roles[];

/* The text of all parts of a message's content, the caller's to free; "": none. */
char *model_words(struct json_object *content);

/* Whether one of the content's parts is an image. */
bool model_has_image(struct json_object *content);

#endif
