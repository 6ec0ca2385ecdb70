/*
 * Text as it comes from outside: UTF-8, blanks, percent-encoding, bounded numbers.
 */
#ifndef TEXT_TEXT_H
#define TEXT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "text/buf.h"

/* Bytes of one sentence that tells what is wrong, with its NUL. */
enum { ERROR_SIZE = 1280 };

/* Bytes of the well-formed UTF-8 sequence (RFC 3629) that `at` begins with; 0 if it is none. */
size_t utf8_sequence_len(const unsigned char *at, size_t left);
bool utf8_valid(const char *text, size_t len);

/* Copies what fits into `size` bytes with its NUL; what is no UTF-8 becomes U+FFFD. */
void utf8_copy(char *out, size_t size, const char *text);

/* Characters (code points) of valid UTF-8. */
size_t utf8_chars(const char *text);

/* Nothing but white space, Unicode's too. */
bool text_is_blank(const char *text);

/*
 * Percent-decodes `len` bytes (RFC 3986, 2.1) once, as a NUL-terminated string that the caller
 * frees. NULL when a sequence is broken or decodes to NUL.
 */
char *percent_decode(const char *text, size_t len);

/* The place of `text` among `words`, which end with NULL; -1: it is none of them, or NULL. */
int word_find(const char *const *words, const char *text);

/* A decimal number without sign or blanks, from `min` to `max`: 0; anything else: -1. */
int parse_number(const char *text, long long min, long long max, long long *value);

/*
 * Appends `text`, in which everything but letters, digits and "-._~" is encoded (RFC 3986, 2.3).
 */
void percent_encode(struct buf *out, const char *text);

#endif
