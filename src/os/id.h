/*
 * Ids: a prefix of the API and 24 random base-62 characters, "thread_" and "9aZ…". With about 143
 * bits from the kernel they cannot be guessed, and never repeat.
 *
 * An imported id may have any form, even "../../x". It is bound in SQL and written as JSON. No id
 * of a client or an import ever becomes a file's name; these are always made here.
 */
#ifndef OS_ID_H
#define OS_ID_H

#include <stdbool.h>

enum { ID_SIZE = 48 }; /* of the longest id, with its NUL */

/* Writes a new id. */
void id_new(char id[ID_SIZE], const char *prefix);

/*
 * The same for objects stored in great numbers: the first 7 characters are the time in ms, the
 * other 17 are random, 101 bits. So objects made together are neighbours in an index, and touch few
 * of its pages.
 */
void id_new_in_order(char id[ID_SIZE], const char *prefix);

/* Whether `id` is `prefix` followed by one or more letters, digits, '_' or '-'. */
bool id_has_form(const char *id, const char *prefix);

#endif
