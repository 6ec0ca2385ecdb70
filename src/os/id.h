/*
 * Ids: a prefix of the API and 24 random base-62 characters, "thread_" and "9aZ…". About 143 bits
 * from the kernel: nobody guesses one, and none comes twice.
 *
 * An id that was imported may have any form, "../../x" too. It is bound in SQL and written as JSON;
 * no id of a client's or an import's ever becomes a file's name, which are always of our own
 * making.
 */
#ifndef OS_ID_H
#define OS_ID_H

#include <stdbool.h>

enum { ID_SIZE = 48 }; /* of the longest, with its NUL */

/* Writes a fresh id. */
void id_new(char id[ID_SIZE], const char *prefix);

/*
 * The same for what is stored in great number: the first 7 characters are the time, in ms, and the
 * other 17 random, 101 bits. What is made together stands together in an index, and costs few
 * pages.
 */
void id_new_in_order(char id[ID_SIZE], const char *prefix);

/* Whether `id` is `prefix` and at least one character, all of them letters, digits, '_' or '-'. */
bool id_has_form(const char *id, const char *prefix);

#endif
