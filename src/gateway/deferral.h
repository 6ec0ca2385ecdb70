/*
 * An answer that comes later than its client prefers to wait (RFC 7240). When the preferred time is
 * over, the client gets 202 with the Location of the run's answer, and the run goes on.
 *
 * What a waiting client would have got is found in the run and its messages. If it failed, the
 * run's metadata has the error. So nothing is stored beside the run, and everything is deleted with
 * its thread:
 *
 *   {"deferred": "pending"}                                 from its creation on
 *   {"deferred": "failed", "status", "detail", "retry_at"}  if it was not answered with 200
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
	bool wanted;      /* false: the client waits to the end */
	long long due_ms; /* when the client's wait ends, by clock_ms() */
	/*
	 * The threads of waiting tools race to answer, and to check whether the client has left.
	 * That check reads what answering changes.
	 */
	pthread_mutex_t lock;
	char run_id[256]; /* "": not known yet */
};

/* Borrows both. A client of a stream always waits to the end. */
void deferral_init(struct deferral *deferral, struct request *request, struct response *response);

/* How long the client waits for the thread to become free. */
long long deferral_patience_ms(const struct deferral *deferral);

/* Marks the body that creates the run. */
void deferral_mark(const struct deferral *deferral, struct json_object *body);

/* Learns the run's id, from an event. */
void deferral_meet(struct deferral *deferral, const char *run_id);

/* Whether the client has left, like stream_is_left(). Answers 202 when its wait is over. */
bool deferral_is_left(struct deferral *deferral, struct stream *stream);

/* The response is complete. If 202 was sent, an error in it is stored for a later request. */
void deferral_end(struct deferral *deferral, struct openai *openai);

/* Answers 202: the run is at work, and its answer will be at this path. */
void deferral_answer_pending(
    struct response *response, const struct request *request, const char *run);

/*
 * Answers for a run that ended without text, if its answer was deferred: with the stored error, or,
 * right after its end, with 202, because the error may still be stored. False: nothing is stored.
 */
bool deferral_answer_failed(
    struct response *response, const struct request *request, struct json_object *run);

#endif
