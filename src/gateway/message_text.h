/*
 * Words in and out: what a client's body says, and what messages of the Assistants API say as text.
 * Only for src/gateway/.
 */
#ifndef GATEWAY_MESSAGE_TEXT_H
#define GATEWAY_MESSAGE_TEXT_H

#include "gateway/citations.h"
#include "http/request.h"

/*
 * The user's words: the body itself, or in JSON {"text": …} or {"messages": [{"role": "user",
 * "text": …}]}, whose last user text counts. The caller frees. NULL with one sentence in *problem,
 * and its status.
 */
char *message_text_of_request(struct request *request, const char **problem, int *status);

/*
 * The words of a message's content, its text parts parted by blank lines, with "[n]" in place of
 * what their annotations mark; what they cite is added to `citations`. The caller frees; NULL: no
 * memory.
 */
char *message_text(struct json_object *content, struct citations *citations);

#endif
