#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

enum { V4_BITS = 96, BITS = 128 };

struct address_range {
	struct address from;
	unsigned bits; /* how many bits count */
};

struct address_ranges {
	size_t len;
	struct address_range ranges[];
};

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const char blanks[] = ", \t";

static bool
is_v4(const struct address *address)
{
	return memcmp(address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

static int
parse_plain(const char *text, struct address *address)
{
	if (inet_pton(AF_INET6, text, address->bytes) == 1)
		return 0;
	memcpy(address->bytes, v4_prefix, sizeof v4_prefix);
	return inet_pton(AF_INET, text, address->bytes + sizeof v4_prefix) == 1 ? 0 : -1;
}

int
address_parse(const char *text, size_t len, struct address *address)
{
	char plain[ADDRESS_TEXT_SIZE];
	char *colon, *bracket;

	if (len >= sizeof plain)
		return -1;
	memcpy(plain, text, len);
	plain[len] = '\0';
	colon = strchr(plain, ':');
	if (*plain == '[') {
		bracket = strchr(plain, ']');
		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return -1;
		*bracket = '\0';
		return parse_plain(plain + 1, address);
	}
	/* A single colon: IPv4 and a port. */
	if (colon && !strchr(colon + 1, ':'))
		*colon = '\0';
	return parse_plain(plain, address);
}

struct address
address_of_client(const struct address *address)
{
	struct address network = *address;

	if (!is_v4(address))
		memset(network.bytes + 8, 0, 8);
	return network;
}

void
address_print_client(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
	struct address network = address_of_client(address);
	char plain[INET6_ADDRSTRLEN];

	if (is_v4(address)) {
		inet_ntop(AF_INET, address->bytes + sizeof v4_prefix, text, ADDRESS_TEXT_SIZE);
		return;
	}
	inet_ntop(AF_INET6, network.bytes, plain, sizeof plain);
	snprintf(text, ADDRESS_TEXT_SIZE, "%s/64", plain);
}

static int
parse_range(const char *text, size_t len, struct address_range *range)
{
	char plain[ADDRESS_TEXT_SIZE];
	long long bits;
	char *slash;
	unsigned before;

	if (len >= sizeof plain)
		return -1;
	memcpy(plain, text, len);
	plain[len] = '\0';
	slash = strchr(plain, '/');
	if (slash)
		*slash++ = '\0';
	if (parse_plain(plain, &range->from) < 0)
		return -1;
	before = is_v4(&range->from) && !strchr(plain, ':') ? V4_BITS : 0;
	range->bits = BITS;
	if (!slash)
		return 0;
	if (parse_number(slash, 0, BITS - before, &bits) < 0)
		return -1;
	range->bits = before + (unsigned)bits;
	return 0;
}

struct address_ranges *
address_ranges_parse(const char *text, const char **bad, size_t *bad_len)
{
	/* Each item has at least two characters, its separator included. */
	struct address_ranges *ranges =
	    calloc(1, sizeof *ranges + (strlen(text) / 2 + 1) * sizeof *ranges->ranges);

	*bad = NULL;
	text += strspn(text, blanks);
	while (ranges && *text) {
		size_t len = strcspn(text, blanks);

		if (parse_range(text, len, &ranges->ranges[ranges->len++]) < 0) {
			*bad = text;
			*bad_len = len;
			free(ranges);
			return NULL;
		}
		text += len;
		text += strspn(text, blanks);
	}
	return ranges;
}

static bool
is_in(const struct address_range *range, const struct address *address)
{
	size_t bytes = range->bits / 8;
	unsigned rest = range->bits % 8;
	unsigned mask = 0xffU << (8 - rest) & 0xff;

	return memcmp(range->from.bytes, address->bytes, bytes) == 0 &&
	    (rest == 0 || ((range->from.bytes[bytes] ^ address->bytes[bytes]) & mask) == 0);
}

bool
address_ranges_have(const struct address_ranges *ranges, const struct address *address)
{
	for (size_t i = 0; ranges && i < ranges->len; i++)
		if (is_in(&ranges->ranges[i], address))
			return true;
	return false;
}

/* Whether one of `ranges` contains it: valid texts, then NULL. */
static bool
is_in_one(const struct address *address, const char *const *ranges)
{
	struct address_range range;

	for (; *ranges; ranges++)
		if (parse_range(*ranges, strlen(*ranges), &range) == 0 && is_in(&range, address))
			return true;
	return false;
}

bool
address_is_loopback(const struct address *address)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1", NULL};

	return is_in_one(address, loopback);
}

bool
address_is_private(const struct address *address)
{
	static const char *const ranges[] = {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10",
	    "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::/127",
	    "fc00::/7", "fe80::/10", NULL};

	return is_in_one(address, ranges);
}

void
address_ranges_free(struct address_ranges *ranges)
{
	free(ranges);
}
