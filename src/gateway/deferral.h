/*
 * An answer that comes later than its client prefers to wait (RFC 7240): at the time that Prefer
 * says the client is answered 202, with the Location of the run's answer, and the run goes on.
 *
 * What such a run would have been answered is found in the run and its messages; where it failed,
 * the run's metadata keeps the words. So nothing is stored beside it, and it goes with its thread:
 *
 *	{"deferred": "pending"}			from its creation on
 *	{"deferred": "failed", "status", "detail", "retry_at"}	when it was not 200
 *
 * Only for src/gateway/.
 */
#ifndef GATEWAY_DEFERRAL_H
#define GATEWAY_DEFERRAL_H

#include <pthread.h>

#include "gateway/internal.h"
#include "gateway/stream.h"
#include "http/prefer.h"

struct deferral {
	struct request *request;
	struct response *response;
	struct prefer prefer;
	bool wanted;      /* else the client waits to the end */
	long long due_ms; /* until then it waits, by clock_ms() */
	/*
	 * Tools' threads that wait race to answer, and to ask whether the client has left, which
	 * looks at what answering changes.
	 */
	pthread_mutex_t lock;
	char run_id[256]; /* "": not known yet */
};

/* Borrows both. Who gets a stream waits in any case. */
void deferral_init(struct deferral *deferral, struct request *request, struct response *response);

/* How long the client waits for the thread to be free. */
long long deferral_patience_ms(const struct deferral *deferral);

/* Marks the body by which the run is created. */
void deferral_mark(const struct deferral *deferral, struct json_object *body);

/* The run's id, as an event told it. */
void deferral_meet(struct deferral *deferral, const char *run_id);

/* Whether the client has left, as stream_is_left(); answers it when its time has come. */
bool deferral_is_left(struct deferral *deferral, struct stream *stream);

/* The response is what would have been answered: kept, for who asks for it later. */
void deferral_end(struct deferral *deferral, struct openai *openai);

/* 202: the run is at work, and its answer will be at its path. */
void deferral_answer_pending(
    struct response *response, const struct request *request, const char *run);

/*
 * Answers for a run that has not ended with words, if its answer was deferred: with what was kept,
 * or, where it has just ended and that is being done, that it is not there yet. False: there is
 * nothing kept.
 */
bool deferral_answer_failed(
    struct response *response, const struct request *request, struct json_object *run);

#endif
