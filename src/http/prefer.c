#include "http/prefer.h"

#include <stdio.h>

#include "http/header.h"
#include "text/text.h"

enum { WAIT_MAX_S = 86400 };

/* -1: not a number of seconds. More than a day counts as a day. */
static long long
read_seconds(struct header_span value)
{
	char digits[16];
	long long seconds;

	if (value.len >= sizeof digits)
		return -1;
	snprintf(digits, sizeof digits, "%.*s", (int)value.len, value.at);
	if (parse_number(digits, 0, 999999999999999, &seconds) < 0)
		return -1;
	return seconds < WAIT_MAX_S ? seconds : WAIT_MAX_S;
}

struct prefer
prefer_read(const char *header)
{
	struct header_span rest = header_of(header);
	struct prefer prefer = {.wait_s = -1};

	while (rest.len > 0) {
		struct header_span element = header_next(&rest, ',');
		struct header_span value = header_next(&element, ';');
		struct header_span name = header_next(&value, '=');

		if (header_is(name, "respond-async"))
			prefer.async = true;
		/* The first valid one counts (RFC 7240, 2). */
		else if (header_is(name, "wait") && prefer.wait_s < 0)
			prefer.wait_s = read_seconds(header_unquote(header_trim(value)));
	}
	return prefer;
}

void
prefer_print(const struct prefer *prefer, char applied[PREFER_APPLIED_SIZE])
{
	const char *async = prefer->async ? "respond-async" : "";

	if (prefer->wait_s < 0)
		snprintf(applied, PREFER_APPLIED_SIZE, "%s", async);
	else
		snprintf(applied, PREFER_APPLIED_SIZE, "%s%swait=%lld", async,
		    prefer->async ? ", " : "", prefer->wait_s);
}
