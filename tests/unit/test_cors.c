/* Which pages may send requests, judging by what their browsers say. */
#include "support.h"

#include "http/cors.h"

#define HOST(host) "HTTP_HOST=" host
#define ORIGIN(origin) "HTTP_ORIGIN=" origin
#define SITE(site) "HTTP_SEC_FETCH_SITE=" site

static void
test_admits(void **state)
{
	static const struct {
		const char *origins; /* the setting */
		const char *variables[4];
		bool admitted;
	} rows[] = {
	    {NULL, {HOST("a.example")}, true},
	    {NULL, {HOST("a.example"), ORIGIN("")}, true},
	    /* the site's own */
	    {NULL, {HOST("a.example"), ORIGIN("https://a.example")}, true},
	    {NULL, {HOST("a.example"), ORIGIN("http://a.example")}, true},
	    {NULL, {HOST("A.example"), ORIGIN("http://a.EXAMPLE")}, true},
	    {NULL, {HOST("a.example:8080"), ORIGIN("http://a.example:8080")}, true},
	    {NULL, {HOST("a.example:80"), ORIGIN("http://a.example")}, true},
	    {NULL, {HOST("a.example:443"), ORIGIN("https://a.example")}, true},
	    {NULL, {HOST("[::1]:80"), ORIGIN("http://[::1]")}, true},
	    {NULL, {HOST("inside"), ORIGIN("https://a.example"), SITE("same-origin")}, true},
	    /* strangers */
	    {NULL, {HOST("a.example"), ORIGIN("https://b.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://a.example.b.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://b.example/a.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://sub.a.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://a.example:8443")}, false},
	    {NULL, {HOST("a.example:8080"), ORIGIN("http://a.example")}, false},
	    {NULL, {HOST("a.example:80"), ORIGIN("https://a.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("ftp://a.example")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("null")}, false},
	    {NULL, {HOST("null"), ORIGIN("null")}, false},
	    {NULL, {ORIGIN("https://a.example")}, false},
	    {NULL, {HOST(""), ORIGIN("https://")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://b.example"), SITE("same-site")}, false},
	    {NULL, {HOST("a.example"), ORIGIN("https://b.example"), SITE("none")}, false},
	    /* origins in the setting */
	    {"https://b.example", {HOST("a.example"), ORIGIN("https://b.example")}, true},
	    {"https://b.example", {HOST("a.example"), ORIGIN("http://b.example")}, false},
	    {"https://b.example", {HOST("a.example"), ORIGIN("https://b.example:444")}, false},
	    {"https://b.example", {HOST("a.example"), ORIGIN("https://a.example")}, true},
	    {"https://b.example, null", {HOST("a.example"), ORIGIN("null")}, true},
	    {"*", {HOST("a.example"), ORIGIN("https://any.example")}, true},
	    {"https://*.example", {HOST("a.example"), ORIGIN("https://any.example")}, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request;
		struct fake fake;
		char name[200];

		snprintf(name, sizeof name, "%s, %s, %s", rows[i].origins ? rows[i].origins : "",
		    rows[i].variables[0], rows[i].variables[1] ? rows[i].variables[1] : "");
		fake_init(&fake, rows[i].variables, NULL);
		request_init(&request, &fake.exchange);
		check_int(name, cors_admits(&request, rows[i].origins), rows[i].admitted);
		request_free(&request);
		fake_free(&fake);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_admits)};

	return cmocka_run_group_tests_name("cors", tests, NULL, NULL);
}
