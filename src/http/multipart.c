#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/header.h"
#include "text/memory.h"
#include "text/text.h"

enum {
	BUFFER_SIZE = 64 << 10,
	/* Blanks between a boundary and the end of its line (RFC 2046, 5.1.1). */
	PADDING_MAX = 64,
	DELIMITER_SIZE = sizeof "\r\n--" + MULTIPART_BOUNDARY_MAX
};

static const char ends_early[] = "The multipart body ends before its last boundary.";

struct multipart {
	multipart_read_fn *read;
	void *arg;
	char delimiter[DELIMITER_SIZE]; /* a line break, two hyphens, the boundary */
	size_t delimiter_len;
	/* What was read of the body and not used yet: buffer[at] to buffer[len]. */
	char buffer[BUFFER_SIZE];
	size_t at, len;
	bool read_up; /* the body has no more */
	bool in_part; /* at its data */
	bool is_over; /* behind the last boundary */
	unsigned parts;
	char head[MULTIPART_HEAD_MAX + 1];
	char *name, *filename;
	const char *problem;
};

/* --- the boundary --- */

static const char *
take_boundary(struct multipart *multipart, const char *content_type)
{
	struct header_span rest = header_of(content_type), boundary = {NULL, 0};

	if (!header_is(header_next(&rest, ';'), "multipart/form-data"))
		return "The Content-Type must be multipart/form-data.";
	while (rest.len > 0) {
		struct header_span value = header_next(&rest, ';');
		struct header_span name = header_next(&value, '=');

		if (header_is(name, "boundary"))
			boundary = header_unquote(value);
	}
	if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_MAX)
		return "The Content-Type needs a boundary of 1 to 70 characters.";
	memcpy(multipart->delimiter, "\r\n--", 4);
	memcpy(multipart->delimiter + 4, boundary.at, boundary.len);
	multipart->delimiter_len = 4 + boundary.len;
	return NULL;
}

struct multipart *
multipart_new(const char *content_type, multipart_read_fn *read, void *arg, const char **problem)
{
	struct multipart *multipart = malloc(sizeof *multipart);

	*problem = NULL;
	if (!multipart)
		return NULL;
	memset(multipart, 0, offsetof(struct multipart, buffer));
	memset((char *)multipart + offsetof(struct multipart, at), 0,
	    sizeof *multipart - offsetof(struct multipart, at));
	multipart->read = read;
	multipart->arg = arg;
	/* The first boundary has no line before it: so there is a line break for it. */
	memcpy(multipart->buffer, "\r\n", 2);
	multipart->len = 2;
	*problem = take_boundary(multipart, content_type);
	if (!*problem)
		return multipart;
	free(multipart);
	return NULL;
}

void
multipart_free(struct multipart *multipart)
{
	if (!multipart)
		return;
	free(multipart->name);
	free(multipart->filename);
	free(multipart);
}

const char *
multipart_problem(const struct multipart *multipart)
{
	return multipart->problem;
}

static enum multipart_result
bad(struct multipart *multipart, const char *problem)
{
	multipart->problem = problem;
	return MULTIPART_BAD;
}

/* --- reading --- */

/* Reads more into the buffer. MULTIPART_PART: there is more, or the body's end was seen. */
static enum multipart_result
fill(struct multipart *multipart)
{
	ssize_t got;

	memmove(
	    multipart->buffer, multipart->buffer + multipart->at, multipart->len - multipart->at);
	multipart->len -= multipart->at;
	multipart->at = 0;
	got = multipart->read(
	    multipart->arg, multipart->buffer + multipart->len, BUFFER_SIZE - multipart->len);
	if (got < 0)
		return MULTIPART_FAILED;
	multipart->len += (size_t)got;
	multipart->read_up = got == 0;
	return MULTIPART_PART;
}

enum delimiter {
	DELIMITER_NONE,    /* these bytes are data */
	DELIMITER_UNKNOWN, /* the bytes that decide it are not there yet */
	DELIMITER_NEXT,    /* a part follows */
	DELIMITER_LAST,
};

/*
 * What a line that begins with the boundary is, by what follows the boundary: `rest`. A longer word
 * that only begins with it is data. *line_len: up to the line break, which belongs to the headers.
 */
static enum delimiter
delimiter_of(const char *rest, size_t len, bool read_up, size_t *line_len)
{
	size_t blanks = 0;

	*line_len = 0;
	if (len >= 2 && rest[0] == '-' && rest[1] == '-')
		return DELIMITER_LAST;
	if (len == 1 && rest[0] == '-')
		return read_up ? DELIMITER_NONE : DELIMITER_UNKNOWN;
	while (
	    blanks < len && blanks < PADDING_MAX && (rest[blanks] == ' ' || rest[blanks] == '\t'))
		blanks++;
	*line_len = blanks;
	if (blanks + 2 <= len)
		return rest[blanks] == '\r' && rest[blanks + 1] == '\n' ? DELIMITER_NEXT
									: DELIMITER_NONE;
	if (blanks < len && rest[blanks] != '\r')
		return DELIMITER_NONE;
	return read_up ? DELIMITER_NONE : DELIMITER_UNKNOWN;
}

/*
 * Finds the next boundary. *data_len: so many bytes before it are data for certain. *end: where the
 * boundary's line ends.
 */
static enum delimiter
find_delimiter(const struct multipart *multipart, size_t *data_len, size_t *end)
{
	const char *from = multipart->buffer + multipart->at;
	size_t len = multipart->len - multipart->at, size = multipart->delimiter_len, line_len;
	const char *at = from;

	while ((at = memmem(at, len - (size_t)(at - from), multipart->delimiter, size))) {
		const char *rest = at + size;
		enum delimiter found =
		    delimiter_of(rest, len - (size_t)(rest - from), multipart->read_up, &line_len);

		*data_len = (size_t)(at - from);
		*end = *data_len + size + line_len;
		if (found != DELIMITER_NONE)
			return found;
		at += 2;
	}
	/* Its beginning may be the last bytes. */
	*data_len = multipart->read_up ? len : len < size ? 0 : len - size + 1;
	return DELIMITER_NONE;
}

enum multipart_result
multipart_data(struct multipart *multipart, const char **data, size_t *len)
{
	enum multipart_result filled;
	enum delimiter found;
	size_t end = 0;

	for (;;) {
		if (!multipart->in_part)
			return MULTIPART_END;
		found = find_delimiter(multipart, len, &end);
		if (*len > 0) {
			*data = multipart->buffer + multipart->at;
			multipart->at += *len;
			return MULTIPART_PART;
		}
		if (found == DELIMITER_NEXT || found == DELIMITER_LAST) {
			multipart->at += end;
			multipart->in_part = false;
			multipart->is_over = found == DELIMITER_LAST;
			continue;
		}
		if (multipart->read_up)
			return bad(multipart, ends_early);
		filled = fill(multipart);
		if (filled != MULTIPART_PART)
			return filled;
	}
}

/* --- a part's headers --- */

/*
 * The text of a quoted string. Browsers, curl and most packages write a quote and line breaks as
 * %22, %0D and %0A (HTML, "multipart form data"), others escape by a backslash, which yet others
 * send as it is. NULL: out of memory.
 */
static char *
unescape(struct header_span span)
{
	char *text = malloc(span.len + 1), *out = text;

	for (size_t i = 0; text && i < span.len; i++) {
		const char *at = span.at + i;
		size_t left = span.len - i;

		if (left >= 2 && *at == '\\' && (at[1] == '"' || at[1] == '\\')) {
			*out++ = at[1];
			i++;
		} else if (left >= 3 && strncmp(at, "%22", 3) == 0) {
			*out++ = '"';
			i += 2;
		} else if (left >= 3 && strncasecmp(at, "%0D", 3) == 0) {
			*out++ = '\r';
			i += 2;
		} else if (left >= 3 && strncasecmp(at, "%0A", 3) == 0) {
			*out++ = '\n';
			i += 2;
		} else {
			*out++ = *at;
		}
	}
	if (text)
		*out = '\0';
	else
		memory_fail();
	return text;
}

/* The text of filename*=UTF-8''… (RFC 8187). NULL: it is not of this form, or memory is out. */
static char *
decode_extended(struct header_span span)
{
	struct header_span rest = span, charset = header_next(&rest, '\'');

	if (!header_is(charset, "utf-8"))
		return NULL;
	header_next(&rest, '\''); /* the language */
	return percent_decode(rest.at, rest.len);
}

static void
replace(char **text, char *by)
{
	free(*text);
	*text = by;
}

static const char *
read_disposition(struct multipart *multipart, const char *value)
{
	struct header_span rest = header_of(value);
	char *extended = NULL;

	if (!header_is(header_next(&rest, ';'), "form-data"))
		return "A part's Content-Disposition must be form-data.";
	while (rest.len > 0) {
		struct header_span text = header_next(&rest, ';');
		struct header_span name = header_next(&text, '=');

		if (header_is(name, "name"))
			replace(&multipart->name, unescape(header_unquote(text)));
		else if (header_is(name, "filename"))
			replace(&multipart->filename, unescape(header_unquote(text)));
		else if (header_is(name, "filename*"))
			replace(&extended, decode_extended(text));
	}
	if (extended)
		replace(&multipart->filename, extended);
	return NULL;
}

/* Reads the head's lines. Only Content-Disposition counts. */
static const char *
read_headers(struct multipart *multipart)
{
	static const char disposition[] = "Content-Disposition";
	const char *problem = NULL;
	char *line = multipart->head, *next;

	for (; *line && !problem; line = next) {
		char *colon = strchr(line, ':'), *line_end = strstr(line, "\r\n");

		next = line_end ? line_end + 2 : line + strlen(line);
		if (line_end)
			*line_end = '\0';
		if (!colon || colon > next)
			return "A header of a part has no colon.";
		*colon = '\0';
		if (strcasecmp(line, disposition) == 0)
			problem = read_disposition(multipart, colon + 1);
	}
	if (problem)
		return problem;
	if (!multipart->name)
		return "A part has no name in its Content-Disposition.";
	if (!utf8_valid(multipart->name, strlen(multipart->name)) ||
	    (multipart->filename && !utf8_valid(multipart->filename, strlen(multipart->filename))))
		return "The name of a part or file is not UTF-8.";
	return NULL;
}

/*
 * Reads up to the empty line after the headers. The line break of the boundary's line is still
 * there, so that an empty head ends like any other.
 */
static enum multipart_result
read_head(struct multipart *multipart)
{
	enum multipart_result filled;
	const char *at, *end;
	size_t len;

	for (;;) {
		at = multipart->buffer + multipart->at;
		len = multipart->len - multipart->at;
		end = memmem(at, len, "\r\n\r\n", 4);
		if (end || len > MULTIPART_HEAD_MAX + 4)
			break;
		if (multipart->read_up)
			return bad(multipart, ends_early);
		filled = fill(multipart);
		if (filled != MULTIPART_PART)
			return filled;
	}
	if (!end || end - at > MULTIPART_HEAD_MAX)
		return bad(multipart, "The headers of a part are longer than 8 KiB.");
	len = end == at ? 0 : (size_t)(end - at) - 2;
	memcpy(multipart->head, at + 2, len);
	multipart->head[len] = '\0';
	if (strlen(multipart->head) != len)
		return bad(multipart, "The headers of a part have a NUL character.");
	multipart->at += (size_t)(end - at) + 4;
	return MULTIPART_PART;
}

static enum multipart_result
skip_data(struct multipart *multipart)
{
	enum multipart_result result;
	const char *data;
	size_t len;

	do
		result = multipart_data(multipart, &data, &len);
	while (result == MULTIPART_PART);
	return result;
}

enum multipart_result
multipart_next(struct multipart *multipart, struct multipart_part *part)
{
	enum multipart_result result;
	const char *problem;

	/* What comes before the first boundary is skipped, too. */
	multipart->in_part = multipart->in_part || multipart->parts == 0;
	result = skip_data(multipart);
	if (result != MULTIPART_END)
		return result;
	if (multipart->is_over)
		return MULTIPART_END;
	if (multipart->parts++ == MULTIPART_PARTS_MAX)
		return bad(multipart, "The multipart body has more than 64 parts.");
	replace(&multipart->name, NULL);
	replace(&multipart->filename, NULL);
	result = read_head(multipart);
	if (result != MULTIPART_PART)
		return result;
	problem = read_headers(multipart);
	if (problem)
		return bad(multipart, problem);
	multipart->in_part = true;
	*part = (struct multipart_part){multipart->name, multipart->filename};
	return MULTIPART_PART;
}
