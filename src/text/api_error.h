/*
 * The Assistants API's errors, as all of OpenAI's: {"error": {message, type, param, code}}.
 */
#ifndef TEXT_API_ERROR_H
#define TEXT_API_ERROR_H

#include <json.h>

/*
 * The body of an answer with this status, which says the type; the caller's to put. `param`, the
 * member of the request that is wrong, and `code` may be NULL. What comes from outside may be no
 * UTF-8, or cut in the middle of a character: it becomes so.
 */
struct json_object *api_error_body(
    int status, const char *param, const char *code, const char *message);

#endif
