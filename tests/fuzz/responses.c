/* Answers of the Responses API; model.h says what is checked, and what the input is. */
#include "model.h"

static struct model *
new_model(struct http_client *http_client, const struct model_server *server)
{
	return model_responses_new(http_client, server);
}

static void
note_event(struct script *script, const char *type, struct json_object *event)
{
	const char *delta = json_get_string(event, "delta");

	if (delta &&
	    (strcmp(type, "response.output_text.delta") == 0 ||
		strcmp(type, "response.refusal.delta") == 0))
		buf_puts(&script->told, delta);
	script->calls |= strstr(json_text(event), "function_call") != NULL;
}
