/* Bodies sent in pieces, whole, or broken off. */
#include "support.h"

#include "http/response.h"

enum { PIECE = 100 << 10 };

static unsigned broken;

static void
break_off(struct exchange *exchange)
{
	(void)exchange;
	broken++;
}

static const struct row {
	const char *name;
	unsigned pieces; /* of PIECE bytes each */
	bool breakable;
	bool head;   /* the request is a HEAD */
	bool deaf;   /* the server takes nothing */
	bool breaks; /* it is broken off */
	/* The expected result. */
	bool in_pieces; /* the head was sent before the end, without a length */
	bool another;   /* another answer can still be sent */
	unsigned broken;
	size_t sent;
} rows[] = {
    {"none", 0, true, .sent = 0},
    {"a short one", 1, true, .sent = PIECE},
    {"a long one", 5, true, .in_pieces = true, .sent = 5 * PIECE},
    {"a long one that cannot be broken off", 5, false, .sent = 5 * PIECE},
    {"a short one without an end", 1, true, .breaks = true, .another = true},
    {"a long one without an end", 5, true, .breaks = true, .in_pieces = true, .broken = 1,
	.sent = 4 * PIECE},
    {"the same where it cannot be broken off", 5, false, .breaks = true, .another = true},
    {"a HEAD of a short one", 1, true, .head = true},
    {"a HEAD of a long one", 5, true, .head = true, .in_pieces = true},
    {"nobody takes it", 5, true, .deaf = true},
};

static void
check_row(const struct row *row, const char *piece)
{
	struct response response;
	struct fake fake;
	const char *body;

	broken = 0;
	fake_init(&fake, NULL, NULL);
	fake.answer.max = SIZE_MAX / 2;
	fake.deaf = row->deaf;
	fake.exchange.break_off = row->breakable ? break_off : NULL;
	response_init(&response, MEDIA_TEXT);
	response.head = row->head;
	response_text(&response, 200, "");
	for (unsigned i = 0; i < row->pieces; i++) {
		response_add(&response, piece, PIECE);
		response_flush(&response, &fake.exchange);
	}
	if (row->breaks)
		check_int(row->name, response_break_off(&response, &fake.exchange), row->another);
	else
		response_end(&response, &fake.exchange);
	if (!response.begun && !row->breaks)
		response_send(&response, &fake.exchange);
	check_int(row->name, broken, row->broken);
	check_int(row->name, response.lost, row->deaf || row->broken);
	if (row->deaf || row->another) {
		check_int(row->name, fake.answer.len, 0);
	} else {
		check_int(
		    row->name, !strstr(fake.answer.data, "\r\nContent-Length: "), row->in_pieces);
		body = strstr(fake.answer.data, "\r\n\r\n") + 4;
		check_int(row->name, (long long)strlen(body), (long long)row->sent);
	}
	response_free(&response);
	fake_free(&fake);
}

static void
it_is_sent_in_pieces_or_whole(void **state)
{
	char *piece = malloc(PIECE);

	(void)state;
	assert_non_null(piece);
	memset(piece, 'x', PIECE);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(&rows[i], piece);
	free(piece);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_sent_in_pieces_or_whole)};

	return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
