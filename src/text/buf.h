/*
 * A buffer that grows, up to a maximum that whoever makes it must choose.
 *
 * `data` is NUL-terminated after every call that appended, so it can be read as a string; it is
 * NULL while nothing was appended. Appending past `max`, or when memory is out, sets `failed`,
 * keeps what was there and makes every later append fail: check once, at the end.
 */
#ifndef TEXT_BUF_H
#define TEXT_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len; /* bytes, without the NUL */
	size_t size;
	size_t max; /* bytes that `len` never passes */
	bool failed;
};

#define BUF_INIT(max_)                                                                             \
	{                                                                                          \
		.max = (max_)                                                                      \
	}

/* 0, or -1 when `max` would be passed or memory is out. */
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forgets the first `len` bytes. */
void buf_drop(struct buf *buf, size_t len);

/* Gives the string to the caller, who frees it: "" when empty, NULL when the buffer had failed. */
char *buf_take(struct buf *buf);

/* Empties it and gives its memory back; `max` stays. */
void buf_free(struct buf *buf);

#endif
