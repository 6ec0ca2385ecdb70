/*
 * The Assistants API's errors, as in all of OpenAI's APIs: {"error": {message, type, param, code}}.
 */
#ifndef TEXT_API_ERROR_H
#define TEXT_API_ERROR_H

#include <json.h>

/*
 * The body of an error with this status, which decides the type; the caller releases it. `param`,
 * the member of the request that is wrong, and `code` may be NULL. Invalid UTF-8 in them, as in a
 * foreign text that was cut, is replaced.
 */
struct json_object *api_error_body(
    int status, const char *param, const char *code, const char *message);

#endif
