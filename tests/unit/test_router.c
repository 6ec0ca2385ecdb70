/* From a request to its answer: what the router answers itself, and what a handler gets. */
#include "support.h"

#include "http/router.h"
#include "obs/log.h"
#include "text/json.h"

enum { BOTH = MEDIA_TEXT | MEDIA_JSON, BODY_MAX = 20, MEMORY_MAX = 1000 };

/* Answers what it was given. */
static void
tell(void *room, struct request *request, struct response *response)
{
	struct buf text = BUF_INIT(1000);

	assert_string_equal(room, "the room");
	buf_printf(&text, "[%s]", request->method);
	for (int i = 0; i < PATH_NAMES_MAX && request->params[i]; i++)
		buf_printf(&text, "[%s]", request->params[i]);
	if (request->body)
		buf_printf(&text, "(%d: %s)", request->body_media, request->body);
	if (request->media == MEDIA_JSON)
		response_json(response, 200, json_object_new_string(text.data));
	else
		response_text(response, 200, text.data);
	buf_free(&text);
}

static void
forget(void *room, struct request *request, struct response *response)
{
	(void)room;
	(void)request;
	response->status = 204;
}

static void
do_nothing(void *room, struct request *request, struct response *response)
{
	(void)room;
	(void)request;
	(void)response;
}

/* Puts what the client sent into a header, unchanged. */
static void
move(void *room, struct request *request, struct response *response)
{
	(void)room;
	response_header(response, "Before", "1");
	response_header(response, "Location", request->params[0]);
	response_header(response, "After", "1");
	response_text(response, 201, "moved");
}

/* Answers another request while this one waits. */
static void meet_another(void *room, struct request *request, struct response *response);

/* Refuses on a path that says so. */
static bool
admit(void *room, struct request *request, struct response *response)
{
	assert_string_equal(room, "the room");
	if (strcmp(request->path, "/closed") != 0)
		return true;
	assert_null(request->body);
	response_problem(response, 403, "Not you.");
	return false;
}

/* Answers in pieces, on a path that only this handler knows. */
static void
stream(void *room, struct request *request, struct response *response)
{
	(void)room;
	response->route = "/stream/{id}";
	response_begin_events(response, request->exchange, "");
	response_event(response, request->exchange, "one", "1");
	response_write(response, request->exchange, "and more", 8);
}

static bool there;

static bool
is_there(void)
{
	return there;
}

static const struct route routes[] = {
    {"GET", "/", BOTH, 0, 0, false, admit, tell},
    {"GET", "/things", BOTH, 0, 0, false, admit, tell},
    {"POST", "/things", BOTH, MEDIA_TEXT | MEDIA_JSON, ROUTE_BODY_MAX, false, admit, tell},
    {"DELETE", "/things/{id}", 0, 0, 0, false, admit, forget},
    {"GET", "/things/{id}/parts/{part}", BOTH, 0, 0, false, admit, tell},
    {"POST", "/any", BOTH, 0, 5, false, admit, tell},
    {"POST", "/closed", MEDIA_JSON, MEDIA_JSON, 5, false, admit, tell},
    {"GET", "/json", MEDIA_JSON, 0, 0, false, admit, tell},
    {"GET", "/text", MEDIA_TEXT, 0, 0, false, admit, tell},
    {"GET", "/nothing", BOTH, 0, 0, false, admit, do_nothing},
    {"GET", "/move/{to}", BOTH, 0, 0, false, admit, move},
    {"GET", "/wait", BOTH, 0, 0, true, admit, meet_another},
    {"GET", "/seldom", BOTH, 0, 0, false, admit, tell, is_there},
    {"POST", "/api/some", MEDIA_API, 0, 5, false, admit, tell},
    {"GET", "/api/stream/{id}", MEDIA_API, 0, 0, false, admit, stream},
    {"*", "/api/{*}", MEDIA_API, 0, 5, false, admit, tell},
};

static struct router router = {.routes = routes,
    .routes_len = COUNT(routes),
    .body_max = BODY_MAX,
    .room = (char[]){"the room"},
    .api_room = (char[]){"the room"},
    .origins = "https://a.example, https://b.example"};

static void
set_workers(unsigned workers)
{
	router.occupancy =
	    occupancy_new(&(struct occupancy_bounds){.workers = workers, .memory = MEMORY_MAX});
}

static int
set_up_router(void **state)
{
	(void)state;
	set_workers(3);
	return 0;
}

static int
tear_down_router(void **state)
{
	(void)state;
	occupancy_free(router.occupancy);
	return 0;
}

struct row {
	const char *variables[5]; /* REQUEST_METHOD first; PATH_INFO begins with '/' */
	const char *body;
	int status;
	const char *head; /* a line of the head; NULL: any */
	const char *text; /* the answer's body */
};

static const char is_text[] = "Content-Type: text/plain; charset=utf-8",
		  is_json[] = "Content-Type: application/json",
		  is_problem[] = "Content-Type: application/problem+json",
		  not_found[] = "There is nothing at this path.";

#define ACCEPT_JSON "HTTP_ACCEPT=application/json"
#define ORIGIN_B "HTTP_ORIGIN=https://b.example"
#define SHARED_B "Access-Control-Allow-Origin: https://b.example"

static const struct row rows[] = {
    {{"GET", "/"}, NULL, 200, is_text, "[GET]"},
    {{"GET", "/things"}, NULL, 200, is_text, "[GET]"},
    {{"GET", "/things", ACCEPT_JSON}, NULL, 200, is_json, "\"[GET]\""},
    {{"GET", "/things"}, "ignored", 200, NULL, "[GET]"},
    {{"GET", "/things/a b/parts/\xc3\xa9"}, NULL, 200, NULL, "[GET][a b][\xc3\xa9]"},
    {{"POST", "/things"}, "hello", 200, NULL, "[POST](1: hello)"},
    {{"POST", "/things"}, NULL, 200, NULL, "[POST](1: )"},
    {{"POST", "/things", "CONTENT_TYPE=application/json"}, "{}", 200, NULL, "[POST](2: {})"},
    {{"DELETE", "/things/x"}, NULL, 204, NULL, ""},
    {{"DELETE", "/things/x", "HTTP_ACCEPT=image/png"}, NULL, 204, NULL, ""},
    /* admission comes before formats and body */
    {{"POST", "/closed"}, "too long for it", 403, is_text, "Not you."},
    {{"POST", "/closed", ACCEPT_JSON}, NULL, 403, is_problem, NULL},
    {{"GET", "/closed"}, NULL, 405, NULL, NULL},
    /* paths */
    {{"GET", "/thing"}, NULL, 404, is_text, not_found},
    {{"GET", "/thingss"}, NULL, 404, NULL, not_found},
    {{"GET", "/things/"}, NULL, 404, NULL, not_found},
    {{"GET", "//things"}, NULL, 404, NULL, not_found},
    {{"GET", "/Things"}, NULL, 404, NULL, not_found},
    {{"DELETE", "/things/"}, NULL, 404, NULL, not_found},
    {{"DELETE", "/things/x/"}, NULL, 404, NULL, not_found},
    {{"GET", "/things//parts/x"}, NULL, 404, NULL, not_found},
    {{"GET", "/things/x/parts"}, NULL, 404, NULL, not_found},
    {{"GET", "/things/x/parts/y/z"}, NULL, 404, NULL, not_found},
    {{"GET", "/things/{id}/part/{part}"}, NULL, 404, NULL, not_found},
    {{"OPTIONS", "/thing"}, NULL, 404, NULL, not_found},
    {{"GET", "/thing", ACCEPT_JSON}, NULL, 404, is_problem,
	"{\"title\":\"Not Found\",\"status\":404,\"detail\":\"There is nothing at this path.\"}"},
    {{"GET", "/thing", "HTTP_ACCEPT=image/png"}, NULL, 404, is_text, not_found},
    {{"GET", "REQUEST_URI=/a%00"}, NULL, 400, is_text,
	"The path is malformed: its percent-encoding is wrong, or it has a NUL character."},
    /* errors of the web server */
    {{"GET", "/things", "REDIRECT_STATUS=417"}, NULL, 417, is_text,
	"The web server refused this request."},
    {{"GET", "/things", "REDIRECT_STATUS=200"}, NULL, 200, NULL, "[GET]"},
    {{"GET", "REQUEST_URI=/things", "REDIRECT_STATUS=411"}, NULL, 200, NULL, "[POST](1: )"},
    /* methods */
    {{"PUT", "/things"}, NULL, 405, "Allow: GET, HEAD, POST, OPTIONS",
	"This path does not accept this method; it accepts GET, HEAD, POST, OPTIONS."},
    {{"GET", "/things/x"}, NULL, 405, "Allow: DELETE, OPTIONS", NULL},
    {{"PUT", "/things", ACCEPT_JSON}, NULL, 405, is_problem, NULL},
    {{"get", "/things"}, NULL, 405, NULL, NULL},
    {{"", "/things"}, NULL, 405, NULL, NULL},
    {{"OPTIONS", "/things"}, NULL, 204, "Allow: GET, HEAD, POST, OPTIONS", ""},
    {{"OPTIONS", "/things/x"}, NULL, 204, "Allow: DELETE, OPTIONS", ""},
    {{"HEAD", "/things/x"}, NULL, 405, "Allow: DELETE, OPTIONS", ""},
    {{"HEAD", "/things"}, NULL, 200, "Content-Length: 6", ""},
    {{"HEAD", "/thing"}, NULL, 404, "Content-Length: 30", ""},
    /* formats of answers and bodies */
    {{"GET", "/things", "HTTP_ACCEPT=image/png"}, NULL, 406, is_text,
	"This path answers only with text/plain and application/json: change the Accept header."},
    {{"GET", "/text", ACCEPT_JSON}, NULL, 406, is_problem, NULL},
    {{"GET", "/json"}, NULL, 200, is_json, "\"[GET]\""},
    {{"GET", "/text"}, NULL, 200, is_text, "[GET]"},
    {{"POST", "/things", "CONTENT_TYPE=text/html"}, "x", 415, is_text, NULL},
    {{"POST", "/things", "CONTENT_TYPE=application/x-www-form-urlencoded"}, "x", 415, NULL, NULL},
    {{"POST", "/things", "CONTENT_TYPE=text/plain; charset=latin1"}, "x", 415, NULL, NULL},
    {{"POST", "/any", "CONTENT_TYPE=text/html"}, "x", 200, NULL, "[POST](0: x)"},
    {{"POST", "/any"}, "123456", 413, NULL,
	"The body is larger than 5 bytes, the most that is taken here."},
    {{"POST", "/things"}, "12345678901234567890", 200, NULL, "[POST](1: 12345678901234567890)"},
    {{"POST", "/things"}, "123456789012345678901", 413, NULL,
	"The body is larger than 20 bytes, the most that ASSISTANTS_MAX_BODY allows."},
    {{"POST", "/things", "CONTENT_LENGTH=21"}, "1", 413, is_text, NULL},
    {{"POST", "/things", "CONTENT_LENGTH=21", ACCEPT_JSON}, "1", 413, is_problem, NULL},
    {{"POST", "/things", "CONTENT_LENGTH=x"}, "1", 400, NULL,
	"The Content-Length is not a number."},
    {{"POST", "/things", "CONTENT_LENGTH=2"}, "1", 400, NULL,
	"The body ended before its Content-Length."},
    /* a handler that answers nothing is an error, which clients are not told */
    {{"GET", "/nothing"}, NULL, 500, NULL, ""},
    /* headers */
    {{"GET", "/move/there"}, NULL, 201, "Location: there", "moved"},
    {{"GET", "/move/a: b"}, NULL, 201, "Location: a: b", "moved"},
    {{"GET", "/move/x\r\nEvil: 1"}, NULL, 201, "After: 1", "moved"},
    {{"GET", "/move/x\nEvil: 1"}, NULL, 201, "After: 1", "moved"},
    {{"GET", "/move/x\rEvil: 1"}, NULL, 201, "After: 1", "moved"},
    {{"GET", "/move/\r\n\r\nEvil: 1"}, NULL, 201, "After: 1", "moved"},
    {{"GET", "/move/Evil: \x7f"}, NULL, 201, "After: 1", "moved"},
    /* the API's paths: any method but OPTIONS, pages of other origins */
    {{"PUT", "/api/x"}, NULL, 200, "Vary: Origin", "[PUT](1: )"},
    {{"OPTIONS", "/api/x"}, NULL, 204, "Allow: GET, HEAD, POST, DELETE, OPTIONS", ""},
    {{"OPTIONS", "/api/some"}, NULL, 204, "Allow: GET, HEAD, POST, DELETE, OPTIONS", ""},
    {{"GET", "/api/x", ORIGIN_B}, NULL, 200, SHARED_B, "[GET](1: )"},
    {{"POST", "/api/some", ORIGIN_B}, "123456", 413, SHARED_B, NULL},
    {{"GET", "REQUEST_URI=/a%00", ORIGIN_B}, NULL, 400, SHARED_B, NULL},
    {{"GET", "/things", "REDIRECT_STATUS=417", ORIGIN_B}, NULL, 417, SHARED_B, NULL},
    {{"OPTIONS", "/api/x", ORIGIN_B, "HTTP_ACCESS_CONTROL_REQUEST_METHOD=PUT"}, NULL, 204,
	"Access-Control-Allow-Methods: PUT", ""},
    {{"OPTIONS", "/api/x", "HTTP_ORIGIN=https://c.example",
	 "HTTP_ACCESS_CONTROL_REQUEST_METHOD=PUT"},
	NULL, 204, "Allow: GET, HEAD, POST, DELETE, OPTIONS", ""},
};

/* The request's log line, and the answer, freed by fake_free(). */
static struct json_object *
answer(struct fake *fake, const struct row *row)
{
	const char *variables[COUNT(row->variables) + 1] = {NULL};
	char method[64], path[REQUEST_PATH_MAX + 64];
	struct json_object *line = NULL;
	struct capture capture;
	const char *end, *last;
	char *said;

	for (size_t i = 0; i < COUNT(row->variables); i++)
		variables[i] = row->variables[i];
	snprintf(method, sizeof method, "REQUEST_METHOD=%s", row->variables[0]);
	variables[0] = method;
	if (row->variables[1][0] == '/') {
		snprintf(path, sizeof path, "PATH_INFO=%s", row->variables[1]);
		variables[1] = path;
	}
	fake_init(fake, variables, row->body);
	capture_start(&capture);
	router_answer(&router, &fake->exchange);
	said = capture_end(&capture);
	fake->variables = NULL;
	/* If one waits while another is answered, there are two lines; the outer one's is last. */
	end = strrchr(said, '\n');
	assert_non_null(end);
	last = memrchr(said, '\n', (size_t)(end - said));
	last = last ? last + 1 : said;
	assert_int_equal(json_parse(last, (size_t)(end - last), &line), 0);
	free(said);
	return line;
}

/* Checks what holds for every answer. `head` is cut after its last line; returns the body. */
static const char *
check_form(const char *name, struct fake *fake, bool is_head)
{
	char *body = strstr(fake->answer.data, "\r\n\r\n");
	const char *length;

	assert_non_null(body);
	body[2] = '\0';
	body += 4;
	check_int(name, strncmp(fake->answer.data, "Status: ", 8), 0);
	check_has(name, fake->answer.data, "\r\nCache-Control: no-store\r\n");
	check_has(name, fake->answer.data, "\r\nX-Content-Type-Options: nosniff\r\n");
	if (strstr(fake->answer.data, "Evil") || strstr(body, "Evil"))
		fail_msg("%s: a header was forged", name);
	length = strstr(fake->answer.data, "\r\nContent-Length: ");
	check_int(name, length != NULL, strstr(fake->answer.data, "\r\nContent-Type: ") != NULL);
	if (!is_head)
		check_int(name, length ? strtol(length + 18, NULL, 10) : 0, (long)strlen(body));
	/* The request was read to its end, whatever was answered. */
	check_int(name, (long long)fake->body_at, (long long)fake->body_len);
	check_int(name, fake->ends > 0, true);
	return body;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		char name[128], head[128], id[256];
		struct json_object *line;
		const char *body;
		struct fake fake;

		snprintf(
		    name, sizeof name, "row %zu, %s %s", i, row->variables[0], row->variables[1]);
		line = answer(&fake, row);
		body = check_form(name, &fake, strcmp(row->variables[0], "HEAD") == 0);
		check_int(name, strtol(fake.answer.data + 8, NULL, 10), row->status);
		if (row->head) {
			snprintf(head, sizeof head, "\r\n%s\r\n", row->head);
			check_has(name, fake.answer.data, head);
		}
		if (row->text)
			check_text(name, body, row->text);
		/* The log and the client have the same request id. */
		snprintf(
		    id, sizeof id, "\r\nx-request-id: %s\r\n", json_get_string(line, "request_id"));
		check_has(name, fake.answer.data, id);
		json_object_put(line);
		fake_free(&fake);
	}
}

static void
test_path_too_long(void **state)
{
	static char path[REQUEST_PATH_MAX + 2];
	const struct row row = {{"GET", path}, NULL, 414, NULL, NULL};
	struct fake fake;

	(void)state;
	memset(path, 'a', sizeof path - 1);
	path[0] = '/';
	json_object_put(answer(&fake, &row));
	check_form("too long", &fake, false);
	check_has("too long", fake.answer.data, "Status: 414 URI Too Long\r\n");
	fake_free(&fake);
}

/* An unknown path is 404, whatever the method. */
static void
test_seldom(void **state)
{
	static const struct {
		bool there;
		struct row row;
	} turns[] = {
	    {false, {{"GET", "/seldom"}, NULL, 404}},
	    {false, {{"POST", "/seldom"}, NULL, 404}},
	    {false, {{"OPTIONS", "/seldom"}, NULL, 404}},
	    {true, {{"GET", "/seldom"}, NULL, 200}},
	    {true, {{"POST", "/seldom"}, NULL, 405}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(turns); i++) {
		struct fake fake;

		there = turns[i].there;
		json_object_put(answer(&fake, &turns[i].row));
		check_int(turns[i].row.variables[0], strtol(fake.answer.data + 8, NULL, 10),
		    turns[i].row.status);
		fake_free(&fake);
	}
}

/* The log has the pattern, and never the ids in a path. */
static void
test_log_line(void **state)
{
	static const struct {
		struct row row;
		const char *method, *route;
		long long status, bytes;
	} said[] = {
	    {{{"GET", "/things/secret1/parts/secret2"}}, "GET", "/things/{id}/parts/{part}", 200,
		sizeof "[GET][secret1][secret2]" - 1},
	    {{{"HEAD", "/things/secret1/parts/secret2"}}, "HEAD", "/things/{id}/parts/{part}", 200,
		0},
	    {{{"DELETE", "/things/secret"}}, "DELETE", "/things/{id}", 204, 0},
	    {{{"GET", "/secret"}}, "GET", "(none)", 404, sizeof not_found - 1},
	    {{{"GET", "REQUEST_URI=/secret%00"}}, "GET", "(bad)", 400,
		sizeof "The path is malformed: its percent-encoding is wrong, or it has a NUL "
		       "character." -
		    1},
	    {{{"HEAD", "/secret"}}, "HEAD", "(none)", 404, 0},
	    {{{"0123456789abcdefg", "/move/secret"}}, "0123456789abcdef", "(none)", 405,
		sizeof "This path does not accept this method; it accepts GET, HEAD, OPTIONS." - 1},
	    {{{"A\nB", "/move/secret"}}, "A\nB", "(none)", 405,
		sizeof "This path does not accept this method; it accepts GET, HEAD, OPTIONS." - 1},
	    {{{"GET", "/api/x"}}, "GET", "/api/{*}", 200, sizeof "[GET](1: )" - 1},
	    {{{"GET", "/api/stream/secret"}}, "GET", "/api/stream/{id}", 200,
		sizeof "event: one\ndata: 1\n\nand more" - 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(said); i++) {
		struct fake fake;
		struct json_object *line = answer(&fake, &said[i].row);
		const char *row = said[i].row.variables[1];

		check_text(row, json_get_string(line, "level"), "info");
		check_text(row, json_get_string(line, "message"), "request");
		check_text(row, json_get_string(line, "method"), said[i].method);
		check_text(row, json_get_string(line, "route"), said[i].route);
		check_int(row, json_get_int(line, "status", -1), said[i].status);
		check_int(row, json_get_int(line, "bytes", -1), said[i].bytes);
		check_int(row, json_get_int(line, "ms", -1) >= 0, true);
		check_int(row, json_object_object_length(line), 9);
		json_object_put(line);
		fake_free(&fake);
	}
}

/* At debug the path is logged, without half of the thread's id, whatever its form. */
static void
test_path_line(void **state)
{
	static const struct {
		const char *path, *said;
	} paths[] = {
	    {"/", "path /"},
	    {"/a/bcdefgh", "path /a/bcdefgh"},
	    {"/threads", "path /threads"},
	    {"/threads/", "path /threads/"},
	    {"/threads/thread_abcdEFGH12345678/x", "path /threads/thread_abcd…/x"},
	    {"/v1/threads/imported.42/messages/m", "path /v1/threads/impor…/messages/m"},
	    {"/threads/thread_abcd", "path /threads/threa…"},
	    {"/threads/runs", "path /threads/runs"},
	    {"/threads//12345678", "path /threads//12345678"},
	    {"/threads/12345678/x", "path /threads/1234…/x"},
	    {"/threads/x-12345678-12345678-12345678", "path /threads/x-12345678-…"},
	};

	(void)state;
	log_set_level(LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < COUNT(paths); i++) {
		const char *variables[] = {"REQUEST_METHOD=GET", NULL, NULL};
		struct json_object *line = NULL;
		char path[64], *said, *end;
		struct capture capture;
		struct fake fake;

		snprintf(path, sizeof path, "PATH_INFO=%s", paths[i].path);
		variables[1] = path;
		fake_init(&fake, variables, NULL);
		capture_start(&capture);
		router_answer(&router, &fake.exchange);
		said = capture_end(&capture);
		end = strchr(said, '\n');
		assert_non_null(end);
		assert_int_equal(json_parse(said, (size_t)(end - said), &line), 0);
		check_text(paths[i].path, json_get_string(line, "message"), paths[i].said);
		json_object_put(line);
		free(said);
		fake_free(&fake);
	}
	log_set_level(LOG_LEVEL_INFO);
}

/* The web server takes no answer: nothing can be done, and the log says so. */
static void
test_deaf(void **state)
{
	static const char *const paths[] = {"PATH_INFO=/", "PATH_INFO=/api/stream/x"};

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		const char *const variables[] = {"REQUEST_METHOD=GET", paths[i], NULL};
		struct capture capture;
		struct fake fake;
		char *said;

		fake_init(&fake, variables, NULL);
		fake.deaf = true;
		capture_start(&capture);
		router_answer(&router, &fake.exchange);
		said = capture_end(&capture);
		check_has(paths[i], said, "\"bytes\":0,\"delivered\":false}");
		free(said);
		fake_free(&fake);
	}
}

/* The answer to the request that came while another waited. */
static char met[2000];
static unsigned workers_missing;

static void
meet_another(void *room, struct request *request, struct response *response)
{
	static const char *const variables[] = {
	    "REQUEST_METHOD=GET", "PATH_INFO=/wait", ACCEPT_JSON, NULL};
	struct fake fake;

	(void)room;
	(void)request;
	if (!*met) {
		fake_init(&fake, variables, NULL);
		fake.exchange.workers_missing = workers_missing;
		router_answer(&router, &fake.exchange);
		snprintf(met, sizeof met, "%s", fake.answer.data);
		fake_free(&fake);
	}
	response_text(response, 200, "waited");
}

static void
test_too_many_wait(void **state)
{
	static const struct {
		unsigned workers, missing;
		const char *outer, *inner; /* inner NULL: there is none */
	} turns[] = {
	    {3, 0, "Status: 200 OK\r\n", "Status: 503 Service Unavailable\r\n"},
	    {4, 0, "Status: 200 OK\r\n", "Status: 200 OK\r\n"},
	    {5, 1, "Status: 200 OK\r\n", "Status: 200 OK\r\n"},
	    {5, 2, "Status: 200 OK\r\n", "Status: 503 Service Unavailable\r\n"},
	    {2, 0, "Status: 503 Service Unavailable\r\n", NULL},
	    /* Earlier requests are no longer counted. */
	    {3, 0, "Status: 200 OK\r\n", "Status: 503 Service Unavailable\r\n"},
	};
	const struct row row = {{"GET", "/wait"}, NULL, 200, NULL, NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(turns); i++) {
		struct fake fake;

		occupancy_free(router.occupancy);
		set_workers(turns[i].workers);
		workers_missing = turns[i].missing;
		met[0] = '\0';
		json_object_put(answer(&fake, &row));
		check_has("outer", fake.answer.data, turns[i].outer);
		if (turns[i].inner)
			check_has("inner", met, turns[i].inner);
		else
			check_text("inner", met, "");
		if (strstr(met, "503")) {
			check_has("inner", met, "\r\nRetry-After: 5\r\n");
			check_has("inner", met, "application/problem+json");
		}
		fake_free(&fake);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_path_too_long),
	    cmocka_unit_test(test_seldom),
	    cmocka_unit_test(test_log_line),
	    cmocka_unit_test(test_path_line),
	    cmocka_unit_test(test_deaf),
	    cmocka_unit_test(test_too_many_wait),
	};

	return cmocka_run_group_tests_name("router", tests, set_up_router, tear_down_router);
}
