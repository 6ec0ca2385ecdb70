/* SHA-256 as 64 lower-case hexadecimal digits. */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include <stddef.h>

enum { SHA256_HEX_SIZE = 65 };

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_SIZE]);

#endif
