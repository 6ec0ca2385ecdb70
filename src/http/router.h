/*
 * From a path to its handler. A row of the table states what must hold before the handler runs. The
 * router checks it, so handlers do not.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

#define ROUTE_BODY_MAX SIZE_MAX
/* The handler reads it piece by piece, and may occupy its worker for as long as it comes. */
#define ROUTE_BODY_PIECES (SIZE_MAX - 1)

/* Whether the request may use the route. If not, it has been answered. */
typedef bool router_admit_fn(void *room, struct request *request, struct response *response);

typedef void route_handler_fn(void *room, struct request *request, struct response *response);

/* How long a request's work may take. */
enum route_work {
	ROUTE_QUICK,
	ROUTE_WAITS,    /* waits for a model: some workers are kept free of these */
	ROUTE_OUTLIVES, /* the same, and its work may go on after the answer */
	ROUTE_DEFERS,   /* the same, if the client sends Prefer */
};

struct route {
	const char *method;  /* HEAD is served where GET is, OPTIONS everywhere; "*": any
				but OPTIONS */
	const char *pattern; /* "/threads/{id}/messages"; {name}: one non-empty segment; a final
				{*}: the rest */
	unsigned produces;   /* mask of enum media, or MEDIA_API; 0: the answer has no body */
	unsigned consumes;   /* mask of enum media; 0: any type of body */
	size_t body_max;     /* bytes; 0: no body is read; ROUTE_BODY_MAX: up to the router's;
				ROUTE_BODY_PIECES */
	enum route_work work;
	/* Asked before more than the head is read, and before anything is done. */
	router_admit_fn *admit;
	route_handler_fn *handler;
	bool (*there)(void); /* while it returns false, the path does not exist; NULL: it does */
};

struct router {
	const struct route *routes;
	size_t routes_len;
	size_t body_max; /* bytes; ASSISTANTS_MAX_BODY */
	struct occupancy *occupancy;
	void *room;          /* passed to the handlers, */
	void *api_room;      /* and to those of routes with MEDIA_API */
	const char *origins; /* of other sites whose pages may read answers; NULL: none */
	const char *hosts;   /* see hosts.h; NULL: none */
	const struct address_ranges *proxies; /* their X-Forwarded-For is believed; NULL: none */
	/* Set if the program cannot work: every request is answered 500 with this sentence. */
	const char *out_of_order;
};

/*
 * Answers one request, and logs a line. Answered here: 421 for its host, 400 and 414 for its path,
 * 404, 405 with Allow, whatever `admit` answers, 406, 415, 413, 408 for a body that comes too
 * slowly, and 503 with Retry-After if too many send bodies or wait. Otherwise the handler answers.
 * A server_handler_fn; `arg` is the struct router.
 */
void router_answer(void *arg, struct exchange *exchange);

/*
 * Whether a request's work may go on after its answer, judged by its head. A server_outlives_fn; of
 * the router, `arg`, only the routes are used.
 */
bool router_may_outlive(void *arg, struct exchange *exchange);

/*
 * response_flush() for a long answer. The client may take as long as it likes, so this counts like
 * reading a body. False: too many workers do that already, or the web server no longer takes the
 * answer. It cannot go on.
 */
bool request_flush(struct request *request, struct response *response);

/*
 * For a handler that works longer than its client waits: sends the response as it is and logs the
 * request. From then on only the program's end interrupts the handler, and later changes of the
 * response are not sent.
 */
void router_leave(struct request *request, struct response *response);

#endif
