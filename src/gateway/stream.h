/*
 * An answer as it is written, as server-sent events (HTML standard, 9.2):
 *
 *   data: {"text":"…"}               a piece of the assistant's text
 *   event: tool, data: {"name":"…"}  the assistant calls a tool
 *   : ping                           after two seconds of silence
 *   event: done, data: {…}           the end: the JSON answer
 *   data: {"error":"…"}              the end, if it failed after the stream had begun
 *
 * The first of these begins the stream, after a comment; earlier failures are answered as without a
 * stream. Behind most web servers only a write reveals that the client has left, hence the pings.
 * Only for src/gateway/.
 */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include <json.h>
#include <pthread.h>

#include "http/request.h"
#include "http/response.h"
#include "openai/openai.h"

struct stream {
	struct request *request;
	struct response *response;
	bool wanted; /* false: nothing is written */
	/* The threads of waiting tools race to ping; no text is written meanwhile. */
	pthread_mutex_t lock;
	long long written_ms; /* time of the last write, by clock_ms() */
	bool gone;            /* the client has left */
	bool spoken;          /* text was written, and its message has not ended */
	bool again;           /* a message has ended: a blank line comes before the next */
	long long part;       /* the message's part that the last text belongs to */
};

/* Borrows both. It is a stream if the request's media is MEDIA_EVENTS. */
void stream_init(struct stream *stream, struct request *request, struct response *response);

/* Writes an event of the run. */
void stream_event(struct stream *stream, const struct event *event);

/* Whether the client has left: an interrupt's `raised`. Pings after a silence. */
bool stream_is_left(void *stream);

/* Ends the stream: the response has what would have been answered without one. */
void stream_end(struct stream *stream);

#endif
