/*
 * What a handler may know of a request. Everything is the request's, and goes with it.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "http/exchange.h"
#include "http/media.h"
#include "http/occupancy.h"
#include "net/address.h"
#include "os/id.h"
#include "text/path.h"

enum {
	REQUEST_PATH_MAX = 8192,
	REQUEST_TENANT_SIZE = 65,
	/* A body may take so long, and a second more for each 16 KiB: who sends slower keeps a
	 * worker.
	 */
	REQUEST_BODY_GRACE_S = 20
};

struct request {
	char id[ID_SIZE];   /* x-request-id */
	const char *method; /* "" if the server sent none */
	char *path;         /* decoded, below the mount; begins with '/', or is NULL: bad */
	char *base;         /* where it is mounted, as the client wrote it: "" or "/assistant" */
	char *params[PATH_NAMES_MAX]; /* what stood for the pattern's {names}, in order */
	int refused_status; /* the web server itself refused the request with it; 0: it did not */
	enum media media;   /* what the answer shall be, from Accept */
	enum media body_media;
	char *body; /* NUL-terminated; NULL when the route takes none */
	size_t body_len;
	struct occupancy *occupancy;      /* what the body is held in; NULL: it is not counted */
	struct address peer;              /* the client, see address_of_client(); all 0: unknown */
	bool occupies;                    /* a worker, for as long as the client likes */
	size_t held;                      /* bytes there: with what is made of it */
	char tenant[REQUEST_TENANT_SIZE]; /* the key's name, where the route's `admit` asks for a
					     key */
	long long begun_ms;               /* by clock_ms() */
	const char *route;                /* the pattern that was met, for the log; a literal */
	bool left; /* answered, though the handler still works: see router_leave() */
	const struct interrupt *client;
	struct exchange *exchange;
};

enum request_path_result {
	REQUEST_PATH_OK,
	REQUEST_PATH_BAD, /* broken percent-encoding, an encoded NUL, no path at all */
	REQUEST_PATH_TOO_LONG,
};

/*
 * Finds method, path and base. PATH_INFO is used as the server gives it; where none comes,
 * REQUEST_URI without its query is decoded once, and SCRIPT_NAME taken off its front.
 */
enum request_path_result request_init(struct request *request, struct exchange *exchange);

/*
 * The header Authorization as the client sent it, NULL without one; the exchange's. Apache's
 * rewriting, as a .htaccess asks for it, may leave it under a name of its own.
 */
const char *request_authorization(struct request *request);

/* The token of `Authorization: Bearer`, NULL without one; the exchange's. */
const char *request_bearer(struct request *request);

/*
 * Who sent it, as the web server tells: the peer of its connection or, as far as that and those
 * before it are `proxies`, who they say it was (X-Forwarded-For, read from the right, where each
 * adds his own). False when the server tells nothing that could be understood.
 */
bool request_client(
    struct request *request, const struct address_ranges *proxies, struct address *client);

enum request_body_result {
	REQUEST_BODY_OK,
	REQUEST_BODY_BAD_LENGTH, /* Content-Length is no number */
	REQUEST_BODY_TOO_LARGE,  /* also found without a Content-Length */
	REQUEST_BODY_CUT,        /* it ended before its announced length */
	REQUEST_BODY_SLOW,       /* its time was over */
	REQUEST_BODY_NO_MEMORY,  /* or the bodies of all requests have no more room */
};

/*
 * Holds so many bytes of memory for what is made of the body, as long as the request. False: all
 * requests together have no more. A json_bounds.hold; `request` is the struct request.
 */
bool request_hold(void *request, size_t bytes);

/*
 * Occupies a worker for a body or a long answer, until request_let_go(); twice is once. What came
 * of it.
 */
enum occupancy_result request_occupy(struct request *request);
void request_let_go(struct request *request);

/* Whether a body of which so many bytes have come took too long. */
bool request_is_slow(const struct request *request, long long len);

/* Whether a body may come: its announced length is not 0. */
bool request_has_body(struct request *request);

/* Reads the body, up to `max` bytes. */
enum request_body_result request_read_body(struct request *request, size_t max);

/*
 * Reads what is left of the body and forgets it, within the first REQUEST_BODY_GRACE_S seconds of
 * the request, or half a second if that is hurried; before the answer is sent. nginx stops sending
 * a body once the answer has begun, and others lose an answer while they still send.
 */
void request_drain(struct request *request);

void request_free(struct request *request);

#endif
