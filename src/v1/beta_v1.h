/*
 * The Assistants API's first version, as programs of 2023 speak it (OpenAI-Beta: assistants=v1), on
 * top of the second: bodies are turned into the second's on their way in, objects and events into
 * the first's on their way out. So whatever one version made, the other shows in its own shape: an
 * assistant's `file_ids` are what its code_interpreter works on, a message's are its attachments,
 * and `retrieval` is file_search.
 */
#ifndef V1_BETA_V1_H
#define V1_BETA_V1_H

#include <json.h>
#include <stdbool.h>

#include "assistants/api.h"

/*
 * Whether they are asked for, by the header OpenAI-Beta or, without one, by Azure's api-version in
 * the query; NULL for none.
 */
bool beta_v1_asked(const char *beta, const char *query);

/* Turns the body of a call on `path` (what follows /v1), NULL for none, into the second's. */
void beta_v1_request(const char *path, struct json_object *body);

/* The same for an object as the first version answered it. One of the second's stays as it is. */
void beta_v1_saved(struct json_object *object);

/* An answer, or an event's data, as the first version has it; the caller's to put. */
struct json_object *beta_v1_shown(struct json_object *object);

/* An event's name, likewise. */
void beta_v1_print_name(const struct event *event, char name[EVENT_NAME_SIZE]);

#endif
