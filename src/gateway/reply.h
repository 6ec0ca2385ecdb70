/*
 * What is answered to the user's words, once the run that they made is over. Only for src/gateway/.
 */
#ifndef GATEWAY_REPLY_H
#define GATEWAY_REPLY_H

#include "gateway/turn.h"

/*
 * The response: the run's words, as the request's media and the stream want them; or why there are
 * none. Of `answer`, which told the run's end, only how busy the model is counts.
 */
void answer_run(struct gateway *gateway, struct stream *stream, const struct reply *reply,
    const struct openai_answer *answer);

#endif
