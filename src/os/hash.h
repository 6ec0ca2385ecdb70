/* SHA-256 as 64 lower-case hexadecimal digits. */
#ifndef OS_HASH_H
#define OS_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum { SHA256_HEX_SIZE = 65 };

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_SIZE]);

/* The same of bytes that come in pieces. NULL: out of memory; then the thread's flag is set. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *sha256, const void *data, size_t len);
void sha256_end(struct sha256 *sha256, char hex[SHA256_HEX_SIZE]);
void sha256_free(struct sha256 *sha256);

/* Takes the same time wherever they differ. */
bool sha256_hex_equal(const char a[SHA256_HEX_SIZE], const char b[SHA256_HEX_SIZE]);

#endif
