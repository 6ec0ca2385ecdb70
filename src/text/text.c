#include "text/text.h"

#include <errno.h>
#include <stdint.h>

size_t
utf8_sequence_len(const unsigned char *at, size_t left)
{
	unsigned min_second = 0x80, max_second = 0xbf;
	size_t len;

	if (left == 0)
		return 0;
	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;
	/* RFC 3629, 4: no overlong forms, no surrogates, nothing past U+10FFFF. */
	if (at[0] == 0xe0)
		min_second = 0xa0;
	else if (at[0] == 0xed)
		max_second = 0x9f;
	else if (at[0] == 0xf0)
		min_second = 0x90;
	else if (at[0] == 0xf4)
		max_second = 0x8f;
	if (at[1] < min_second || at[1] > max_second)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
utf8_valid(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t sequence;

	for (; len > 0; at += sequence, len -= sequence) {
		uint64_t eight = UINT64_MAX;

		/* Most text is ASCII, so eight bytes are checked at a time. */
		if (len >= sizeof eight)
			memcpy(&eight, at, sizeof eight);
		sequence = eight & 0x8080808080808080 ? utf8_sequence_len(at, len) : sizeof eight;
		if (sequence == 0)
			return false;
	}
	return true;
}

void
utf8_copy(char *out, size_t size, const char *text)
{
	size_t used = 0, left = strlen(text);

	while (left > 0) {
		size_t len = utf8_sequence_len((const unsigned char *)text, left);
		const char *from = len > 0 ? text : "\xef\xbf\xbd";
		size_t from_len = len > 0 ? len : 3;

		if (used + from_len >= size)
			break;
		memcpy(out + used, from, from_len);
		used += from_len;
		text += len > 0 ? len : 1;
		left -= len > 0 ? len : 1;
	}
	out[used] = '\0';
}

size_t
utf8_chars(const char *text)
{
	size_t chars = 0;

	for (; *text; text++)
		if ((*text & 0xc0) != 0x80)
			chars++;
	return chars;
}

/*
 * The length of the white space at `at`, 0: none. ASCII's, Unicode's White_Space property, U+200B
 * and U+FEFF.
 */
static size_t
blank_len(const char *at)
{
	static const char *const blanks[] = {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8",
	    "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf"};

	if (strchr(" \t\n\v\f\r", *at))
		return 1;
	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
		if (strncmp(at, blanks[i], strlen(blanks[i])) == 0)
			return strlen(blanks[i]);
	/* U+2000 to U+200B */
	if (strncmp(at, "\xe2\x80", 2) == 0 && (unsigned char)at[2] >= 0x80 &&
	    (unsigned char)at[2] <= 0x8b)
		return 3;
	return 0;
}

bool
text_is_blank(const char *text)
{
	while (*text) {
		size_t len = blank_len(text);

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *
percent_decode(const char *text, size_t len)
{
	char *out = malloc(len + 1);
	size_t used = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0)) {
				free(out);
				return NULL;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		out[used++] = c;
	}
	out[used] = '\0';
	return out;
}

int
word_find(const char *const *words, const char *text)
{
	for (int i = 0; text && words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return -1;
}

int
parse_number(const char *text, long long min, long long max, long long *value)
{
	char *end;
	long long number;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *end || number < min || number > max)
		return -1;
	*value = number;
	return 0;
}

void
percent_encode(struct buf *out, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++)
		buf_printf(out, strchr(plain, *text) ? "%c" : "%%%02X", (unsigned char)*text);
}
