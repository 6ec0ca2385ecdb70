/*
 * Server-sent events: the same bytes as a whole, one by one, and cut as the input says, give the
 * same events and the same end.
 *
 * Input: the longest line; which event ends the parsing, and how; the number of cuts, and as many
 * lengths of pieces; the stream.
 */
#include "support.h"

#include "net/sse.h"
#include "text/buf.h"

enum { HEADER_LEN = 3, CUTS_MAX = 8, DATA_MAX = 64, HEARD_MAX = 16 << 20 };

/* The result, as bytes that can be compared. */
struct hearing {
	struct buf heard;
	unsigned left; /* events until the one that ends it; 0: none */
	int end;
};

static int
on_event(void *arg, const char *event, const char *data, size_t len)
{
	struct hearing *hearing = arg;

	CHECK(strlen(data) == len);
	CHECK(*event && !event[strcspn(event, "\r\n")]);
	CHECK(!data[strcspn(data, "\r")]);
	buf_printf(&hearing->heard, "%s\n%zu %s\n", event, len, data);
	return hearing->left > 0 && --hearing->left == 0 ? hearing->end : 0;
}

/* Feeds it in pieces: the lengths in turn, then `rest` bytes each. */
static int
feed(const uint8_t *header, size_t cuts_len, size_t rest, const char *bytes, size_t len,
    struct hearing *hearing)
{
	struct sse sse;
	int result = 0;
	size_t at = 0;

	*hearing = (struct hearing){
	    .heard = BUF_INIT(HEARD_MAX), .left = header[1] % 8, .end = header[1] % 2 ? 1 : -1};
	sse_init(&sse, header[0] % DATA_MAX);
	for (size_t cut = 0; result == 0 && at < len; cut++) {
		size_t piece = cut < cuts_len ? header[HEADER_LEN + cut] : rest;
		char *copy;

		if (piece > len - at)
			piece = len - at;
		/* In memory of its own, so that reading past it is detected. */
		copy = text_of((const uint8_t *)bytes + at, piece);
		result = sse_feed(&sse, copy, piece, on_event, hearing);
		at += piece;
		free(copy);
	}
	sse_free(&sse);
	return result;
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
	struct hearing whole, single, cut;
	size_t cuts_len, len;
	const char *bytes;
	int result;

	if (size < HEADER_LEN || size < HEADER_LEN + (cuts_len = data[2] % CUTS_MAX))
		return 0;
	bytes = (const char *)data + HEADER_LEN + cuts_len;
	len = size - HEADER_LEN - cuts_len;
	result = feed(data, 0, len, bytes, len, &whole);
	CHECK(feed(data, 0, 1, bytes, len, &single) == result);
	CHECK(feed(data, cuts_len, len, bytes, len, &cut) == result);
	check_same(&single.heard, &whole.heard);
	check_same(&cut.heard, &whole.heard);
	buf_free(&whole.heard);
	buf_free(&single.heard);
	buf_free(&cut.heard);
	return 0;
}
