/*
 * An answer: filled in by a handler, sent by the router. A later status, type or body replaces an
 * earlier one.
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
	enum media media;        /* the format for errors */
	long long retry_after_s; /* -1: none */
	bool api_errors;         /* errors in the Assistants API's form */
	bool begun;              /* the head has been sent: what follows is sent as it comes */
	/* The pattern that a handler matched behind the router's prefix; a literal, or NULL. */
	const char *route;
	unsigned long long sent; /* bytes of the body */
	bool lost;               /* the web server did not take all of it */
	bool head;               /* the request is a HEAD: only headers are sent */
	bool patient;            /* its pieces may be held back on the way: they are no stream */
};

void response_init(struct response *response, enum media media);

/* Adds a header. A value with a control character, which could forge another header, is dropped. */
void response_header(struct response *response, const char *name, const char *value);

void response_text(struct response *response, int status, const char *text);

/* Takes `object` over. */
void response_json(struct response *response, int status, struct json_object *object);

/*
 * An error: one plain sentence of our own, also as application/problem+json (RFC 9457). Never a
 * model server's words.
 */
void response_problem(struct response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends the answer. -1: the web server no longer takes it, so an error could not be sent either. */
int response_send(struct response *response, struct exchange *exchange);

/*
 * A body of any length, sent piece by piece, so that it is never in memory as a whole. If it stays
 * short, it is sent with its length. Set status and type first. response_add() appends.
 * response_flush() sends what has accumulated, if it is long; that may take as long as the client
 * likes, so hold nothing else then. Where an answer cannot be broken off, all of it is kept until
 * the end. Finish with response_end(), or, if it cannot be completed, with response_break_off():
 * true if nothing was sent yet, and another answer can be.
 */
void response_add(struct response *response, const void *bytes, size_t len);
bool response_is_long(const struct response *response, const struct exchange *exchange);
void response_flush(struct response *response, struct exchange *exchange);
void response_end(struct response *response, struct exchange *exchange);
bool response_break_off(struct response *response, struct exchange *exchange);

/*
 * Sends the head now, without a length unless a header has one. The body is then sent as it comes.
 * -1: the web server no longer takes it.
 */
int response_begin(struct response *response, struct exchange *exchange);
int response_write(
    struct response *response, struct exchange *exchange, const void *bytes, size_t len);

/*
 * Answers with server-sent events (HTML standard, 9.2): sends the head and `first`, the events so
 * far, and later each event as it comes. `data` has no line breaks. -1: nobody takes them any more.
 */
int response_begin_events(struct response *response, struct exchange *exchange, const char *first);
int response_event(
    struct response *response, struct exchange *exchange, const char *event, const char *data);

void response_free(struct response *response);

#endif
