/*
 * Splits a header's value into the pieces that most headers have: elements between commas,
 * parameters between semicolons, names and values (RFC 9110, 5.6). Only for src/http/.
 */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a value, borrowed from it. */
struct header_span {
	const char *at;
	size_t len;
};

/* A whole value; NULL counts as empty. */
struct header_span header_of(const char *value);

/*
 * Removes and returns the part before `separator`, ignoring separators in quotes, without
 * surrounding blanks. A quoted string without an end extends to the end of the value.
 */
struct header_span header_next(struct header_span *rest, char separator);

/* Removes surrounding blanks. */
struct header_span header_trim(struct header_span span);

/* The inside of a quoted string; escapes stay. Anything else is returned unchanged. */
struct header_span header_unquote(struct header_span span);

/* Case-insensitive. */
bool header_is(struct header_span span, const char *text);

#endif
