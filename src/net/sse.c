#include "net/sse.h"

void
sse_init(struct sse *sse, size_t data_max)
{
	*sse = (struct sse){.line = BUF_INIT(data_max), .data = BUF_INIT(data_max)};
}

void
sse_free(struct sse *sse)
{
	buf_free(&sse->line);
	buf_free(&sse->data);
}

static int
dispatch(struct sse *sse, sse_event_fn *fn, void *arg)
{
	int result = 0;

	/* Without data it is no event. */
	if (sse->has_data)
		result =
		    fn(arg, *sse->event ? sse->event : "message", sse->data.data, sse->data.len);
	buf_drop(&sse->data, sse->data.len);
	sse->event[0] = '\0';
	sse->has_data = false;
	return result;
}

static int
add_field(struct sse *sse, const char *line)
{
	size_t name_len = strcspn(line, ":");
	const char *value = line + name_len;

	if (*value == ':')
		value++;
	if (*value == ' ')
		value++;
	if (name_len == 4 && strncmp(line, "data", 4) == 0) {
		if (sse->has_data && buf_append(&sse->data, "\n", 1) < 0)
			return -1;
		sse->has_data = true;
		return buf_puts(&sse->data, value);
	}
	if (name_len == 5 && strncmp(line, "event", 5) == 0)
		snprintf(sse->event, sizeof sse->event, "%s", value);
	/* Comments (an empty name), id and retry are ignored. */
	return 0;
}

static int
end_line(struct sse *sse, sse_event_fn *fn, void *arg)
{
	const char *line = sse->line.len ? sse->line.data : "";
	int result;

	if (!sse->started && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	sse->started = true;
	result = *line ? add_field(sse, line) : dispatch(sse, fn, arg);
	buf_drop(&sse->line, sse->line.len);
	return result;
}

/* The end of the line that begins at `at`; `end`: not complete yet. */
static const char *
line_end(const char *at, const char *end)
{
	const char *lf = memchr(at, '\n', (size_t)(end - at));
	const char *cr = memchr(at, '\r', (size_t)((lf ? lf : end) - at));

	if (cr)
		return cr;
	return lf ? lf : end;
}

int
sse_feed(struct sse *sse, const char *bytes, size_t len, sse_event_fn *fn, void *arg)
{
	const char *end = bytes + len;

	while (bytes < end) {
		const char *at = bytes;
		int result;

		if (sse->after_cr && *at == '\n')
			at = ++bytes;
		sse->after_cr = false;
		at = line_end(at, end);
		if (buf_append(&sse->line, bytes, (size_t)(at - bytes)) < 0)
			return -1;
		if (at == end)
			return 0;
		sse->after_cr = *at == '\r';
		bytes = at + 1;
		result = end_line(sse, fn, arg);
		if (result != 0)
			return result;
	}
	return 0;
}
