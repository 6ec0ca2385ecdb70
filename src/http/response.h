/*
 * An answer: filled in by a handler, sent by the router. What is set later replaces what was set
 * before.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <json.h>
#include <stdbool.h>

#include "http/exchange.h"
#include "http/media.h"
#include "text/buf.h"

struct response {
	int status;
	const char *content_type; /* NULL: no body */
	struct buf headers;
	struct buf body;
	enum media media;        /* what the client wants to be told errors in */
	long long retry_after_s; /* -1: not said */
	bool api_errors;         /* errors in the Assistants API's form instead */
	bool begun;              /* the head has been sent: what follows is written as it comes */
	/* The pattern that was met behind the router's own, which is a prefix; a literal; or NULL.
	 */
	const char *route;
	unsigned long long sent; /* bytes of the body */
	bool lost;               /* the web server did not take it all */
	bool head;               /* the request is a HEAD, which gets the headers alone */
	bool patient;            /* its pieces may be held back on the way: they are no stream */
};

void response_init(struct response *response, enum media media);

/* Adds a header. A value with a control character, which could forge another one, is left out. */
void response_header(struct response *response, const char *name, const char *value);

void response_text(struct response *response, int status, const char *text);

/* Takes `object` over. */
void response_json(struct response *response, int status, struct json_object *object);

/*
 * An error: one plain sentence of our own, or the same as application/problem+json (RFC 9457).
 * Never words of a model server.
 */
void response_problem(struct response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Sends it. -1 when the web server does not take it any more, which nobody can be told.
 */
int response_send(struct response *response, struct exchange *exchange);

/*
 * A body of any length, which is sent piece by piece, so that it never is in memory as a whole; one
 * that stays short is sent with its length. Status and type must be set before. response_add() adds
 * to it; response_flush() sends what has become long, which may take as long as the client likes,
 * so that nothing else should be held then. Where an answer cannot be broken off, all of it is kept
 * until the end. Then response_end(), or, when there is no end, response_break_off(): true when
 * nothing was sent yet, and another answer can be.
 */
void response_add(struct response *response, const void *bytes, size_t len);
bool response_is_long(const struct response *response, const struct exchange *exchange);
void response_flush(struct response *response, struct exchange *exchange);
void response_end(struct response *response, struct exchange *exchange);
bool response_break_off(struct response *response, struct exchange *exchange);

/*
 * Sends the head now, with no length but what a header says; the body is then written as it comes.
 * -1 when nobody takes it any more.
 */
int response_begin(struct response *response, struct exchange *exchange);
int response_write(
    struct response *response, struct exchange *exchange, const void *bytes, size_t len);

/*
 * Answers with server-sent events (HTML standard, 9.2): sends the head now, with `first`, the
 * events that are there already, and then each event as it comes. `data` has no line breaks. -1
 * when nobody takes them any more.
 */
int response_begin_events(struct response *response, struct exchange *exchange, const char *first);
int response_event(
    struct response *response, struct exchange *exchange, const char *event, const char *data);

void response_free(struct response *response);

#endif
