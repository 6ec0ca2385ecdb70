/* What a handler may know of a request. The request owns everything. */
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
	/*
	 * The time for a body, plus one second for each 16 KiB: a slower client would occupy a
	 * worker.
	 */
	REQUEST_BODY_GRACE_S = 20
};

struct request {
	char id[ID_SIZE];   /* x-request-id */
	const char *method; /* "" if the server sent none */
	char *path;         /* decoded, below the mount; begins with '/'; NULL: malformed */
	char *base;         /* the mount as the client sees it: "" or "/assistant" */
	char *params[PATH_NAMES_MAX]; /* what the pattern's {names} stand for, in order */
	int refused_status; /* the status with which the web server refused it; 0: it did not */
	enum media media;   /* the answer's format, from Accept */
	enum media body_media;
	char *body; /* NUL-terminated; NULL: the route takes none */
	size_t body_len;
	struct occupancy *occupancy; /* accounts for the body; NULL: nothing does */
	struct address peer;         /* the client, see address_of_client(); all 0: unknown */
	bool occupies;               /* a worker, for as long as the client likes */
	size_t held;                 /* bytes in `occupancy`: the body and what is made of it */
	char tenant[REQUEST_TENANT_SIZE]; /* the key's name, if the route needs a key */
	long long begun_ms;               /* by clock_ms() */
	const char *route;                /* the matched pattern, for the log; a literal */
	bool left; /* answered, but the handler goes on: see router_leave() */
	const struct interrupt *client;
	struct exchange *exchange;
};

enum request_path_result {
	REQUEST_PATH_OK,
	REQUEST_PATH_BAD, /* broken percent-encoding, an encoded NUL, or no path */
	REQUEST_PATH_TOO_LONG,
};

/*
 * Finds method, path and base. PATH_INFO is used as it is. Without it, REQUEST_URI is used: without
 * its query, decoded once, and with SCRIPT_NAME removed from its front. Call request_free()
 * whatever the result.
 */
enum request_path_result request_init(struct request *request, struct exchange *exchange);

/*
 * The header Authorization as the client sent it, owned by the exchange; NULL: absent. Apache's
 * rewriting, which .htaccess uses, may put it under another name.
 */
const char *request_authorization(struct request *request);

/* The token of `Authorization: Bearer`, owned by the exchange; NULL: absent. */
const char *request_bearer(struct request *request);

/*
 * The client's address: the peer of the web server's connection. If that is one of `proxies`, the
 * address that it reports instead (X-Forwarded-For, read from the right, because each proxy
 * appends). False: the server reports nothing that can be parsed.
 */
bool request_client(
    struct request *request, const struct address_ranges *proxies, struct address *client);

enum request_body_result {
	REQUEST_BODY_OK,
	REQUEST_BODY_BAD_LENGTH, /* Content-Length is no number */
	REQUEST_BODY_TOO_LARGE,  /* also detected without a Content-Length */
	REQUEST_BODY_CUT,        /* it ended before the announced length */
	REQUEST_BODY_SLOW,       /* timed out */
	REQUEST_BODY_NO_MEMORY,  /* no memory, or no room among all bodies */
};

/*
 * Accounts for memory that is made of the body, in bytes, until the request ends. False: there is
 * no room. A json_bounds.hold; `request` is the struct request.
 */
bool request_hold(void *request, size_t bytes);

/*
 * Occupies a worker for a body or a long answer, until request_let_go(). Calling it twice counts
 * once.
 */
enum occupancy_result request_occupy(struct request *request);
void request_let_go(struct request *request);

/* Whether a body took too long, if `len` bytes have come so far. */
bool request_is_slow(const struct request *request, long long len);

/* Whether a body may follow: the announced length is not 0. */
bool request_has_body(struct request *request);

/* A body that is read piece by piece. */
struct request_pieces {
	struct request *request;
	long long left; /* bytes still to come; -1: up to its end */
	long long read, max;
	enum request_body_result result; /* what ended it; REQUEST_BODY_OK so far */
};

/* Begins to read a body of at most `max` bytes. If its announced length is refused, says so. */
enum request_body_result request_pieces_begin(
    struct request_pieces *pieces, struct request *request, long long max);

/* Reads up to `size` bytes, as soon as there are any. 0: the body's end. -1: pieces->result. */
ssize_t request_pieces_read(struct request_pieces *pieces, void *bytes, size_t size);

/* Reads the body, at most `max` bytes. */
enum request_body_result request_read_body(struct request *request, size_t max);

/*
 * Reads and drops the rest of the body, before the answer is sent. nginx stops sending a body once
 * the answer has begun, and other servers lose an answer while they still send. It takes at most
 * the first REQUEST_BODY_GRACE_S seconds of the request, or half a second if that is hurried.
 */
void request_drain(struct request *request);

void request_free(struct request *request);

#endif
