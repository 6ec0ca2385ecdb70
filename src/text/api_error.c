#include "text/api_error.h"

#include "text/json.h"
#include "text/text.h"

static void
set_text(struct json_object *error, const char *name, const char *text)
{
	char mended[2 * ERROR_SIZE];

	utf8_copy(mended, sizeof mended, text ? text : "");
	json_set_string(error, name, text ? mended : NULL);
}

struct json_object *
api_error_body(int status, const char *param, const char *code, const char *message)
{
	struct json_object *error = json_new_object(), *body = json_new_object();
	const char *type = status >= 500 ? "server_error"
	    : status == 429              ? "tokens"
					 : "invalid_request_error";

	set_text(error, "message", message);
	json_set_string(error, "type", type);
	set_text(error, "param", param);
	json_set_string(error, "code", code);
	json_set(body, "error", error);
	return body;
}
