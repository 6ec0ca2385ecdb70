/*
 * The id of the gateway's assistant, between requests and processes.
 *
 * It is kept in the file `assistant` of the state folder, which says first what it was made for:
 * the format, the place of the Assistants API, a hash of the definition. A file that says anything
 * else is as good as none. It is a convenience that may always be missing, be damaged, or not be
 * writable: then the assistant is found by its name again.
 *
 * Guarantees: one assistant, however many processes start at once on an empty folder (who finds no
 * valid file takes the lock on `assistant.lock` and reads again before he lists or creates); an
 * assistant that already bears the name is used as it is; it is updated, once, only when the file
 * was made for the same place from another definition. Where that is refused it stays as it was.
 * Who still answers by the old definition when the new one comes may put the old one back, until
 * the next message.
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
 * The id of the assistant that is as `definition` says. 0, or -1 with `answer` telling why the
 * Assistants API could not be asked; it must be freed.
 */
int assistant_id(struct assistant *assistant, const struct definition *definition,
    const struct interrupt *interrupt, char id[ASSISTANT_ID_SIZE], struct openai_answer *answer);

/* The server knows this id no longer: the next call finds another. */
void assistant_forget(
    struct assistant *assistant, const struct interrupt *interrupt, const char *id);

#endif
