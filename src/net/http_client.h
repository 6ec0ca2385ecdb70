/*
 * A blocking HTTP client: a call sleeps until its answer is complete, or something ends it. Only
 * this file uses curl.
 *
 * It hides a last-in-first-out pool of multi handles, so that connections stay warm; DNS answers
 * and TLS sessions that they share; and waiting for the server's and the client's socket at once.
 * TLS is always verified, redirects are not followed, only http and https are allowed.
 *
 * A call is repeated at most three times, with jitter, if no connection could be made, or for a
 * 429, 503 or 529, after `Retry-After` if that is at most 20 s. A call that is `repeatable` is also
 * repeated if the connection broke, because it may take effect twice. A call with on_head is never
 * repeated.
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
 * `ca_file`: certificates to trust instead of the system's; NULL: the system's. One client serves
 * all threads. NULL: out of memory.
 */
struct http_client *http_client_new(const char *ca_file);
void http_client_free(struct http_client *client);

/* Whether `url` can be called: http or https, a host, no user name (which would be logged). */
bool http_url_valid(const char *url);

/*
 * Whether the URL's host is on this machine or its network: by its address, or, with `resolve`,
 * which may take a while, by what its name resolves to. Also true if it is no URL.
 */
bool http_url_is_private(const char *url, bool resolve);

/* The head of an answer that is passed on; valid until on_head() returns. */
struct http_head {
	long status;
	long long body_len; /* -1: unknown */
	void *easy;
};

/* A header's value, valid until the next call; NULL: absent. */
const char *http_head_value(const struct http_head *head, const char *name);

struct http_answer;

struct http_call {
	const char *method;
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated */
	const char *body;           /* JSON, NUL-terminated; NULL: none */
	size_t answer_max;    /* bytes of the body, or of one event of a stream, decompressed */
	long long timeout_ms; /* for everything, repetitions included */
	bool repeatable;      /* it may take effect twice: GET, DELETE */
	/* Whether a 429, 503 or 529 may pass soon; NULL: yes. */
	bool (*may_repeat)(const struct http_answer *answer);
	/*
	 * Receives the events of a 2xx text/event-stream. Above 0: that was the last one, and the
	 * call is HTTP_ANSWERED. Below 0: ends the call as HTTP_STOPPED.
	 */
	sse_event_fn *on_event;
	void *event_arg;
	/*
	 * For a request and an answer that are passed on and never held in memory.
	 *
	 * read_body, used in place of `body`, reads at most `size` bytes. It returns how many; 0:
	 * the end; below 0: the body broke off. body_len is the length; -1: unknown. on_head
	 * receives an answer's head, whatever its status; on_piece each piece of the body as it
	 * comes. If one of the three returns less than 0, the call ends as HTTP_STOPPED.
	 */
	ssize_t (*read_body)(void *arg, char *bytes, size_t size);
	long long body_len;
	int (*on_head)(void *arg, const struct http_head *head);
	int (*on_piece)(void *arg, const char *bytes, size_t len);
	void *pass_arg;
	const struct interrupt *interrupt; /* NULL: nothing ends it */
};

enum http_outcome {
	HTTP_ANSWERED,    /* a complete answer, whatever its status */
	HTTP_UNREACHABLE, /* no connection; the request had no effect */
	HTTP_BAD_TLS,     /* the server could not prove its identity; the request had no effect */
	HTTP_CUT,         /* the connection broke, or the answer was not HTTP */
	HTTP_SILENT,      /* timed out */
	HTTP_TOO_LARGE,   /* more than answer_max, or a head of more than 256 KiB */
	HTTP_STOPPED,     /* a callback ended it */
	HTTP_INTERRUPTED,
	HTTP__MAX
};

struct http_answer {
	long status; /* 0: none came */
	struct buf body;
	bool sent;             /* the whole request was sent, so the server may have it */
	bool streamed;         /* the answer went to on_event, and body is empty */
	char content_type[64]; /* lower case, without parameters; "": none */
	long retry_after_s;    /* -1: none, or malformed; at most a day */
	long poll_after_ms;    /* openai-poll-after-ms; -1: none */
	char detail[320];      /* for the log: the outcome, and foreign text */
};

/* Fills in `answer`; call http_answer_free() whatever the outcome. */
enum http_outcome http_client_call(
    struct http_client *client, const struct http_call *call, struct http_answer *answer);
void http_answer_free(struct http_answer *answer);

/* A few words for the log. */
const char *http_outcome_strerror(enum http_outcome outcome);

/*
 * Counts a failed call, or an error status, as METRIC_UPSTREAM_ERRORS. A call that was stopped or
 * interrupted did not fail; the code that stopped it knows more.
 */
void http_count_failure(const char *upstream, enum http_outcome outcome, long status);

#endif
