/* Accept and Content-Type. */
#include "support.h"

#include "http/media.h"

enum { BOTH = MEDIA_TEXT | MEDIA_JSON, ALL = BOTH | MEDIA_FORM };

static void
test_accept(void **state)
{
	static const struct {
		const char *accept;
		unsigned offered;
		enum media chosen;
	} rows[] = {
	    {NULL, BOTH, MEDIA_TEXT},
	    {NULL, BOTH | MEDIA_EVENTS, MEDIA_TEXT},
	    {"*/*", BOTH | MEDIA_EVENTS, MEDIA_TEXT},
	    {"text/*", BOTH | MEDIA_EVENTS, MEDIA_TEXT},
	    {"text/event-stream", BOTH | MEDIA_EVENTS, MEDIA_EVENTS},
	    {"text/event-stream, */*;q=0.1", BOTH | MEDIA_EVENTS, MEDIA_EVENTS},
	    {"text/event-stream", BOTH, MEDIA_NONE},
	    {NULL, MEDIA_JSON, MEDIA_JSON},
	    {"", BOTH, MEDIA_TEXT},
	    {" \t", BOTH, MEDIA_TEXT},
	    {"*/*", BOTH, MEDIA_TEXT},
	    {"*/*", MEDIA_JSON, MEDIA_JSON},
	    {"*/*", 0, MEDIA_NONE},
	    {"text/plain", BOTH, MEDIA_TEXT},
	    {"application/json", BOTH, MEDIA_JSON},
	    {"APPLICATION/JSON", BOTH, MEDIA_JSON},
	    {"text/plain", MEDIA_JSON, MEDIA_NONE},
	    {"application/json", MEDIA_TEXT, MEDIA_NONE},
	    {"text/html", BOTH, MEDIA_NONE},
	    {"image/*", BOTH, MEDIA_NONE},
	    {"text/*", BOTH, MEDIA_TEXT},
	    {"application/*", BOTH, MEDIA_JSON},
	    {"application/*", ALL, MEDIA_JSON},
	    {"*/json", BOTH, MEDIA_NONE},
	    {"text", BOTH, MEDIA_NONE},
	    {"text/plainer", BOTH, MEDIA_NONE},
	    {"text/plai", BOTH, MEDIA_NONE},
	    {"application/json-seq, application/jsonp", BOTH, MEDIA_NONE},
	    /* both liked equally: our order, not the client's */
	    {"application/json, text/plain", BOTH, MEDIA_TEXT},
	    {"application/json, */*", BOTH, MEDIA_TEXT},
	    /* q */
	    {"text/plain;q=0.5, application/json", BOTH, MEDIA_JSON},
	    {"text/plain;q=0.5, application/json;q=0.4", BOTH, MEDIA_TEXT},
	    {"text/plain;q=0.500, application/json;q=0.501", BOTH, MEDIA_JSON},
	    {"text/plain;q=0.1, application/json;q=0.09", BOTH, MEDIA_TEXT},
	    {"text/plain;q=0.9, application/json;q=1", BOTH, MEDIA_JSON},
	    {"text/plain;q=0.9, application/json;q=1.000", BOTH, MEDIA_JSON},
	    {"text/plain ; Q=0.1 , application/json ; q=0.2", BOTH, MEDIA_JSON},
	    {"text/plain;q=0, application/json;q=0.001", BOTH, MEDIA_JSON},
	    {"text/plain;q=0", BOTH, MEDIA_NONE},
	    {"text/plain;q=0.000, application/json;q=0.0", BOTH, MEDIA_NONE},
	    {"text/plain;q=0.", BOTH, MEDIA_NONE},
	    {"text/plain;charset=utf-8;q=0.3, application/json;q=0.4", BOTH, MEDIA_JSON},
	    {"text/plain;x=\"a,b;q=0\", application/json;q=0.5", BOTH, MEDIA_TEXT},
	    /* malformed values count as 1 */
	    {"text/plain;q=oops, application/json;q=0.9", BOTH, MEDIA_TEXT},
	    {"text/plain;q=, application/json;q=0.9", BOTH, MEDIA_TEXT},
	    {"text/plain;q=-1, application/json;q=0.9", BOTH, MEDIA_TEXT},
	    {"text/plain;q=1.5, application/json;q=1", BOTH, MEDIA_TEXT},
	    /* the more precise range counts, wherever it is */
	    {"*/*, text/plain;q=0.1", BOTH, MEDIA_JSON},
	    {"text/plain;q=0.1, */*", BOTH, MEDIA_JSON},
	    {"*/*;q=0.1, application/json", BOTH, MEDIA_JSON},
	    {"*/*, text/plain;q=0", MEDIA_TEXT, MEDIA_NONE},
	    {"text/*;q=0, */*", BOTH, MEDIA_JSON},
	    {"text/*;q=0, text/plain", BOTH, MEDIA_TEXT},
	    {"*/*;q=0, application/*;q=0.1", BOTH, MEDIA_JSON},
	    {"*/*;q=0", BOTH, MEDIA_NONE},
	    /* a browser's and curl's */
	    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", BOTH, MEDIA_TEXT},
	    {"application/json, text/plain, */*", BOTH, MEDIA_TEXT},
	    /* nonsense */
	    {",,,", BOTH, MEDIA_NONE},
	    {", application/json ,", BOTH, MEDIA_JSON},
	    {";q=1", BOTH, MEDIA_NONE},
	    {"/", BOTH, MEDIA_NONE},
	    {"text/plain;", BOTH, MEDIA_TEXT},
	    {"text/plain;;;", BOTH, MEDIA_TEXT},
	    {"text/plain;x=\"unclosed, application/json", BOTH, MEDIA_TEXT},
	    {" text / plain ", BOTH, MEDIA_TEXT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].accept ? rows[i].accept : "(none)",
		    media_negotiate(rows[i].accept, rows[i].offered), rows[i].chosen);
}

static void
test_content_type(void **state)
{
	static const struct {
		const char *type;
		enum media media;
	} rows[] = {
	    {NULL, MEDIA_TEXT},
	    {"", MEDIA_TEXT},
	    {"  ", MEDIA_TEXT},
	    {"text/plain", MEDIA_TEXT},
	    {"Text/Plain", MEDIA_TEXT},
	    {"application/json", MEDIA_JSON},
	    {"application/x-www-form-urlencoded", MEDIA_FORM},
	    {"text/plain; charset=utf-8", MEDIA_TEXT},
	    {"text/plain;charset=UTF-8", MEDIA_TEXT},
	    {"text/plain; charset=\"utf-8\"", MEDIA_TEXT},
	    {"text/plain ; Charset = Utf-8 ", MEDIA_TEXT},
	    {"text/plain; charset=us-ascii", MEDIA_TEXT},
	    {"application/json; charset=utf-8", MEDIA_JSON},
	    {"application/x-www-form-urlencoded; charset=UTF-8", MEDIA_FORM},
	    {"text/plain; format=flowed; charset=utf-8", MEDIA_TEXT},
	    {"text/plain; format=flowed", MEDIA_TEXT},
	    {"text/plain; x=\"; charset=latin1\"", MEDIA_TEXT},
	    {"text/plain;", MEDIA_TEXT},
	    {"text/plain; charset=iso-8859-1", MEDIA_NONE},
	    {"text/plain; format=flowed; charset=latin1", MEDIA_NONE},
	    {"text/plain; charset=utf-16", MEDIA_NONE},
	    {"text/plain; charset=", MEDIA_NONE},
	    {"text/plain; charset=\"", MEDIA_NONE},
	    {"text/plain; charset", MEDIA_NONE},
	    {"application/json; charset=windows-1252", MEDIA_NONE},
	    {"multipart/form-data; boundary=x", MEDIA_NONE},
	    {"text/html", MEDIA_NONE},
	    {"text/*", MEDIA_NONE},
	    {"*/*", MEDIA_NONE},
	    {"text", MEDIA_NONE},
	    {"text/plainer", MEDIA_NONE},
	    {"application/problem+json", MEDIA_NONE},
	    {"text/plain, application/json", MEDIA_NONE},
	    {";charset=utf-8", MEDIA_NONE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_int(rows[i].type ? rows[i].type : "(none)", media_of_body(rows[i].type),
		    rows[i].media);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accept),
	    cmocka_unit_test(test_content_type),
	};

	return cmocka_run_group_tests_name("media", tests, NULL, NULL);
}
