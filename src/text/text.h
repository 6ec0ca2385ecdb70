/* Text from outside: UTF-8, white space, percent-encoding, bounded numbers. */
#ifndef TEXT_TEXT_H
#define TEXT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "text/buf.h"

/* For one sentence that says what is wrong, with its NUL. */
enum { ERROR_SIZE = 1280 };

/* The length of the well-formed UTF-8 sequence (RFC 3629) at `at`; 0: none. */
size_t utf8_sequence_len(const unsigned char *at, size_t left);
bool utf8_valid(const char *text, size_t len);

/* Copies what fits into `size` bytes with the NUL; invalid UTF-8 becomes U+FFFD. */
void utf8_copy(char *out, size_t size, const char *text);

/* The number of characters (code points) in valid UTF-8. */
size_t utf8_chars(const char *text);

/* Whether there is only white space, Unicode's included. */
bool text_is_blank(const char *text);

/*
 * Percent-decodes `len` bytes once (RFC 3986, 2.1) to a NUL-terminated string, the caller's to
 * free. NULL: a sequence is broken, or decodes to NUL.
 */
char *percent_decode(const char *text, size_t len);

/* The index of `text` in `words`, which end with NULL; -1: not found, or NULL. */
int word_find(const char *const *words, const char *text);

/* Parses a decimal number from `min` to `max`, without sign or blanks. 0; -1: anything else. */
int parse_number(const char *text, long long min, long long max, long long *value);

/* Appends `text`, with all but letters, digits and "-._~" percent-encoded (RFC 3986, 2.3). */
void percent_encode(struct buf *out, const char *text);

#endif
