/*
 * The owner's programs as function tools of the assistant. In one folder each executable NAME with
 * a NAME.json beside it is one: {"description", "parameters"} as the Assistants API has them, and
 * {"env": ["NAME", …], "timeout_s": 30}, all of them optional. A call runs NAME with the arguments,
 * JSON, on standard input; what it prints is the output. It is a process group of its own, in the
 * tools' folder, and gets nothing of ours: no descriptor, and of the environment PATH, LANG and
 * what "env" names. When it ends, or has to, so does all that it has started.
 *
 * Whatever goes wrong is an output, too, in words for the model.
 */
#ifndef GATEWAY_TOOLS_H
#define GATEWAY_TOOLS_H

#include <json.h>
#include <stdint.h>

#include "os/interrupt.h"

struct tools;

/*
 * What is in `folder`, which is borrowed. What looks like a tool and is none is left out, and the
 * log says why. NULL with errno when the folder cannot be read.
 */
struct tools *tools_load(const char *folder);
void tools_free(struct tools *tools);

/*
 * A number that is another one after any of the folder's files was changed; 0 when it cannot be
 * read.
 */
uint64_t tools_state(const char *folder);

/* How many, and their names, parted by blanks. */
size_t tools_len(const struct tools *tools);
const char *tools_name(const struct tools *tools, size_t index);

/*
 * Adds them to the tools of an assistant's definition, in place of functions there that have the
 * same name.
 */
void tools_define(const struct tools *tools, struct json_object *definition);

/*
 * Carries out a run's `tool_calls`, several at once, all within `timeout_ms`: [{tool_call_id,
 * output}] for each of them, the caller's to put; of little worth once `interrupt` is raised, or
 * time is over.
 */
struct json_object *tools_answer(const struct tools *tools, struct json_object *tool_calls,
    long long timeout_ms, const struct interrupt *interrupt);

#endif
