/*
 * The id of the gateway's assistant, kept between requests and processes.
 *
 * It is in the file `assistant` of the state folder. The file first says what it was made for: the
 * format, the place of the Assistants API, a hash of the definition. A file that differs in any of
 * these counts as missing. The file is only a cache: if it is missing, damaged or not writable, the
 * assistant is found by its name.
 *
 * Guarantees:
 *
 * - One assistant is made, however many processes start at once on an empty folder. A process
 *   without a valid file takes the lock on `assistant.lock` and reads the file again before it
 * lists or creates.
 * - An assistant that has the name already is used as it is. It is updated once, and only if the
 *   file was made for the same place from another definition. If the update is refused, the
 * assistant stays as it was.
 * - A process that still answers by the old definition when a new one appears may restore the old
 *   one, until the next message.
 */
#ifndef GATEWAY_ASSISTANT_H
#define GATEWAY_ASSISTANT_H

#include <stdbool.h>

#include "gateway/definition.h"
#include "openai/openai.h"

struct assistant;

/* `openai` is borrowed. NULL: out of memory. */
struct assistant *assistant_new(struct openai *openai, const char *state_dir);
void assistant_free(struct assistant *assistant);

enum { ASSISTANT_ID_SIZE = 132 };

/*
 * Gets the id of the assistant for `definition`. 0, or -1: `answer` says why the Assistants API
 * failed. Free `answer` in both cases.
 */
int assistant_id(struct assistant *assistant, const struct definition *definition,
    const struct interrupt *interrupt, char id[ASSISTANT_ID_SIZE], struct openai_answer *answer);

/* The server no longer knows this id: the next call finds or creates another. */
void assistant_forget(
    struct assistant *assistant, const struct interrupt *interrupt, const char *id);

#endif
