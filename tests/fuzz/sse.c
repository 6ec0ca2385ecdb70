/*
 * Server-sent events: the same bytes whole, one by one, and cut as the input says, give the same
 * events and the same end.
 *
 * Input: the greatest length of a line; which event ends the parsing, and how; the number of cuts,
 * as many lengths of pieces; the stream.
 */
#include "support.h"

#include "util/buf.h"
#include "util/sse.h"

enum { HEADER_LEN = 3, CUTS_MAX = 8, DATA_MAX = 64, HEARD_MAX = 16 << 20 };

/* What came out, as bytes that can be compared. */
struct listener {
	struct buf heard;
	unsigned left; /* events until the one that ends it; 0: none does */
	int end;
};

static int
on_event(void *arg, const char *event, const char *data, size_t len)
{
	struct listener *listener = arg;

	CHECK(strlen(data) == len);
	CHECK(*event && !event[strcspn(event, "\r\n")]);
	CHECK(!data[strcspn(data, "\r")]);
	buf_printf(&listener->heard, "%s\n%zu %s\n", event, len, data);
	return listener->left > 0 && --listener->left == 0 ? listener->end : 0;
}

/* The pieces' lengths in turn, the rest whole; `cuts_len` 0: one byte after the other. */
static int
feed(const uint8_t *header, const uint8_t *cuts, size_t cuts_len, const char *bytes, size_t len,
    struct listener *listener)
{
	struct sse sse;
	int result = 0;
	size_t at = 0;

	*listener = (struct listener){
	    .heard = BUF_INIT(HEARD_MAX), .left = header[1] % 8, .end = header[1] % 2 ? 1 : -1};
	sse_init(&sse, header[0] % DATA_MAX);
	for (size_t cut = 0; result == 0 && at < len; cut++) {
		size_t piece = cuts_len == 0 ? 1 : cut < cuts_len ? cuts[cut] : len;
		/* Of its own, so that nothing beyond it is read unseen. */
		char *copy =
		    text_of((const uint8_t *)bytes + at, piece < len - at ? piece : len - at);

		piece = piece < len - at ? piece : len - at;
		result = sse_feed(&sse, copy, piece, on_event, listener);
		at += piece;
		free(copy);
	}
	sse_free(&sse);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t whole[] = {255};
	struct listener first, other;
	const char *bytes;
	size_t cuts_len, len;
	int result;

	if (size < HEADER_LEN || size < HEADER_LEN + (cuts_len = data[2] % CUTS_MAX))
		return 0;
	bytes = (const char *)data + HEADER_LEN + cuts_len;
	len = size - HEADER_LEN - cuts_len;
	result = feed(data, data, 0, bytes, len, &first);
	for (int i = 0; i < 2; i++) {
		int now = i == 0 ? feed(data, whole, len > whole[0] ? 0 : 1, bytes, len, &other)
				 : feed(data, data + HEADER_LEN, cuts_len, bytes, len, &other);

		CHECK(now == result);
		CHECK(other.heard.len == first.heard.len);
		CHECK(first.heard.len == 0 ||
		    memcmp(other.heard.data, first.heard.data, first.heard.len) == 0);
		buf_free(&other.heard);
	}
	buf_free(&first.heard);
	return 0;
}
