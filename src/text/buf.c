#include "text/buf.h"

#include <stdarg.h>

enum { BUF_SIZE_MIN = 256 };

static int
buf_reserve(struct buf *buf, size_t more)
{
	size_t size = buf->size ? buf->size : BUF_SIZE_MIN;
	char *data;

	if (buf->failed)
		return -1;
	if (more > buf->max || buf->len > buf->max - more)
		goto fail;
	while (size < buf->len + more + 1)
		size *= 2;
	if (size == buf->size)
		return 0;
	data = realloc(buf->data, size);
	if (!data)
		goto fail;
	buf->data = data;
	buf->size = size;
	return 0;
fail:
	buf->failed = true;
	return -1;
}

int
buf_append(struct buf *buf, const void *data, size_t len)
{
	if (buf_reserve(buf, len) < 0)
		return -1;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int
buf_puts(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len >= 0 && buf_reserve(buf, (size_t)len) == 0) {
		vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	} else {
		buf->failed = true;
	}
	va_end(again);
	return buf->failed ? -1 : 0;
}

void
buf_drop(struct buf *buf, size_t len)
{
	if (len >= buf->len) {
		buf->len = 0;
	} else {
		memmove(buf->data, buf->data + len, buf->len - len);
		buf->len -= len;
	}
	if (buf->data)
		buf->data[buf->len] = '\0';
}

char *
buf_take(struct buf *buf)
{
	char *data = NULL;

	if (!buf->failed && buf_append(buf, "", 0) == 0) {
		data = buf->data;
		buf->data = NULL;
	}
	buf_free(buf);
	return data;
}

void
buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT(buf->max);
}
