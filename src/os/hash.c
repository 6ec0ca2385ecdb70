/*
 * OpenSSL 3 deprecates these functions in favour of EVP. EVP would start all of OpenSSL with its
 * configuration, 0.6 ms in each CGI process.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "os/hash.h"

#include <openssl/sha.h>

#include "text/memory.h"

struct sha256 {
	SHA256_CTX context;
};

struct sha256 *
sha256_new(void)
{
	struct sha256 *sha256 = malloc(sizeof *sha256);

	if (sha256)
		SHA256_Init(&sha256->context);
	else
		memory_fail();
	return sha256;
}

void
sha256_free(struct sha256 *sha256)
{
	free(sha256);
}

void
sha256_add(struct sha256 *sha256, const void *data, size_t len)
{
	SHA256_Update(&sha256->context, data, len);
}

void
sha256_end(struct sha256 *sha256, char hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256_Final(digest, &sha256->context);
	for (size_t i = 0; i < sizeof digest; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * sizeof digest] = '\0';
}

void
sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_SIZE])
{
	struct sha256 sha256;

	SHA256_Init(&sha256.context);
	sha256_add(&sha256, data, len);
	sha256_end(&sha256, hex);
}

bool
sha256_hex_equal(const char a[SHA256_HEX_SIZE], const char b[SHA256_HEX_SIZE])
{
	unsigned char difference = 0;

	for (int i = 0; i < SHA256_HEX_SIZE - 1; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}
