/*
 * How long a client prefers to wait: the header Prefer (RFC 7240), `respond-async` and `wait`.
 * Other preferences and malformed ones are ignored, as the RFC demands.
 */
#ifndef HTTP_PREFER_H
#define HTTP_PREFER_H

#include <stdbool.h>

struct prefer {
	bool async;       /* respond-async: prefers a 202 to waiting */
	long long wait_s; /* wait=N; -1: absent */
};

/* `header`: all values of the header, joined by commas; NULL: absent. */
struct prefer prefer_read(const char *header);

enum { PREFER_APPLIED_SIZE = 48 };

/* The value of Preference-Applied if all preferences were honoured; "" if there are none. */
void prefer_print(const struct prefer *prefer, char applied[PREFER_APPLIED_SIZE]);

#endif
