/*
 * The arguments that a model gives to a function, against what the function's parameters say (JSON
 * Schema): types and required names, at every depth. Only for src/gateway/.
 */
#ifndef GATEWAY_TOOL_ARGUMENTS_H
#define GATEWAY_TOOL_ARGUMENTS_H

#include <json.h>
#include <stdbool.h>

#include "text/text.h"

/*
 * False with what is wrong in `error`, for the model. A schema that says nothing of something, or
 * nothing that is understood here, allows it.
 */
bool arguments_fit(
    struct json_object *parameters, struct json_object *arguments, char error[ERROR_SIZE]);

#endif
