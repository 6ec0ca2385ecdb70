/*
 * Server-sent events (WHATWG HTML, 9.2.6): takes the bytes of a stream, in pieces cut anywhere, and
 * reports whole events.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stdbool.h>

#include "text/buf.h"

/*
 * Receives an event: its name ("message" if the stream gave none), and its data, lines joined by
 * '\n', NUL-terminated. Both are valid until it returns. Non-zero ends the parsing: below 0 for a
 * failure, above 0 for the end.
 */
typedef int sse_event_fn(void *arg, const char *event, const char *data, size_t len);

struct sse {
	struct buf line;
	struct buf data;
	char event[64];
	bool has_data;
	bool after_cr; /* a following LF belongs to the CR before it */
	bool started;  /* a byte order mark can no longer come */
};

/* `data_max`: the most bytes of a line, and of an event's data. */
void sse_init(struct sse *sse, size_t data_max);

/* 0; -1: a line or an event is too long; otherwise what `fn` returned, if not 0. */
int sse_feed(struct sse *sse, const char *bytes, size_t len, sse_event_fn *fn, void *arg);

void sse_free(struct sse *sse);

#endif
