/*
 * HTTP as a client, blocking: a call sleeps until its answer is whole, or until something ends it.
 * This is the only room that knows curl.
 *
 * What it hides: a last-in-first-out pool of multi handles, so that connections stay warm; DNS
 * answers and TLS sessions shared between them; the sleep on the server's and the client's socket
 * at once. TLS is always verified, redirects are not followed, only http and https are spoken.
 *
 * Repeats, at most three, with jitter: a connection that could not be made, and answers 429, 503
 * and 529, after `Retry-After` if that is at most 20 s. Anything else may have taken effect and is
 * repeated only for calls that say `repeatable`.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/sse.h"
#include "os/interrupt.h"
#include "text/buf.h"

struct http_client;

/*
 * `ca_file`: certificates to trust instead of the system's, NULL for those. NULL when memory is
 * out. One client serves all threads.
 */
struct http_client *http_client_new(const char *ca_file);
void http_client_free(struct http_client *client);

/*
 * Whether `url` is one that can be called: http or https, a host, no user name (that would be
 * logged).
 */
bool http_url_valid(const char *url);

/*
 * Whether the URL's host is on this machine or its network: by its address or, with `resolve`,
 * which may take a while, by what its name leads to. Also for what is no URL.
 */
bool http_url_is_private(const char *url, bool resolve);

/* The head of an answer that is passed on; gone when on_head() returns. */
struct http_head {
	long status;
	long long body_len; /* -1 when it is not known */
	void *easy;
};

/* What a header says, NULL where there is none; good until the next call. */
const char *http_head_value(const struct http_head *head, const char *name);

struct http_answer;

struct http_call {
	const char *method;
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated */
	const char *body;           /* JSON, NUL-terminated; NULL for none */
	size_t answer_max;          /* bytes of a body, or of one event of a stream, decompressed */
	long long timeout_ms;       /* for the whole, repeats included */
	bool repeatable;            /* it may take effect twice: GET, DELETE */
	/* Whether a 429, 503 or 529 may be over soon; NULL: it may. */
	bool (*may_repeat)(const struct http_answer *answer);
	/*
	 * Gets the events of a 2xx text/event-stream. Above 0 it has seen the last one, and the
	 * call is HTTP_ANSWERED; below 0 it ends the call as HTTP_STOPPED.
	 */
	sse_event_fn *on_event;
	void *event_arg;
	/*
	 * For a request and an answer that are passed on and never held in memory. A call with
	 * on_head is not repeated.
	 *
	 * read_body, in place of `body`, gives the next bytes, at most `size` of them: how many, 0
	 * at the end, below 0 where it broke off. There are body_len, -1 when nobody knows.
	 * on_head gets an answer's head, whatever its status; on_piece each piece of the body as it
	 * comes. Below 0 each of the three ends the call as HTTP_STOPPED.
	 */
	ssize_t (*read_body)(void *arg, char *bytes, size_t size);
	long long body_len;
	int (*on_head)(void *arg, const struct http_head *head);
	int (*on_piece)(void *arg, const char *bytes, size_t len);
	void *pass_arg;
	const struct interrupt *interrupt; /* NULL: nothing ends it */
};

enum http_outcome {
	HTTP_ANSWERED,    /* an answer came whole, whatever its status */
	HTTP_UNREACHABLE, /* no connection; the request had no effect */
	HTTP_BAD_TLS,     /* the server could not prove who it is; the request had no effect */
	HTTP_CUT,         /* the connection ended in the middle, or what came was not HTTP */
	HTTP_SILENT,      /* the time was over */
	HTTP_TOO_LARGE,   /* more than answer_max, or a head of more than 256 KiB */
	HTTP_STOPPED,     /* a callback said so */
	HTTP_INTERRUPTED,
	HTTP__MAX
};

struct http_answer {
	long status; /* 0 when none came */
	struct buf body;
	bool sent;             /* the request went out whole: the server has it, or may have */
	bool streamed;         /* the answer went to on_event, body is empty */
	char content_type[64]; /* lower case, without parameters; "" if none */
	long retry_after_s;    /* -1 if none, or not understood; at most a day */
	long poll_after_ms;    /* openai-poll-after-ms; -1 if none */
	char detail[320];      /* what came of it, for the log: the outcome and outside words */
};

/* Fills `answer`, which http_answer_free() releases whatever the outcome. */
enum http_outcome http_client_call(
    struct http_client *client, const struct http_call *call, struct http_answer *answer);
void http_answer_free(struct http_answer *answer);

/* A few words for a log. */
const char *http_outcome_strerror(enum http_outcome outcome);

/*
 * Counts a call that failed, or whose status is no success, as METRIC_UPSTREAM_ERRORS. A call that
 * was stopped or interrupted did not; whoever stopped it knows more.
 */
void http_count_failure(const char *upstream, enum http_outcome outcome, long status);

#endif
