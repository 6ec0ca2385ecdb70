/*
 * OpenSSL 3 deprecates these functions in favour of EVP. EVP would start all of OpenSSL with its
 * configuration, 0.6 ms in each CGI process.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "os/hash.h"

#include <openssl/sha.h>

void
sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX context;

	SHA256_Init(&context);
	SHA256_Update(&context, data, len);
	SHA256_Final(digest, &context);
	for (size_t i = 0; i < sizeof digest; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * sizeof digest] = '\0';
}

bool
sha256_hex_equal(const char a[SHA256_HEX_SIZE], const char b[SHA256_HEX_SIZE])
{
	unsigned char difference = 0;

	for (int i = 0; i < SHA256_HEX_SIZE - 1; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}
