/*
 * Members that several kinds of objects have in their bodies, as the API shows them: with what
 * counts where nothing was asked. The caller puts what these give.
 */
#ifndef RECORDS_OPTIONS_H
#define RECORDS_OPTIONS_H

#include <json.h>

/* {} for none. */
struct json_object *tool_resources_shown(struct json_object *body);

struct json_object *tools_shown(struct json_object *body);

/* "auto" for none. */
struct json_object *response_format_shown(struct json_object *body);

#endif
