/*
 * A buffer that grows up to a maximum, which its creator must choose.
 *
 * `data` is NUL-terminated after each append, so it can be read as a string; it is NULL if nothing
 * was appended. If an append would exceed `max`, or memory is out, `failed` is set, the content
 * stays, and every later append fails. So check once, at the end.
 */
#ifndef TEXT_BUF_H
#define TEXT_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len; /* without the NUL */
	size_t size;
	size_t max; /* the most that `len` may be */
	bool failed;
};

#define BUF_INIT(max_)                                                                             \
	{                                                                                          \
		.max = (max_)                                                                      \
	}

/* 0; -1: beyond `max`, or out of memory. */
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Removes the first `len` bytes. */
void buf_drop(struct buf *buf, size_t len);

/* Returns the string, the caller's to free: "" if empty, NULL if the buffer failed. */
char *buf_take(struct buf *buf);

/* Empties the buffer and frees its memory; `max` stays. */
void buf_free(struct buf *buf);

#endif
