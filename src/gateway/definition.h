/*
 * What the gateway's assistant is: the definition's file or the built-in one, with the tools of the
 * tools' folder, which may change while the program runs.
 */
#ifndef GATEWAY_DEFINITION_H
#define GATEWAY_DEFINITION_H

#include "config.h"
#include "gateway/tools.h"
#include "os/hash.h"

/* As it was at one moment; what others than definition.c see is never changed. */
struct definition {
	char *name;
	char *text;           /* the JSON body of POST /assistants */
	long long answer_max; /* tokens that each run's answer may have; 0: no limit */
	char hash[SHA256_HEX_SIZE];
	struct tools *tools; /* NULL: there is no folder of tools */
	uint64_t tools_state;
	unsigned users;
};

struct definitions;

/*
 * The definition without the folder's tools, with a name and a model: its file's, or the built-in
 * one. The caller's to put. NULL with one sentence in `error`.
 */
struct json_object *definition_load(const struct config *config, char error[ERROR_SIZE]);

/* Takes out of it what is not the assistant's but each run's: max_completion_tokens, 0 for none. */
long long definition_take_answer_max(struct json_object *definition);

/* NULL with one sentence in `error`. */
struct definitions *definitions_new(const struct config *config, char error[ERROR_SIZE]);
void definitions_free(struct definitions *definitions);

/*
 * As it is now; the caller gives it back. When the folder cannot be read now, which is logged, it
 * is what it was before.
 */
struct definition *definition_take(struct definitions *definitions);
void definition_give(struct definitions *definitions, struct definition *definition);

#endif
