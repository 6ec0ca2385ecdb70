/*
 * The answer to a message as it comes, as server-sent events (HTML standard, 9.2):
 *
 *	data: {"text":"…"}		for each piece of the assistant's words
 *	event: tool, data: {"name":"…"}	when it calls a tool
 *	: ping				after two seconds of silence
 *	event: done, data: {…}		at the end, what the JSON answer has
 *	data: {"error":"…"}		in its place, when it failed after the stream had begun
 *
 * It begins with the first of these, behind a comment; what fails before that is answered as
 *without a stream. Behind most web servers only a write tells that the client has left, hence the
 *pings. Only for src/gateway/.
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
	bool wanted; /* else nothing is written */
	/* Tools' threads that wait race to ping; nobody writes words meanwhile. */
	pthread_mutex_t lock;
	long long written_ms; /* when something was written last, by clock_ms() */
	bool gone;            /* nobody takes it any more */
	bool spoken;          /* there were words, and no message has ended since */
	bool again;           /* a message has ended: a blank line parts it from the next */
	long long part;       /* of the message, that the last words were of */
};

/* Borrows both. The stream is one if the request's media is MEDIA_EVENTS. */
void stream_init(struct stream *stream, struct request *request, struct response *response);

/* An event of the run. */
void stream_event(struct stream *stream, const struct event *event);

/* Whether the client has left: an interrupt's `raised`. Who asks while nothing comes, pings. */
bool stream_is_left(void *stream);

/* Ends it: the response is what would have been answered without a stream. */
void stream_end(struct stream *stream);

#endif
