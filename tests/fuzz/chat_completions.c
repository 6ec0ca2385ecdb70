/* Answers of Chat Completions; model.h says what is checked, and what the input is. */
#include "model.h"

static struct model *
new_model(struct http_client *http_client, const struct model_server *server)
{
	return model_chat_new(http_client, server);
}

/* A message is the sum of its deltas: there is no other form to compare with. */
static void
note_event(struct script *script, const char *type, struct json_object *event)
{
	(void)script;
	(void)type;
	(void)event;
}
