/*
 * What the ways to a model have in common. Only for src/model/.
 */
#ifndef MODEL_BACKEND_H
#define MODEL_BACKEND_H

#include "model/model.h"

/* The first member of each way's own struct. */
struct model {
	void (*ask)(
	    struct model *model, const struct model_request *request, struct model_result *result);
	void (*free)(struct model *model);
};

/* Nothing was asked yet. */
void model_result_clear(struct model_result *result);

/* Appends a part to a message's content. */
void model_add_part(struct json_object *content, enum model_part kind, const char *words);

/* A part's words, text or refusal, borrowed; NULL when it has none. */
const char *model_part_words(struct json_object *part);

/*
 * A content's parts; the caller's to put. See struct model_entry.
 */
struct json_object *model_parts(struct json_object *content);

/* Whether a content is words alone, as a json_literal(). */
bool model_is_words(struct json_object *content);

/* "user" or "assistant". */
extern const char *const model_roles[];

/* The words of all the parts of a message's content; the caller's to free. "" when there are none.
 */
char *model_words(struct json_object *content);

/* Whether the content has an image among its parts: then it is more than words. */
bool model_has_image(struct json_object *content);

#endif
