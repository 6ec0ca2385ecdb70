#include "http/header.h"

#include <string.h>
#include <strings.h>

struct header_span
header_of(const char *value)
{
	return (struct header_span){value, value ? strlen(value) : 0};
}

struct header_span
header_trim(struct header_span span)
{
	while (span.len > 0 && strchr(" \t", span.at[0])) {
		span.at++;
		span.len--;
	}
	while (span.len > 0 && strchr(" \t", span.at[span.len - 1]))
		span.len--;
	return span;
}

struct header_span
header_next(struct header_span *rest, char separator)
{
	struct header_span part = {rest->at, 0};
	bool quoted = false;

	while (part.len < rest->len && (quoted || part.at[part.len] != separator)) {
		if (part.at[part.len] == '"')
			quoted = !quoted;
		part.len++;
	}
	rest->at += part.len;
	rest->len -= part.len;
	if (rest->len > 0) {
		rest->at++;
		rest->len--;
	}
	return header_trim(part);
}

struct header_span
header_unquote(struct header_span span)
{
	if (span.len >= 2 && span.at[0] == '"')
		return (struct header_span){span.at + 1, span.len - 2};
	return span;
}

bool
header_is(struct header_span span, const char *text)
{
	return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}
