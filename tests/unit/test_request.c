/* A request's path and base, as web servers pass them, and its body. */
#include "support.h"

#include "http/request.h"

struct path_row {
	const char *name;
	const char *variables[5];
	const char *path; /* NULL: REQUEST_PATH_BAD */
	const char *base;
};

/* What the servers send in the recommended set-ups, and in some others. */
static const struct path_row paths[] = {
    {"FastCGI at the root", {"SCRIPT_NAME=", "PATH_INFO=/a/b", "REQUEST_URI=/a/b"}, "/a/b", ""},
    {"FastCGI below a prefix",
	{"SCRIPT_NAME=/assistant", "PATH_INFO=/a/b", "REQUEST_URI=/assistant/a/b"}, "/a/b",
	"/assistant"},
    {"with a query",
	{"SCRIPT_NAME=/assistant", "PATH_INFO=/a", "REQUEST_URI=/assistant/a?b=/c?d",
	    "QUERY_STRING=b=/c?d"},
	"/a", "/assistant"},
    {"a query with broken encoding", {"PATH_INFO=/a", "REQUEST_URI=/a?b=%zz%00"}, "/a", ""},
    {"PATH_INFO comes decoded, and is not decoded again",
	{"SCRIPT_NAME=", "PATH_INFO=/a%41b", "REQUEST_URI=/a%2541b"}, "/a%41b", ""},
    {"a decoded blank", {"SCRIPT_NAME=/x", "PATH_INFO=/a b", "REQUEST_URI=/x/a%20b"}, "/a b", "/x"},
    {"decoded UTF-8", {"SCRIPT_NAME=", "PATH_INFO=/\xc3\xa9", "REQUEST_URI=/%C3%A9"}, "/\xc3\xa9",
	""},
    {"a decoded slash", {"SCRIPT_NAME=", "PATH_INFO=/a/b", "REQUEST_URI=/a%2Fb"}, "/a/b", ""},
    {"dots that the server resolved", {"SCRIPT_NAME=", "PATH_INFO=/b", "REQUEST_URI=/a/../b"}, "/b",
	"/a/.."},
    {"PATH_INFO not decoded", {"SCRIPT_NAME=", "PATH_INFO=/a%2Fb", "REQUEST_URI=/a%2Fb"}, "/a%2Fb",
	""},
    {"CGI in a folder, rewritten: the base is what the client wrote",
	{"SCRIPT_NAME=/dir/index.cgi", "PATH_INFO=/a/b", "REQUEST_URI=/dir/a/b"}, "/a/b", "/dir"},
    {"CGI in a folder, by its name",
	{"SCRIPT_NAME=/dir/index.cgi", "PATH_INFO=/a/b", "REQUEST_URI=/dir/index.cgi/a/b"}, "/a/b",
	"/dir/index.cgi"},
    {"no PATH_INFO, at the root", {"SCRIPT_NAME=", "REQUEST_URI=/a/b"}, "/a/b", ""},
    {"no PATH_INFO, below a prefix", {"SCRIPT_NAME=/assistant", "REQUEST_URI=/assistant/a/b"},
	"/a/b", "/assistant"},
    {"an empty one is none", {"SCRIPT_NAME=/assistant", "PATH_INFO=", "REQUEST_URI=/assistant/a"},
	"/a", "/assistant"},
    {"no SCRIPT_NAME", {"REQUEST_URI=/a/b"}, "/a/b", ""},
    {"SCRIPT_NAME is the whole path", {"SCRIPT_NAME=/a/b", "REQUEST_URI=/a/b"}, "/a/b", ""},
    {"SCRIPT_NAME is another segment", {"SCRIPT_NAME=/ass", "REQUEST_URI=/assistant/a"},
	"/assistant/a", ""},
    {"SCRIPT_NAME is elsewhere", {"SCRIPT_NAME=/index.cgi", "REQUEST_URI=/a/b"}, "/a/b", ""},
    {"the prefix alone", {"SCRIPT_NAME=/assistant", "REQUEST_URI=/assistant"}, "/assistant", ""},
    {"the prefix with a slash", {"SCRIPT_NAME=/assistant", "REQUEST_URI=/assistant/"}, "/",
	"/assistant"},
    {"an encoded URI is decoded once", {"REQUEST_URI=/a%20b%2541%C3%A9"}, "/a b%41\xc3\xa9", ""},
    {"an encoded prefix", {"SCRIPT_NAME=/my app", "REQUEST_URI=/my%20app/a"}, "/a", "/my%20app"},
    {"a query alone behind the path", {"REQUEST_URI=/a?"}, "/a", ""},
    {"an absolute URI", {"REQUEST_URI=http://example.org/a/b?c"}, "/a/b", ""},
    {"an absolute URI with a prefix",
	{"SCRIPT_NAME=/x", "REQUEST_URI=https://u@example.org:8443/x/a"}, "/a", "/x"},
    {"an absolute URI, and PATH_INFO",
	{"SCRIPT_NAME=/x", "PATH_INFO=/a", "REQUEST_URI=http://example.org/x/a"}, "/a", "/x"},
    {"a URI in the query is none", {"REQUEST_URI=/a?u=http://example.org/b"}, "/a", ""},
    {"a URI in the path is none", {"REQUEST_URI=/a/http://example.org/b"},
	"/a/http://example.org/b", ""},
    {"PATH_INFO alone", {"PATH_INFO=/a", "SCRIPT_NAME=/x"}, "/a", "/x"},
    {"PATH_INFO alone, no SCRIPT_NAME", {"PATH_INFO=/a"}, "/a", ""},
    {"SCRIPT_NAME is a slash", {"PATH_INFO=/a", "SCRIPT_NAME=/"}, "/a", ""},
    {"SCRIPT_NAME ends in one", {"PATH_INFO=/a", "SCRIPT_NAME=/x/"}, "/a", "/x"},
    {"SCRIPT_NAME begins with two", {"PATH_INFO=/a", "SCRIPT_NAME=//x/y"}, "/a", "/x/y"},
    {"SCRIPT_NAME is no path", {"PATH_INFO=/a", "SCRIPT_NAME=x"}, "/a", ""},
    {"a URI that says something else", {"PATH_INFO=/a", "SCRIPT_NAME=/x", "REQUEST_URI=/y"}, "/a",
	"/x"},
    {"doubled slashes", {"SCRIPT_NAME=/x", "PATH_INFO=/a", "REQUEST_URI=/x//a"}, "/a", "/x"},
    {"a doubled slash in front", {"SCRIPT_NAME=/x", "PATH_INFO=/a", "REQUEST_URI=//x/a"}, "/a",
	"/x"},
    {"an absolute URI with nothing behind the host", {"REQUEST_URI=http://example.org"}, "/", ""},
    {"nothing", {NULL}, NULL, NULL},
    {"no path", {"SCRIPT_NAME=/x", "PATH_INFO="}, NULL, NULL},
    {"an empty URI", {"REQUEST_URI="}, NULL, NULL},
    {"a query alone", {"REQUEST_URI=?a"}, NULL, NULL},
    {"a relative path", {"REQUEST_URI=a/b"}, NULL, NULL},
    {"a relative PATH_INFO", {"PATH_INFO=a", "REQUEST_URI=/a"}, NULL, NULL},
    {"OPTIONS *", {"REQUEST_URI=*"}, NULL, NULL},
    {"broken encoding", {"REQUEST_URI=/a%"}, NULL, NULL},
    {"broken encoding in the middle", {"REQUEST_URI=/a%4gb"}, NULL, NULL},
    {"a NUL", {"REQUEST_URI=/a%00b"}, NULL, NULL},
    {"a NUL, cut away by the server", {"PATH_INFO=/a", "REQUEST_URI=/a%00b"}, NULL, NULL},
    {"broken encoding, and PATH_INFO", {"PATH_INFO=/a", "REQUEST_URI=/a%zz"}, NULL, NULL},
};

static void
test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		const struct path_row *row = &paths[i];
		struct request request;
		struct fake fake;

		fake_init(&fake, row->variables, NULL);
		check_int(row->name, request_init(&request, &fake.exchange),
		    row->path ? REQUEST_PATH_OK : REQUEST_PATH_BAD);
		if (row->path) {
			check_text(row->name, request.path, row->path);
			check_text(row->name, request.base, row->base);
		}
		check_int(row->name, id_has_form(request.id, "req_"), true);
		assert_ptr_equal(request.exchange, &fake.exchange);
		assert_ptr_equal(request.client, &fake.exchange.client);
		request_free(&request);
		fake_free(&fake);
	}
}

/* lighttpd asks its error handler, with the status that it would have answered. */
static void
test_refused(void **state)
{
	static const struct {
		const char *method, *status;
		int refused_status;
		const char *path, *shown; /* the resulting method */
	} rows[] = {
	    {"REQUEST_METHOD=GET", "X=", 0, "/handler", "GET"},
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=200", 0, "/handler", "GET"},
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=", 0, "/handler", "GET"},
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=399", 0, "/handler", "GET"},
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=600", 0, "/handler", "GET"},
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=413", 413, "/handler", "GET"},
	    {"REQUEST_METHOD=POST", "REDIRECT_STATUS=413", 0, "/handler", "POST"},
	    /* a POST without a length, which is accepted here */
	    {"REQUEST_METHOD=GET", "REDIRECT_STATUS=411", 0, "/threads", "POST"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *const variables[] = {rows[i].method, rows[i].status,
		    "PATH_INFO=/handler", "REQUEST_URI=/threads", "SCRIPT_NAME=", NULL};
		struct request request;
		struct fake fake;

		fake_init(&fake, variables, NULL);
		check_int(rows[i].status, request_init(&request, &fake.exchange), REQUEST_PATH_OK);
		check_int(rows[i].status, request.refused_status, rows[i].refused_status);
		check_text(rows[i].status, request.path, rows[i].path);
		check_text(rows[i].status, request.method, rows[i].shown);
		request_free(&request);
		fake_free(&fake);
	}
}

static void
test_long_paths(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		enum request_path_result result;
	} rows[] = {
	    {"PATH_INFO=", REQUEST_PATH_MAX, REQUEST_PATH_OK},
	    {"PATH_INFO=", REQUEST_PATH_MAX + 1, REQUEST_PATH_TOO_LONG},
	    {"REQUEST_URI=", REQUEST_PATH_MAX, REQUEST_PATH_OK},
	    {"REQUEST_URI=", REQUEST_PATH_MAX + 1, REQUEST_PATH_TOO_LONG},
	    {"REQUEST_URI=", 1 << 20, REQUEST_PATH_TOO_LONG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t name_len = strlen(rows[i].name);
		char *variable = malloc(name_len + rows[i].len + 1);
		const char *variables[] = {variable, NULL};
		struct request request;
		struct fake fake;

		assert_non_null(variable);
		memcpy(variable, rows[i].name, name_len);
		memset(variable + name_len, 'a', rows[i].len);
		variable[name_len] = '/';
		variable[name_len + rows[i].len] = '\0';
		fake_init(&fake, variables, NULL);
		check_int(rows[i].name, request_init(&request, &fake.exchange), rows[i].result);
		request_free(&request);
		fake_free(&fake);
		free(variable);
	}
}

static void
test_method(void **state)
{
	static const char *const variables[] = {"REQUEST_METHOD=PATCH", "PATH_INFO=/", NULL};
	struct request request;
	struct fake fake;

	(void)state;
	fake_init(&fake, variables, NULL);
	assert_int_equal(request_init(&request, &fake.exchange), REQUEST_PATH_OK);
	assert_string_equal(request.method, "PATCH");
	request_free(&request);
	fake_init(&fake, variables + 1, NULL);
	assert_int_equal(request_init(&request, &fake.exchange), REQUEST_PATH_OK);
	assert_string_equal(request.method, "");
	request_free(&request);
}

static void
test_authorization(void **state)
{
	static const struct {
		const char *name;
		const char *variables[3];
		const char *expected;
	} rows[] = {
	    {"none", {NULL}, NULL},
	    {"as it should be", {"HTTP_AUTHORIZATION=Bearer a"}, "Bearer a"},
	    {"rewritten", {"REDIRECT_HTTP_AUTHORIZATION=Bearer b"}, "Bearer b"},
	    {"both", {"REDIRECT_HTTP_AUTHORIZATION=Bearer b", "HTTP_AUTHORIZATION=Bearer a"},
		"Bearer a"},
	    {"one is empty", {"HTTP_AUTHORIZATION=", "REDIRECT_HTTP_AUTHORIZATION=Bearer b"},
		"Bearer b"},
	    {"both are empty", {"HTTP_AUTHORIZATION=", "REDIRECT_HTTP_AUTHORIZATION="}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request;
		struct fake fake;

		fake_init(&fake, rows[i].variables, NULL);
		request_init(&request, &fake.exchange);
		check_text(rows[i].name, request_authorization(&request), rows[i].expected);
		request_free(&request);
		fake_free(&fake);
	}
}

static void
test_bearer(void **state)
{
	static const struct {
		const char *name;
		const char *variables[2];
		const char *expected;
	} rows[] = {
	    {"none", {NULL}, NULL},
	    {"one", {"HTTP_AUTHORIZATION=Bearer abc"}, "abc"},
	    {"in any case", {"HTTP_AUTHORIZATION=bEARER   a b"}, "a b"},
	    {"empty", {"HTTP_AUTHORIZATION=Bearer "}, ""},
	    {"another scheme", {"HTTP_AUTHORIZATION=Basic YTpi"}, NULL},
	    {"nearly", {"HTTP_AUTHORIZATION=Bearerabc"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request;
		struct fake fake;

		fake_init(&fake, rows[i].variables, NULL);
		request_init(&request, &fake.exchange);
		check_text(rows[i].name, request_bearer(&request), rows[i].expected);
		request_free(&request);
		fake_free(&fake);
	}
}

#define PEER(address) "REMOTE_ADDR=" address
#define FOR(list) "HTTP_X_FORWARDED_FOR=" list

/* 10.0.0.0/8 and ::1 are proxies. */
static void
test_client(void **state)
{
	static const struct {
		const char *name;
		const char *variables[4];
		const char *client; /* NULL: unknown */
	} rows[] = {
	    {"the peer", {PEER("192.0.2.1")}, "192.0.2.1"},
	    {"forged", {PEER("192.0.2.1"), FOR("203.0.113.9")}, "192.0.2.1"},
	    {"a proxy alone", {PEER("10.0.0.1")}, "10.0.0.1"},
	    {"by a proxy", {PEER("10.0.0.1"), FOR("192.0.2.1")}, "192.0.2.1"},
	    {"by a proxy, forged", {PEER("10.0.0.1"), FOR("203.0.113.9, 192.0.2.1")}, "192.0.2.1"},
	    {"by two", {PEER("::1"), FOR("203.0.113.9, 192.0.2.1,10.2.3.4")}, "192.0.2.1"},
	    {"by all", {PEER("10.0.0.1"), FOR("10.0.0.3, 10.0.0.2")}, "10.0.0.3"},
	    {"with a port", {PEER("10.0.0.1"), FOR("192.0.2.1:1234")}, "192.0.2.1"},
	    {"IPv6 with a port", {PEER("10.0.0.1"), FOR("[2001:db8::1]:1234")}, "2001:db8::/64"},
	    {"no address", {PEER("10.0.0.1"), FOR("192.0.2.1, unknown")}, "10.0.0.1"},
	    {"no address behind one", {PEER("10.0.0.1"), FOR("x, 10.0.0.2")}, "10.0.0.2"},
	    {"nothing", {PEER("10.0.0.1"), FOR("")}, "10.0.0.1"},
	    {"commas", {PEER("10.0.0.1"), FOR(",,")}, "10.0.0.1"},
	    {"in two lines, the second by the proxy",
		{PEER("10.0.0.1"), FOR("203.0.113.9"), FOR("192.0.2.1")}, "192.0.2.1"},
	    {"no peer", {FOR("192.0.2.1")}, NULL},
	    {"a peer on a socket", {PEER("unix:"), FOR("192.0.2.1")}, NULL},
	};
	const char *bad;
	size_t bad_len;
	struct address_ranges *proxies = address_ranges_parse("10.0.0.0/8 ::1", &bad, &bad_len);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char client[ADDRESS_TEXT_SIZE];
		struct address address;
		struct request request;
		struct fake fake;
		bool known;

		fake_init(&fake, rows[i].variables, NULL);
		request_init(&request, &fake.exchange);
		known = request_client(&request, proxies, &address);
		check_int(rows[i].name, known, rows[i].client != NULL);
		if (known)
			address_print_client(&address, client);
		check_text(rows[i].name, known ? client : NULL, rows[i].client);
		request_free(&request);
		fake_free(&fake);
	}
	address_ranges_free(proxies);
}

/* A body may take 20 seconds, and one more for each 16 KiB. */
static void
test_slow_bodies(void **state)
{
	static const struct {
		const char *name;
		long long begun_ms_ago;
		size_t piece;
		enum request_body_result result;
	} rows[] = {
	    {"in time", 19000, 1000, REQUEST_BODY_OK},
	    {"too late", 20900, 100, REQUEST_BODY_SLOW},
	    {"much of it in that time", 20900, 64000, REQUEST_BODY_OK},
	    {"at last too slow", 24500, 64000, REQUEST_BODY_SLOW},
	};
	static const char *const variables[] = {"PATH_INFO=/", NULL};
	static char sent[64001];

	(void)state;
	memset(sent, 'x', sizeof sent - 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request;
		struct fake fake;

		fake_init(&fake, variables, sent);
		fake.piece = rows[i].piece;
		request_init(&request, &fake.exchange);
		request.begun_ms -= rows[i].begun_ms_ago;
		check_int(rows[i].name, request_read_body(&request, sizeof sent), rows[i].result);
		/* The rest of it is not waited for either. */
		request_drain(&request);
		check_int(rows[i].name, fake.ends > 0, rows[i].result == REQUEST_BODY_OK);
		request_free(&request);
		fake_free(&fake);
	}
}

struct body_row {
	const char *name;
	const char *length; /* CONTENT_LENGTH; NULL: none */
	const char *sent;
	size_t max;
	bool breaks;
	enum request_body_result result;
	const char *body;
};

static const struct body_row bodies[] = {
    {"as announced", "5", "hello", 10, false, REQUEST_BODY_OK, "hello"},
    {"exactly the most", "5", "hello", 5, false, REQUEST_BODY_OK, "hello"},
    {"none", "0", "", 10, false, REQUEST_BODY_OK, ""},
    {"none announced, and none", NULL, "", 10, false, REQUEST_BODY_OK, ""},
    {"none announced", NULL, "hello", 10, false, REQUEST_BODY_OK, "hello"},
    {"none announced, exactly the most", NULL, "hello", 5, false, REQUEST_BODY_OK, "hello"},
    {"an empty length is none", "", "hello", 10, false, REQUEST_BODY_OK, "hello"},
    {"more than announced: the rest is not the body", "5", "hello world", 10, false,
	REQUEST_BODY_OK, "hello"},
    {"no body where none is announced", "0", "hello", 10, false, REQUEST_BODY_OK, ""},
    {"too large, and said so", "6", "hello!", 5, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"said to be too large", "6", "hi", 5, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"said to be enormous", "9223372036854775807", "hi", 5, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"too large, and not said so", NULL, "hello!", 5, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"any is too large", NULL, "h", 0, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"less than announced", "6", "hello", 10, false, REQUEST_BODY_CUT, NULL},
    {"nothing of what was announced", "6", "", 10, false, REQUEST_BODY_CUT, NULL},
    {"broken off", "6", "hello", 10, true, REQUEST_BODY_CUT, NULL},
    {"broken off, none announced", NULL, "hello", 10, true, REQUEST_BODY_CUT, NULL},
    {"broken off after its end", "5", "hello", 10, true, REQUEST_BODY_OK, "hello"},
    {"more than any number", "99999999999999999999", "hi", 5, false, REQUEST_BODY_TOO_LARGE, NULL},
    {"negative", "-1", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"with a sign", "+5", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"a word", "five", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"two", "5, 5", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"a fraction", "5.0", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"hexadecimal", "0x5", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
    {"a blank", " 5", "hello", 10, false, REQUEST_BODY_BAD_LENGTH, NULL},
};

static void
check_body(const struct body_row *row, size_t piece)
{
	const char *variables[] = {"PATH_INFO=/", NULL, NULL};
	struct request request;
	struct fake fake;
	char length[64];

	if (row->length) {
		snprintf(length, sizeof length, "CONTENT_LENGTH=%s", row->length);
		variables[1] = length;
	}
	fake_init(&fake, variables, row->sent);
	fake.piece = piece;
	fake.breaks = row->breaks;
	assert_int_equal(request_init(&request, &fake.exchange), REQUEST_PATH_OK);
	check_int(row->name, request_read_body(&request, row->max), row->result);
	check_text(row->name, request.body, row->body);
	if (row->body)
		check_int(row->name, (long long)request.body_len, (long long)strlen(row->body));
	/* A body announced as too large is not read at all. */
	if (row->result == REQUEST_BODY_TOO_LARGE && row->length)
		check_int(row->name, (long long)fake.body_at, 0);
	request_drain(&request);
	check_int(row->name, (long long)fake.body_at, (long long)fake.body_len);
	check_int(row->name, fake.ends > 0, true);
	request_free(&request);
	fake_free(&fake);
}

static void
test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		check_body(&bodies[i], 0);
		check_body(&bodies[i], 1);
		check_body(&bodies[i], 3);
	}
}

/* Longer than one read, and with NULs in it. */
static void
test_long_body(void **state)
{
	static const char *const variables[] = {"PATH_INFO=/", NULL};
	static char sent[300000];
	struct request request;
	struct fake fake;

	(void)state;
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)(i % 251);
	fake_init(&fake, variables, NULL);
	fake.body = sent;
	fake.body_len = sizeof sent;
	assert_int_equal(request_init(&request, &fake.exchange), REQUEST_PATH_OK);
	assert_int_equal(request_read_body(&request, sizeof sent), REQUEST_BODY_OK);
	assert_int_equal(request.body_len, sizeof sent);
	assert_memory_equal(request.body, sent, sizeof sent);
	assert_int_equal(request.body[request.body_len], '\0');
	request_free(&request);
	fake.body_at = 0;
	assert_int_equal(request_init(&request, &fake.exchange), REQUEST_PATH_OK);
	assert_int_equal(request_read_body(&request, sizeof sent - 1), REQUEST_BODY_TOO_LARGE);
	request_free(&request);
	fake_free(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_long_paths),
	    cmocka_unit_test(test_method),
	    cmocka_unit_test(test_authorization),
	    cmocka_unit_test(test_bearer),
	    cmocka_unit_test(test_client),
	    cmocka_unit_test(test_slow_bodies),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_long_body),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
