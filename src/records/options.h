/*
 * Members that several kinds of objects have, as the API shows them, with defaults where the client
 * sent nothing. The caller releases the results.
 */
#ifndef RECORDS_OPTIONS_H
#define RECORDS_OPTIONS_H

#include <json.h>

/* {} if there are none. */
struct json_object *tool_resources_shown(struct json_object *body);

struct json_object *tools_shown(struct json_object *body);

/* "auto" if there is none. */
struct json_object *response_format_shown(struct json_object *body);

#endif
