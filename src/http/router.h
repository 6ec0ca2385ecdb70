/*
 * The way from a path to its handler. A row of the table states what must hold before the handler
 * runs; the router checks it, so handlers do not.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

#define ROUTE_BODY_MAX SIZE_MAX

/* Whether a route may be taken by this request; if not, it has answered. */
typedef bool router_admit_fn(void *room, struct request *request, struct response *response);

typedef void route_handler_fn(void *room, struct request *request, struct response *response);

/* How long a request's work may take. */
enum route_work {
	ROUTE_QUICK,
	ROUTE_WAITS,    /* on a model: some workers are kept free from these */
	ROUTE_OUTLIVES, /* the same, and it may leave work behind that goes on after its answer */
	ROUTE_DEFERS,   /* the same, if the client sends Prefer */
};

struct route {
	const char *method;  /* HEAD is served where GET is, OPTIONS everywhere; "*": any
				but OPTIONS */
	const char *pattern; /* "/threads/{id}/messages"; a {name} stands for one segment that is
				not empty, a last {*} for all that follows */
	unsigned produces;   /* mask of enum media, or MEDIA_API; 0: the answer has no body */
	unsigned consumes;   /* mask of enum media; 0: the body's type does not matter */
	size_t body_max;     /* bytes; 0: no body is read; ROUTE_BODY_MAX: up to the router's */
	enum route_work work;
	/* Asked before anything of the request but its head is read, or anything is done. */
	router_admit_fn *admit;
	route_handler_fn *handler;
	bool (*there)(void); /* while it says no there is no such path; NULL: always */
};

struct router {
	const struct route *routes;
	size_t routes_len;
	size_t body_max; /* bytes; ASSISTANTS_MAX_BODY */
	struct occupancy *occupancy;
	void *room;          /* handed to the handlers, */
	void *api_room;      /* and to those of MEDIA_API's routes */
	const char *origins; /* of other sites, whose pages may read the answers; NULL: none */
	const char *hosts;   /* see hosts.h; NULL: none */
	const struct address_ranges *proxies; /* trusted with X-Forwarded-For; NULL: none */
	/* Set where the program cannot work: every request is answered 500 with this sentence. */
	const char *out_of_order;
};

/*
 * Answers one request: 421 for its host, 400 and 414 for its path, 404, 405 with Allow; what
 * `admit` says; 406, 415, 413, 408 when its body comes too slowly, 503 with Retry-After when too
 * many send bodies or wait; then the handler. Logs a line. A server_handler_fn; `arg` is the struct
 * router.
 */
void router_answer(void *arg, struct exchange *exchange);

/*
 * Whether a request may leave work behind, by its head; a server_outlives_fn. Of the router, `arg`,
 * only the routes count.
 */
bool router_may_outlive(void *arg, struct exchange *exchange);

/*
 * response_flush() of a long answer, which may keep the worker for as long as the client likes: so
 * only as many do as read bodies. False: that are too many, or nobody takes it; then it can go on
 * no more.
 */
bool request_flush(struct request *request, struct response *response);

/*
 * For a handler whose work outlasts its client's patience: sends the response as it is now, and
 * logs the request. Only the program's end interrupts the handler from then on, and what it makes
 * of the response is not sent.
 */
void router_leave(struct request *request, struct response *response);

#endif
