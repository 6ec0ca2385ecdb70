/*
 * Checks a model's arguments against a function's parameters (JSON Schema): types and required
 * names, at every depth. Only for src/gateway/.
 */
#ifndef GATEWAY_TOOL_ARGUMENTS_H
#define GATEWAY_TOOL_ARGUMENTS_H

#include <json.h>
#include <stdbool.h>

#include "text/text.h"

/*
 * False: `error` says for the model what is wrong. Whatever the schema does not mention, or this
 * file does not understand, is allowed.
 */
bool arguments_fit(
    struct json_object *parameters, struct json_object *arguments, char error[ERROR_SIZE]);

#endif
