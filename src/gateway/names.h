/*
 * The names of what an answer cites. Only for src/gateway/.
 */
#ifndef GATEWAY_NAMES_H
#define GATEWAY_NAMES_H

#include "openai/openai.h"

struct names {
	struct openai *openai;
	const struct interrupt *client;
	long long left_ms, deadline_ms; /* for the searches, and of this one */
	unsigned files_left;
	struct json_object *known; /* file names by id */
};

void names_init(struct names *names, struct openai *openai, const struct interrupt *client);
void names_free(struct names *names);

/*
 * Gives a name to each citation of a list that has none. A page's is its URL. A file's is the one
 * that another citation of it has, or what the Assistants API says when it is asked, once for each
 * file; or, since an answer must not fail by it, the file's id. At most 20 files are asked for, in
 * 5 s, and none after the API failed otherwise than by not knowing one: all lists together.
 */
void names_find(struct names *names, struct json_object *citations);

#endif
