/* Internet addresses, and ranges of them, as text. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* An IPv6 address. IPv4 addresses are mapped to ::ffff:0:0/96 (RFC 4291, 2.5.5.2). */
struct address {
	unsigned char bytes[16];
};

enum { ADDRESS_TEXT_SIZE = 64 };

/*
 * Parses "192.0.2.1", "2001:db8::1", or either with a port as proxies write it, "192.0.2.1:80",
 * "[2001:db8::1]:80". 0; -1: it is no address.
 */
int address_parse(const char *text, size_t len, struct address *address);

/*
 * The part of an address that identifies a client: an IPv4 address, or the /64 of an IPv6 address,
 * which is what one customer gets. Printed as "2001:db8:0:1::/64".
 */
struct address address_of_client(const struct address *address);
void address_print_client(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* Whether it is this machine's: 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *address);

/*
 * Whether only this machine or its network knows it: loopback, private, link-local, shared or
 * unspecified (RFC 6890).
 */
bool address_is_private(const struct address *address);

struct address_ranges;

/*
 * Parses addresses and ranges such as "10.0.0.0/8", separated by blanks or commas. The caller
 * frees. NULL: *bad and *bad_len are the first invalid item, or *bad is NULL: out of memory.
 */
struct address_ranges *address_ranges_parse(const char *text, const char **bad, size_t *bad_len);

/* NULL contains nothing. */
bool address_ranges_have(const struct address_ranges *ranges, const struct address *address);

void address_ranges_free(struct address_ranges *ranges);

#endif
