/*
 * What several fuzz programs need: a finding, a folder, a database with something in it.
 *
 * libFuzzer calls LLVMFuzzerTestOneInput() with bytes of its making, again and again in one
 * process, and keeps those that reach new code. An input must not depend on those before it, or
 * nobody could repeat what it found.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assistants/api.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* libFuzzer's names. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Something is not as it must be: says so, and ends the program. */
_Noreturn void finding(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			finding("%s:%d: not so: %s", __FILE__, __LINE__, #condition);              \
	} while (0)

/* The input's bytes with a NUL behind, and nothing after it that may be read; the caller's to free.
 */
char *text_of(const uint8_t *data, size_t size);

/* A folder below TMPDIR that goes when the program ends as it should; and a path in it. */
const char *folder_new(void);
char *path_in(const char *folder, const char *name);
void file_write(const char *path, const void *bytes, size_t len);

/*
 * The Assistants API with the built-in script, on a database of two tenants:
 * "gateway" has asst_g (named as the built-in assistant) and thread_g with one message;
 * "api" has asst_a, thread_a with the messages msg_a, msg_c and msg_d, and thread_b with the run
 * run_b, which waits for a tool.
 */
struct state {
	const char *folder;
	struct db *db;
	struct api *api;
};

/* What the gateway's objects say, and the other tenant must never see. */
extern const char gateways_own[];

void state_open(struct state *state);
/* As it was in the beginning. */
void state_reset(struct state *state);

#endif
