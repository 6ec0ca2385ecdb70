/* multipart/form-data: parts and their names, whatever the pieces in which the body comes. */
#include "support.h"

#include "http/multipart.h"
#include "text/buf.h"

#define TYPE "multipart/form-data; boundary=b"
#define FILE_HEAD "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
#define PURPOSE                                                                                    \
	"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b--\r\n"

/* A body that comes in pieces of `piece` bytes, and then ends, or fails. */
struct source {
	const char *body;
	size_t len, piece;
	bool fails;
};

static ssize_t
read_source(void *arg, void *bytes, size_t size)
{
	struct source *source = arg;
	size_t len = source->piece < size ? source->piece : size;

	if (len > source->len)
		len = source->len;
	if (len == 0 && source->fails)
		return -1;
	memcpy(bytes, source->body, len);
	source->body += len;
	source->len -= len;
	return (ssize_t)len;
}

/* The parts as text: "name(file name)=data;", and how it ended. */
static char *
parts_of(const char *type, struct source source)
{
	struct buf out = BUF_INIT(1 << 20);
	struct multipart_part part;
	enum multipart_result result;
	const char *problem, *data;
	struct multipart *multipart = multipart_new(type, read_source, &source, &problem);
	size_t len;

	if (!multipart) {
		assert_non_null(problem);
		buf_puts(&out, problem);
		return buf_take(&out);
	}
	while ((result = multipart_next(multipart, &part)) == MULTIPART_PART) {
		buf_puts(&out, part.name);
		if (part.filename)
			buf_printf(&out, "(%s)", part.filename);
		buf_puts(&out, "=");
		while ((result = multipart_data(multipart, &data, &len)) == MULTIPART_PART) {
			assert_true(len > 0);
			buf_append(&out, data, len);
		}
		if (result != MULTIPART_END)
			break;
		buf_puts(&out, ";");
	}
	if (result == MULTIPART_BAD)
		buf_puts(&out, multipart_problem(multipart));
	if (result == MULTIPART_FAILED)
		buf_puts(&out, "failed");
	multipart_free(multipart);
	return buf_take(&out);
}

static void
check_parts(const char *type, const char *body, const char *parts)
{
	for (size_t piece = 1; piece <= 200; piece++) {
		char *got = parts_of(
		    type, (struct source){.body = body, .len = strlen(body), .piece = piece});

		if (strcmp(got, parts) != 0)
			fail_msg("in pieces of %zu: %s\ngot %s\nnot %s", piece, body, got, parts);
		free(got);
	}
}

static void
test_parts(void **state)
{
	static const struct {
		const char *body, *parts;
	} rows[] = {
	    {FILE_HEAD "one\r\ntwo\r\n" PURPOSE, "file(a.txt)=one\r\ntwo;purpose=assistants;"},
	    {FILE_HEAD "\r\n" PURPOSE, "file(a.txt)=;purpose=assistants;"},
	    {"\r\n" FILE_HEAD "\r\n" PURPOSE, "file(a.txt)=;purpose=assistants;"},
	    {"a preamble\r\n" FILE_HEAD "x\r\n--b--and what follows", "file(a.txt)=x;"},
	    {"--b--", ""},
	    /* blanks after a boundary */
	    {"--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b  \r\n"
	     "content-disposition:form-data;NAME=\"c\"\r\n\r\ny\r\n--b--",
		"a=x;c=y;"},
	    /* what only looks like a boundary is data */
	    {FILE_HEAD "--b\r\n--bc\r\n--b-\r\n\r\n --b\r\n--\r\n\r\r\n--b--",
		"file(a.txt)=--b\r\n--bc\r\n--b-\r\n\r\n --b\r\n--\r\n\r;"},
	    /* other headers are ignored */
	    {"--b\r\nContent-Type: a/b; name=z\r\nContent-Disposition: form-data; "
	     "name=a\r\nX:\r\n\r\n"
	     "x\r\n--b--",
		"a=x;"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_parts(TYPE, rows[i].body, rows[i].parts);
}

static void
test_file_names(void **state)
{
	static const struct {
		const char *sent, *filename;
	} rows[] = {
	    {"filename=\"a b;c=d.txt\"", "a b;c=d.txt"},
	    {"filename=plain.txt", "plain.txt"},
	    {"filename=\"\"", ""},
	    {"filename=\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80.txt\"",
		"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80.txt"},
	    /* the ways to send a quote, a backslash, a line break */
	    {"filename=\"a%22b\"", "a\"b"},
	    {"filename=\"a\\\"b;\\\\c\"", "a\"b;\\c"},
	    {"filename=\"a\\b\"", "a\\b"},
	    {"filename=\"a%0d%0Ab\"", "a\r\nb"},
	    {"filename=\"100%25%2\"", "100%25%2"},
	    /* RFC 8187's form counts, if it can be read */
	    {"filename=\"a\"; filename*=UTF-8''%C3%BC%22", "\xc3\xbc\""},
	    {"filename*=utf-8'en'b; filename=\"a\"", "b"},
	    {"filename=\"a\"; filename*=UTF-8''%4", "a"},
	    {"filename=\"a\"; filename*=latin1''b", "a"},
	    {"filename=\"../../etc/passwd\"", "../../etc/passwd"},
	};
	char body[512], parts[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(body, sizeof body,
		    "--b\r\nContent-Disposition: form-data; name=\"file\"; %s\r\n\r\nx\r\n--b--",
		    rows[i].sent);
		snprintf(parts, sizeof parts, "file(%s)=x;", rows[i].filename);
		check_parts(TYPE, body, parts);
	}
}

static void
test_boundaries(void **state)
{
	static const char seventy[] =
	    "0123456789012345678901234567890123456789012345678901234567890123456789";
	static const char needed[] = "The Content-Type needs a boundary of 1 to 70 characters.";
	static const char form[] = "The Content-Type must be multipart/form-data.";
	static const struct {
		const char *type, *parts;
	} rows[] = {
	    {"Multipart/Form-Data;charset=utf-8; Boundary=\"b\"", "a=x;"},
	    {"multipart/form-data", needed},
	    {"multipart/form-data; boundary=", needed},
	    {"multipart/form-data; boundary=\"\"", needed},
	    {"multipart/mixed; boundary=b", form},
	    {"application/json", form},
	    {"", form},
	    {NULL, form},
	};
	static const char body[] =
	    "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--";
	char type[256], text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_parts(rows[i].type, body, rows[i].parts);
	snprintf(type, sizeof type, "multipart/form-data; boundary=%s", seventy);
	/* It appears in the data, too. */
	snprintf(text, sizeof text,
	    "--%s\r\nContent-Disposition: form-data; name=a\r\n\r\n%s\r\n--%.69s\r\n-- "
	    "%s\r\n--%s--",
	    seventy, seventy, seventy, seventy, seventy);
	check_parts(type, text,
	    "a=0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	    "--012345678901234567890123456789012345678901234567890123456789012345678\r\n"
	    "-- 0123456789012345678901234567890123456789012345678901234567890123456789;");
	snprintf(type, sizeof type, "multipart/form-data; boundary=%s0", seventy);
	check_parts(type, body, needed);
}

static void
test_damage(void **state)
{
	static const char early[] = "The multipart body ends before its last boundary.";
	static const struct {
		const char *body, *end;
	} rows[] = {
	    {"", early},
	    {"\r\n", early},
	    {"{\"purpose\": \"assistants\"}", early},
	    {"--b", early},
	    {"--b\r\n", early},
	    {"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n", "a=%s"},
	    {"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b", "a=x\r\n--b%s"},
	    {"--b\r\n\r\nx\r\n--b--", "A part has no name in its Content-Disposition."},
	    {"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
		"A part has no name in its Content-Disposition."},
	    {"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--",
		"A part's Content-Disposition must be form-data."},
	    {"--b\r\nno header\r\n\r\nx\r\n--b--", "A header of a part has no colon."},
	    {"--b\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\nx\r\n--b--",
		"The name of a part or file is not UTF-8."},
	    {"--b\r\nContent-Disposition: form-data; name=a; filename=\"\xc3\"\r\n\r\nx\r\n--b--",
		"The name of a part or file is not UTF-8."},
	};
	char end[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *mark = strstr(rows[i].end, "%s");

		snprintf(end, sizeof end, "%.*s%s",
		    mark ? (int)(mark - rows[i].end) : (int)strlen(rows[i].end), rows[i].end,
		    mark ? early : "");
		check_parts(TYPE, rows[i].body, end);
	}
}

static void
test_bounds(void **state)
{
	static const char part[] = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
	struct buf body = BUF_INIT(1 << 20), parts = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < MULTIPART_PARTS_MAX; i++) {
		buf_puts(&body, part);
		buf_puts(&parts, "a=x;");
	}
	buf_puts(&body, "--b--");
	check_parts(TYPE, body.data, parts.data);
	buf_free(&body);
	for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
		buf_puts(&body, part);
	buf_puts(&parts, "The multipart body has more than 64 parts.");
	check_parts(TYPE, body.data, parts.data);
	buf_free(&parts);

	/* Headers of 8 KiB, and of one byte more. */
	for (int more = 0; more <= 1; more++) {
		static const char head[] = "Content-Disposition: form-data; name=a\r\nX: ";

		buf_free(&body);
		buf_printf(&body, "--b\r\n%s%0*d\r\n\r\nx\r\n--b--", head,
		    (int)(MULTIPART_HEAD_MAX - (sizeof head - 1) - 2) + more, 0);
		check_parts(TYPE, body.data,
		    more ? "The headers of a part are longer than 8 KiB." : "a=x;");
	}
	buf_free(&body);
}

/* A failure of the source is no damage of the body. */
static void
test_source_fails(void **state)
{
	static const char body[] = FILE_HEAD "one";
	char *parts = parts_of(
	    TYPE, (struct source){.body = body, .len = sizeof body - 1, .piece = 7, .fails = true});

	(void)state;
	assert_string_equal(parts, "file(a.txt)=failed");
	free(parts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_file_names),
	    cmocka_unit_test(test_boundaries),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_source_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
