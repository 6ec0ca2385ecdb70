/*
 * Server-sent events (WHATWG HTML, 9.2.6), read as they come: the bytes of a stream in pieces of
 * any size, cut anywhere, in; whole events out.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stdbool.h>

#include "text/buf.h"

/*
 * An event: its name ("message" when the stream gave none) and its data, lines joined by '\n',
 * NUL-terminated. Both are the parser's until the next call. Non-zero ends the parsing: below 0 for
 * a failure, above for an end.
 */
typedef int sse_event_fn(void *arg, const char *event, const char *data, size_t len);

struct sse {
	struct buf line;
	struct buf data;
	char event[64];
	bool has_data;
	bool after_cr; /* a LF that comes next belongs to the CR before it */
	bool started;  /* a byte order mark can no longer come */
};

/* `data_max` bounds a line, and an event's data, in bytes. */
void sse_init(struct sse *sse, size_t data_max);

/* 0, -1 when a line or an event is longer than its bound, or what `fn` answered other than 0. */
int sse_feed(struct sse *sse, const char *bytes, size_t len, sse_event_fn *fn, void *arg);

void sse_free(struct sse *sse);

#endif
