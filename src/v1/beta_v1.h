/*
 * The Assistants API's version 1, as programs of 2023 use it (OpenAI-Beta: assistants=v1), on top
 * of version 2. Bodies of requests are converted to version 2; objects and events are converted to
 * version 1. So each version shows what the other one made: an assistant's `file_ids` are the files
 * of its code_interpreter, a message's are its attachments, and `retrieval` is file_search.
 */
#ifndef V1_BETA_V1_H
#define V1_BETA_V1_H

#include <json.h>
#include <stdbool.h>

#include "assistants/api.h"

/*
 * Whether the client asks for version 1: by the header OpenAI-Beta, or, without it, by Azure's
 * api-version in the query. Both may be NULL.
 */
bool beta_v1_asked(const char *beta, const char *query);

/* Converts the body of a request to `path` (what follows /v1) to version 2; NULL: no body. */
void beta_v1_request(const char *path, struct json_object *body);

/* The same for an object saved from version 1. An object of version 2 stays as it is. */
void beta_v1_saved(struct json_object *object);

/* An answer, or an event's data, in version 1; the caller releases it. */
struct json_object *beta_v1_shown(struct json_object *object);

/* The same for an event's name. */
void beta_v1_print_name(const struct event *event, char name[EVENT_NAME_SIZE]);

#endif
