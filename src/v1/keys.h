/*
 * The keys that may use /v1: a file with a line `NAME sha256:HEX` for each. The key itself is
 * stored nowhere. NAME is the tenant: keys of one name share their objects, and no other key
 * reaches them.
 */
#ifndef V1_KEYS_H
#define V1_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/text.h"

enum { KEYS_TENANT_SIZE = 65, KEYS_KEY_SIZE = 64 };

struct keys;

/* Borrows `path`. The file is read on first use, and again when it has changed. */
struct keys *keys_new(const char *path);
void keys_free(struct keys *keys);

enum keys_answer {
	KEYS_KNOWN,
	KEYS_UNKNOWN,
	KEYS_NONE, /* there is no file, or no key in it */
};

/* Finds the tenant of a key. The time that it takes reveals nothing about the keys. */
enum keys_answer keys_find(struct keys *keys, const char *key, char tenant[KEYS_TENANT_SIZE]);

/* How many keys the file has; logs what is wrong with it. */
size_t keys_count(struct keys *keys);

/* Whether this is a valid name. */
bool keys_is_name(const char *name);

/*
 * Makes a new key for `name` (letters, digits, '_', '-', '.'; at most 64), and appends its hash to
 * the file, which is made with mode 0600. -1 with a sentence in `error`.
 */
int keys_make(const char *path, const char *name, char key[KEYS_KEY_SIZE], char error[ERROR_SIZE]);

#endif
