/* The answer to the user's message, once its run is over. Only for src/gateway/. */
#ifndef GATEWAY_REPLY_H
#define GATEWAY_REPLY_H

#include "gateway/turn.h"

/*
 * Fills in the response: the run's text, in the request's format and as the stream needs it, or why
 * there is none. Of `answer`, which reported the run's end, only retry_after_s is used.
 */
void answer_run(struct gateway *gateway, struct stream *stream, const struct reply *reply,
    const struct openai_answer *answer);

#endif
