#include "http/media.h"

#include <string.h>

#include "http/header.h"

static const struct {
	enum media media;
	const char *type, *subtype;
} kinds[] = {
    {MEDIA_TEXT, "text", "plain"},
    {MEDIA_JSON, "application", "json"},
    {MEDIA_FORM, "application", "x-www-form-urlencoded"},
    {MEDIA_EVENTS, "text", "event-stream"},
};

enum { KINDS_LEN = sizeof kinds / sizeof *kinds, Q_MAX = 1000 };

/* The value of `name=value` in thousandths (RFC 9110, 12.4.2). Malformed values count as 1. */
static int
quality(struct header_span value)
{
	int q = 0, digit = 100;

	if (value.len == 0 || (value.at[0] != '0' && value.at[0] != '1'))
		return Q_MAX;
	q = value.at[0] == '1' ? Q_MAX : 0;
	for (size_t i = 2; i < value.len && i < 5; i++, digit /= 10)
		if (value.at[i] >= '0' && value.at[i] <= '9')
			q += (value.at[i] - '0') * digit;
	return q < Q_MAX ? q : Q_MAX;
}

/* A media range with its quality. */
struct range {
	struct header_span type, subtype;
	int q;
};

static struct range
parse_range(struct header_span element)
{
	struct header_span type = header_next(&element, ';');
	struct range range = {.q = Q_MAX};

	range.type = header_next(&type, '/');
	range.subtype = header_trim(type);
	while (element.len > 0) {
		struct header_span parameter = header_next(&element, ';');
		struct header_span name = header_next(&parameter, '=');

		if (header_is(name, "q"))
			range.q = quality(header_trim(parameter));
	}
	return range;
}

/* How precisely a range matches: 0 not at all, 1 by star/star, 2 by type/star, 3 by its name. */
static int
precision(const struct range *range, int kind)
{
	if (header_is(range->type, "*") && header_is(range->subtype, "*"))
		return 1;
	if (!header_is(range->type, kinds[kind].type))
		return 0;
	if (header_is(range->subtype, "*"))
		return 2;
	return header_is(range->subtype, kinds[kind].subtype) ? 3 : 0;
}

enum media
media_negotiate(const char *accept, unsigned offered)
{
	int precisions[KINDS_LEN] = {0}, qs[KINDS_LEN] = {0}, best = -1;
	struct header_span rest = header_of(accept);

	if (header_trim(rest).len == 0)
		rest = (struct header_span){"*/*", 3};
	while (rest.len > 0) {
		struct range range = parse_range(header_next(&rest, ','));

		for (int i = 0; i < KINDS_LEN; i++) {
			int exact = precision(&range, i);

			if (exact > precisions[i]) {
				precisions[i] = exact;
				qs[i] = range.q;
			}
		}
	}
	for (int i = 0; i < KINDS_LEN; i++)
		if ((offered & kinds[i].media) && qs[i] > 0 && (best < 0 || qs[i] > qs[best]))
			best = i;
	return best < 0 ? MEDIA_NONE : kinds[best].media;
}

enum media
media_of_body(const char *content_type)
{
	struct header_span rest = header_of(content_type);
	struct header_span type, subtype;
	enum media media = MEDIA_NONE;

	if (header_trim(rest).len == 0)
		return MEDIA_TEXT;
	subtype = header_next(&rest, ';');
	type = header_next(&subtype, '/');
	subtype = header_trim(subtype);
	for (int i = 0; i < KINDS_LEN; i++)
		if (header_is(type, kinds[i].type) && header_is(subtype, kinds[i].subtype))
			media = kinds[i].media;
	while (rest.len > 0) {
		struct header_span parameter = header_next(&rest, ';');
		struct header_span name = header_next(&parameter, '=');
		struct header_span value = header_unquote(header_trim(parameter));

		if (header_is(name, "charset") && !header_is(value, "utf-8") &&
		    !header_is(value, "us-ascii"))
			return MEDIA_NONE;
	}
	return media;
}
