/*
 * The definition of the gateway's assistant: the definition file or the built-in one, with the
 * tools of the tools folder, which may change while the program runs.
 */
#ifndef GATEWAY_DEFINITION_H
#define GATEWAY_DEFINITION_H

#include "config.h"
#include "gateway/tools.h"
#include "os/hash.h"

/* A snapshot. What files other than definition.c see never changes. */
struct definition {
	char *name;
	char *text;           /* the JSON body of POST /assistants */
	long long answer_max; /* tokens that an answer may have; 0: no limit */
	char hash[SHA256_HEX_SIZE];
	struct tools *tools; /* NULL: there is no tools folder */
	uint64_t tools_state;
	unsigned users;
};

struct definitions;

/*
 * The definition without the folder's tools, with a name and a model: from the file, or the
 * built-in one. The caller releases it. NULL with one sentence in `error`.
 */
struct json_object *definition_load(const struct config *config, char error[ERROR_SIZE]);

/* Takes max_completion_tokens out, which is not the assistant's but each run's; 0: none. */
long long definition_take_answer_max(struct json_object *definition);

/* Borrows `config`. NULL with one sentence in `error`. */
struct definitions *definitions_new(const struct config *config, char error[ERROR_SIZE]);
void definitions_free(struct definitions *definitions);

/*
 * The current definition; the caller gives it back. If the folder cannot be read, which is logged,
 * the previous one.
 */
struct definition *definition_take(struct definitions *definitions);
void definition_give(struct definitions *definitions, struct definition *definition);

#endif
