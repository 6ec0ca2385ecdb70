/* SHA-256 as 64 lower-case hexadecimal digits. */
#ifndef OS_HASH_H
#define OS_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum { SHA256_HEX_SIZE = 65 };

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_SIZE]);

/* Takes the same time wherever they differ. */
bool sha256_hex_equal(const char a[SHA256_HEX_SIZE], const char b[SHA256_HEX_SIZE]);

#endif
