/*
 * The owner's programs as function tools of the assistant. In one folder, each executable NAME with
 * a NAME.json beside it is a tool. The JSON may have {"description", "parameters"} as in the
 * Assistants API, and {"env": ["NAME", …], "timeout_s": 30}.
 *
 * A call runs NAME in the folder with the arguments, as JSON, on standard input; what it prints is
 * the output. It is a process group of its own. It inherits no descriptor, and of the environment
 * only PATH, LANG and what "env" names. When it ends or is killed, so is everything that it has
 * started.
 *
 * A failure is an output, too, in words for the model.
 */
#ifndef GATEWAY_TOOLS_H
#define GATEWAY_TOOLS_H

#include <json.h>
#include <stdint.h>

#include "os/interrupt.h"

struct tools;

/*
 * Reads the tools in `folder`. A file that looks like a tool and is none is left out, and the log
 * says why. NULL with errno: the folder cannot be read.
 */
struct tools *tools_load(const char *folder);
void tools_free(struct tools *tools);

/* A number that changes when any file in the folder changes; 0: the folder cannot be read. */
uint64_t tools_state(const char *folder);

/* How many tools there are, and the name of one. */
size_t tools_len(const struct tools *tools);
const char *tools_name(const struct tools *tools, size_t index);

/* Adds the tools to an assistant's definition, in place of its functions of the same name. */
void tools_define(const struct tools *tools, struct json_object *definition);

/*
 * Runs a run's `tool_calls`, several at once, all within `timeout_ms`. Returns [{tool_call_id,
 * output}] for each; the caller releases it. After `interrupt` or the time-out, outputs may be
 * incomplete.
 */
struct json_object *tools_answer(const struct tools *tools, struct json_object *tool_calls,
    long long timeout_ms, const struct interrupt *interrupt);

#endif
