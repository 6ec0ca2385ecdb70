#include "http/media.h"

#include <strings.h>

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

/* A piece of a header's value. */
struct span {
	const char *at;
	size_t len;
};

static struct span
trimmed(struct span span)
{
	while (span.len > 0 && strchr(" \t", span.at[0])) {
		span.at++;
		span.len--;
	}
	while (span.len > 0 && strchr(" \t", span.at[span.len - 1]))
		span.len--;
	return span;
}

/* Takes the part up to `separator`, outside quotes, off the front. */
static struct span
next_part(struct span *rest, char separator)
{
	struct span part = {rest->at, 0};
	int quoted = 0;

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
	return trimmed(part);
}

static int
span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}

/* The value of `name=value` in thousandths (RFC 9110, 12.4.2); what cannot be read counts as 1. */
static int
quality(struct span value)
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

/* One media range with its quality. */
struct range {
	struct span type, subtype;
	int q;
};

static struct range
parse_range(struct span element)
{
	struct span type = next_part(&element, ';');
	struct range range = {.q = Q_MAX};

	range.type = next_part(&type, '/');
	range.subtype = trimmed(type);
	while (element.len > 0) {
		struct span parameter = next_part(&element, ';');
		struct span name = next_part(&parameter, '=');

		if (span_is(name, "q"))
			range.q = quality(trimmed(parameter));
	}
	return range;
}

/* How exactly a range means a kind: 0 not at all, 1 by star/star, 2 by type/star, 3 by its name. */
static int
precision(const struct range *range, int kind)
{
	if (span_is(range->type, "*") && span_is(range->subtype, "*"))
		return 1;
	if (!span_is(range->type, kinds[kind].type))
		return 0;
	if (span_is(range->subtype, "*"))
		return 2;
	return span_is(range->subtype, kinds[kind].subtype) ? 3 : 0;
}

enum media
media_negotiate(const char *accept, unsigned offered)
{
	int precisions[KINDS_LEN] = {0}, qs[KINDS_LEN] = {0}, best = -1;
	struct span rest = {accept, accept ? strlen(accept) : 0};

	if (trimmed(rest).len == 0)
		rest = (struct span){"*/*", 3};
	while (rest.len > 0) {
		struct range range = parse_range(next_part(&rest, ','));

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
	struct span rest = {content_type, content_type ? strlen(content_type) : 0};
	struct span type, subtype;
	enum media media = MEDIA_NONE;

	if (trimmed(rest).len == 0)
		return MEDIA_TEXT;
	subtype = next_part(&rest, ';');
	type = next_part(&subtype, '/');
	subtype = trimmed(subtype);
	for (int i = 0; i < KINDS_LEN; i++)
		if (span_is(type, kinds[i].type) && span_is(subtype, kinds[i].subtype))
			media = kinds[i].media;
	while (rest.len > 0) {
		struct span parameter = next_part(&rest, ';');
		struct span name = next_part(&parameter, '=');
		struct span value = trimmed(parameter);

		if (value.len >= 2 && value.at[0] == '"')
			value = (struct span){value.at + 1, value.len - 2};
		if (span_is(name, "charset") && !span_is(value, "utf-8") &&
		    !span_is(value, "us-ascii"))
			return MEDIA_NONE;
	}
	return media;
}
