/*
 * Addresses of the Internet, and ranges of them, as text.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* An IPv6 address; one of IPv4 is ::ffff:0:0/96's (RFC 4291, 2.5.5.2). */
struct address {
	unsigned char bytes[16];
};

enum { ADDRESS_TEXT_SIZE = 64 };

/*
 * Reads "192.0.2.1", "2001:db8::1", or either as proxies write it with a port, "192.0.2.1:80",
 * "[2001:db8::1]:80". 0, or -1 when it is none.
 */
int address_parse(const char *text, size_t len, struct address *address);

/*
 * What one client is taken to have: an IPv4 address, or the /64 of an IPv6 address, which is what a
 * single customer is given. Written, that is "2001:db8:0:1::/64".
 */
struct address address_of_client(const struct address *address);
void address_print_client(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* Whether it is this machine's own, 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *address);

/*
 * Whether it is one that only this machine or its network knows: loopback, private, link-local,
 * shared or unspecified (RFC 6890).
 */
bool address_is_private(const struct address *address);

struct address_ranges;

/*
 * Reads addresses and ranges, "10.0.0.0/8", parted by blanks or commas. The caller frees. NULL with
 * the length of the first that is none in *bad_len, and where it begins in *bad; with *bad NULL
 * when memory is out.
 */
struct address_ranges *address_ranges_parse(const char *text, const char **bad, size_t *bad_len);

/* False for NULL, too. */
bool address_ranges_have(const struct address_ranges *ranges, const struct address *address);

void address_ranges_free(struct address_ranges *ranges);

#endif
