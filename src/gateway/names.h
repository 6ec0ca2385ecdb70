/* The names of the sources that an answer cites. Only for src/gateway/. */
#ifndef GATEWAY_NAMES_H
#define GATEWAY_NAMES_H

#include "openai/openai.h"

struct names {
	struct openai *openai;
	const struct interrupt *client;
	long long left_ms, deadline_ms; /* time left for all requests; deadline of this one */
	unsigned files_left;
	struct json_object *known; /* id → file name */
};

void names_init(struct names *names, struct openai *openai, const struct interrupt *client);
void names_free(struct names *names);

/*
 * Gives a name to each citation of a list that has none. A page's name is its URL. A file's name
 * comes from another citation of it, or from the Assistants API, which is asked once per file. If
 * neither has one, it is the file's id, because an answer must not fail for a name. For all lists
 * together, at most 20 files are asked for, within 5 s, and none after the API failed with anything
 * but an unknown id.
 */
void names_find(struct names *names, struct json_object *citations);

#endif
