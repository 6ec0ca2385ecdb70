#include "os/id.h"

#include <errno.h>
#include <sys/random.h>

#include "os/clock.h"

enum { ID_RANDOM_LEN = 24, ID_TIME_LEN = 7, ID_LEN_MAX = 128 };

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void
random_bytes(unsigned char *bytes, size_t len)
{
	/*
	 * Below 256 bytes, getrandom() returns all of them. Before the pool is ready it waits,
	 * which EINTR ends.
	 */
	while (getrandom(bytes, len, 0) != (ssize_t)len)
		if (errno != EINTR)
			abort();
}

void
id_new(char id[ID_SIZE], const char *prefix)
{
	size_t used = strnlen(prefix, ID_SIZE - ID_RANDOM_LEN - 1);
	size_t end = used + ID_RANDOM_LEN;
	unsigned char bytes[64];

	memcpy(id, prefix, used);
	while (used < end) {
		random_bytes(bytes, sizeof bytes);
		/*
		 * 248 is the largest multiple of 62 in a byte. With larger bytes the first letters
		 * would come too often.
		 */
		for (size_t i = 0; i < sizeof bytes && used < end; i++)
			if (bytes[i] < 248)
				id[used++] = alphabet[bytes[i] % 62];
	}
	id[used] = '\0';
}

void
id_new_in_order(char id[ID_SIZE], const char *prefix)
{
	long long ms = clock_unix_ns() / 1000000;
	char *time = id + strlen(prefix);

	id_new(id, prefix);
	for (int i = ID_TIME_LEN; i > 0; i--, ms /= 62)
		time[i - 1] = alphabet[ms % 62];
}

bool
id_has_form(const char *id, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(id, prefix, len) != 0 || !id[len] || strlen(id) > ID_LEN_MAX)
		return false;
	return id[strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")] ==
	    '\0';
}
