/*
 * The text of messages: what a client's body says, and what the Assistants API's messages say as
 * plain text. Only for src/gateway/.
 */
#ifndef GATEWAY_MESSAGE_TEXT_H
#define GATEWAY_MESSAGE_TEXT_H

#include "gateway/citations.h"
#include "http/request.h"

/*
 * The user's text: the body itself, or, in JSON, {"text": …} or the last user text of {"messages":
 * [{"role": "user", "text": …}]}. The caller frees. NULL with one sentence in *problem, and its
 * status.
 */
char *message_text_of_request(struct request *request, const char **problem, int *status);

/*
 * The text of a message's content: its text parts, separated by blank lines, with "[n]" in place of
 * what their annotations mark. Adds the sources to `citations`. The caller frees; NULL: no memory.
 */
char *message_text(struct json_object *content, struct citations *citations);

#endif
