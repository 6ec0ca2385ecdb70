/*
 * How long a client prefers to wait for an answer: the header Prefer (RFC 7240), `respond-async`
 * and `wait`. Other preferences, and what is malformed, are passed over, as it asks for.
 */
#ifndef HTTP_PREFER_H
#define HTTP_PREFER_H

#include <stdbool.h>

struct prefer {
	bool async;       /* respond-async: rather a 202 than to wait */
	long long wait_s; /* wait=N; -1: not said */
};

/* `header` is all the header's values, joined by commas; NULL: there is none. */
struct prefer prefer_read(const char *header);

enum { PREFER_APPLIED_SIZE = 48 };

/* What Preference-Applied says where all that was read is kept to; "" where nothing was. */
void prefer_print(const struct prefer *prefer, char applied[PREFER_APPLIED_SIZE]);

#endif
