/*
 * The keys that may use /v1: a file with a line each, `NAME sha256:HEX`. The key itself stands
 * nowhere. NAME is the tenant: what one key makes, only keys of that name see.
 */
#ifndef V1_KEYS_H
#define V1_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/text.h"

enum { KEYS_TENANT_SIZE = 65, KEYS_KEY_SIZE = 64 };

struct keys;

/* `path` is borrowed. The file is read when it is asked for, and again when it has changed. */
struct keys *keys_new(const char *path);
void keys_free(struct keys *keys);

enum keys_answer {
	KEYS_KNOWN,
	KEYS_UNKNOWN,
	KEYS_NONE, /* there is no file, or no key in it */
};

/* Whose key it is. The time that takes tells nothing about the keys. */
enum keys_answer keys_find(struct keys *keys, const char *key, char tenant[KEYS_TENANT_SIZE]);

/* How many keys the file has; what is wrong with it is logged. */
size_t keys_count(struct keys *keys);

/* Whether a tenant can have this name. */
bool keys_is_name(const char *name);

/*
 * Makes a new key for `name` (letters, digits, '_', '-', '.'; at most 64), and appends its hash to
 * the file, which is made with mode 0600. -1 with a sentence in `error`.
 */
int keys_make(const char *path, const char *name, char key[KEYS_KEY_SIZE], char error[ERROR_SIZE]);

#endif
