/*
 * The pieces of a header's value, as most headers are made of them: elements between commas,
 * parameters between semicolons, names and values (RFC 9110, 5.6). Only for src/http/.
 */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of a value, borrowed from it. */
struct header_span {
	const char *at;
	size_t len;
};

/* A whole value; NULL is an empty one. */
struct header_span header_of(const char *value);

/* Takes the part up to `separator`, outside quotes, off the front; without the blanks around it. */
struct header_span header_next(struct header_span *rest, char separator);

/* Without the blanks around it. */
struct header_span header_trim(struct header_span span);

/* What stands in the quotes, if it is a quoted string; escapes stay as they are. */
struct header_span header_unquote(struct header_span span);

/* In whatever case. */
bool header_is(struct header_span span, const char *text);

#endif
