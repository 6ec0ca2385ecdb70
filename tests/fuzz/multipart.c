/*
 * multipart/form-data: the same body as a whole, byte by byte, and cut as the input says, has the
 * same parts and the same end.
 *
 * Input: the number of cuts, and as many lengths of pieces; the Content-Type, up to a line break;
 * the body.
 */
#include "support.h"

#include "http/multipart.h"
#include "text/buf.h"
#include "text/text.h"

enum { CUTS_MAX = 8, HEARD_MAX = 16 << 20 };

struct source {
	const uint8_t *cuts;
	size_t cuts_len, rest;
	const char *bytes;
	size_t len;
};

static ssize_t
read_source(void *arg, void *bytes, size_t size)
{
	struct source *source = arg;
	size_t len = source->cuts_len ? *source->cuts + 1U : source->rest;

	if (source->cuts_len) {
		source->cuts++;
		source->cuts_len--;
	}
	len = len < size ? len : size;
	len = len < source->len ? len : source->len;
	memcpy(bytes, source->bytes, len);
	source->bytes += len;
	source->len -= len;
	return (ssize_t)len;
}

static void
read_part(struct multipart *multipart, const struct multipart_part *part, struct buf *heard)
{
	enum multipart_result result;
	const char *data;
	size_t len;

	CHECK(utf8_valid(part->name, strlen(part->name)));
	CHECK(!part->filename || utf8_valid(part->filename, strlen(part->filename)));
	buf_printf(heard, "%s|%s|", part->name, part->filename ? part->filename : "-");
	while ((result = multipart_data(multipart, &data, &len)) == MULTIPART_PART) {
		CHECK(len > 0);
		buf_append(heard, data, len);
	}
	CHECK(result == MULTIPART_END || multipart_problem(multipart));
}

/* All parts and the end, as bytes that can be compared. */
static void
hear(const char *type, struct source source, struct buf *heard)
{
	struct multipart_part part;
	enum multipart_result result;
	const char *problem;
	struct multipart *multipart = multipart_new(type, read_source, &source, &problem);

	if (!multipart) {
		CHECK(problem);
		return;
	}
	while ((result = multipart_next(multipart, &part)) == MULTIPART_PART)
		read_part(multipart, &part, heard);
	CHECK(result == MULTIPART_END || result == MULTIPART_BAD);
	buf_puts(heard, result == MULTIPART_BAD ? multipart_problem(multipart) : ".");
	multipart_free(multipart);
}

static void
check_same(const struct buf *a, const struct buf *b)
{
	CHECK(a->len == b->len);
	CHECK(a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(HEARD_MAX), single = BUF_INIT(HEARD_MAX),
		   cut = BUF_INIT(HEARD_MAX);
	struct source source = {0};
	size_t cuts_len, type_len;
	char *text, *body;

	if (size < 1 || size < 1 + (cuts_len = data[0] % CUTS_MAX))
		return 0;
	/* In memory of its own, so that reading past it is detected. */
	text = text_of(data + 1 + cuts_len, size - 1 - cuts_len);
	type_len = strcspn(text, "\n");
	body = text + type_len + (text[type_len] == '\n');
	text[type_len] = '\0';
	source.bytes = body;
	source.len = size - 1 - cuts_len - (size_t)(body - text);
	source.rest = source.len;
	hear(text, source, &whole);
	source.rest = 1;
	hear(text, source, &single);
	source.rest = source.len;
	source.cuts = data + 1;
	source.cuts_len = cuts_len;
	hear(text, source, &cut);
	check_same(&single, &whole);
	check_same(&cut, &whole);
	buf_free(&whole);
	buf_free(&single);
	buf_free(&cut);
	free(text);
	return 0;
}
