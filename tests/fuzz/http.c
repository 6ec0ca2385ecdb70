/*
 * A request, from the web server's variables to its answer, by the program's own routes on the
 * embedded API. For any input the answer is well formed, and never reports a fault of the server.
 *
 * Input: variables as NAME=value, one a line, an empty line, the body. A line break without a NAME=
 * after it belongs to the value, because servers decode %0A. BREAKS=1 breaks the body off.
 */
#include "support.h"

#include <ctype.h>

#include "gateway/gateway.h"
#include "http/router.h"
#include "routes.h"
#include "text/json.h"
#include "text/text.h"

enum { VARIABLES_MAX = 24, BODY_MAX = 1024, ANSWER_MAX = 4 << 20, PIECE = 100 };

struct fuzz_exchange {
	struct exchange exchange;
	const char *variables[VARIABLES_MAX + 1]; /* NULL-terminated */
	const char *body;
	size_t body_len, body_at;
	struct buf answer;
	unsigned writes;
	bool left;
};

/* An answer, parsed. */
struct answer {
	int status;
	const char *type, *location; /* up to "\r\n"; NULL: none */
	long long length;            /* -1: none */
	const char *body;
	size_t body_len;
};

static struct state state;
static struct router router;

static const char *
variable(struct exchange *exchange, const char *name)
{
	const struct fuzz_exchange *self = (const struct fuzz_exchange *)exchange;
	size_t len = strlen(name);

	for (const char *const *at = self->variables; *at; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			return *at + len + 1;
	return NULL;
}

static char *
variables(struct exchange *exchange, const char *name)
{
	const char *value = variable(exchange, name);

	return value ? strdup(value) : NULL;
}

static ssize_t
read_body(struct exchange *exchange, void *bytes, size_t size)
{
	struct fuzz_exchange *self = (struct fuzz_exchange *)exchange;
	size_t len = self->body_len - self->body_at;

	if (len == 0)
		return variable(exchange, "BREAKS") ? -1 : 0;
	len = len < size ? len : size;
	len = len < PIECE ? len : PIECE;
	memcpy(bytes, self->body + self->body_at, len);
	self->body_at += len;
	return (ssize_t)len;
}

static int
write_answer(struct exchange *exchange, const void *bytes, size_t len)
{
	struct fuzz_exchange *self = (struct fuzz_exchange *)exchange;

	CHECK(!self->left);
	self->writes++;
	return buf_append(&self->answer, bytes, len);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct config config = {.daily_tokens = 1000000000, .rate = 1000000};
	static const struct occupancy_bounds bounds = {.workers = 3, .memory = 1 << 20};
	static struct budgets budgets = {.gateway = 1000000000};
	char error[ERROR_SIZE];
	struct openai *openai;
	const char *bad;
	size_t bad_len;

	(void)argc;
	(void)argv;
	config.model = strdup("m");
	state_open(&state);
	budgets.db = state.db;
	api_set_budgets(state.api, &budgets);
	openai = openai_embedded_new(state.api);
	CHECK(openai);
	config.state_dir = strdup(state.folder);
	config.trusted_proxies = address_ranges_parse("10.0.0.0/8, ::/1", &bad, &bad_len);
	router = (struct router){.routes = routes,
	    .routes_len = routes_len,
	    .body_max = BODY_MAX,
	    .occupancy = occupancy_new(&bounds),
	    .room = gateway_new(&config, openai, &budgets, error),
	    .origins = "https://a.example"};
	if (!router.room || !router.occupancy)
		finding("%s", error);
	return 0;
}

static bool
is_variable(const char *at)
{
	size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return len > 0 && at[len] == '=';
}

static void
leave(struct exchange *exchange)
{
	((struct fuzz_exchange *)exchange)->left = true;
}

/* Parses the input; the strings point into it. */
static void
read_input(struct fuzz_exchange *self, char *text, size_t size)
{
	char *end = text + size, *at = text;
	size_t count = 0;

	*self = (struct fuzz_exchange){.body = end, .answer = BUF_INIT(ANSWER_MAX)};
	self->exchange = (struct exchange){.variable = variable,
	    .variables = variables,
	    .read = read_body,
	    .write = write_answer,
	    .leave = leave,
	    .client = {.fd = -1}};
	for (char *line = text; at < end && count < VARIABLES_MAX; at++) {
		bool last = *at == '\n' && at + 1 < end && at[1] == '\n';

		if (*at != '\n' || !(last || is_variable(at + 1)))
			continue;
		*at = '\0';
		self->variables[count++] = line;
		line = at + 1;
		if (last) {
			self->body = at + 2;
			break;
		}
	}
	self->body_len = (size_t)(end - self->body);
}

/* The header's value if the line is that header, else `otherwise`. */
static const char *
value_of(const char *line, const char *name, const char *otherwise)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0 ? line + len + 2
										  : otherwise;
}

/* Returns the line's end. A line is a name, a colon, and a value without control characters. */
static const char *
check_header(const char *line)
{
	const char *at = line;

	while (isalnum((unsigned char)*at) || *at == '-')
		at++;
	CHECK(at > line && strncmp(at, ": ", 2) == 0 && at[2] != '\r');
	for (; *at != '\r'; at++)
		CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
	CHECK(at[1] == '\n');
	return at;
}

static void
take_apart(const struct buf *text, struct answer *answer)
{
	const char *line = text->data;

	*answer = (struct answer){.length = -1};
	CHECK(strncmp(line, "Status: ", 8) == 0);
	CHECK(isdigit((unsigned char)line[8]) && isdigit((unsigned char)line[9]) &&
	    isdigit((unsigned char)line[10]) && line[11] == ' ');
	answer->status = (int)strtol(line + 8, NULL, 10);
	while (strncmp(line, "\r\n", 2) != 0) {
		const char *end = check_header(line),
			   *length = value_of(line, "Content-Length", NULL);

		answer->type = value_of(line, "Content-Type", answer->type);
		answer->location = value_of(line, "Location", answer->location);
		CHECK(line == text->data || !value_of(line, "Status", NULL));
		CHECK(!length || answer->length < 0);
		if (length)
			answer->length = strtoll(length, NULL, 10);
		line = end + 2;
	}
	answer->body = line + 2;
	answer->body_len = text->len - (size_t)(answer->body - text->data);
}

static bool
begins(const char *text, const char *with)
{
	return text && strncmp(text, with, strlen(with)) == 0;
}

/* The request's own errors, the web server's, or an answer. */
static bool
is_expected(struct fuzz_exchange *self, int status)
{
	static const int expected[] = {
	    200, 201, 202, 204, 400, 403, 404, 405, 406, 413, 414, 415, 429};
	const char *refused = variable(&self->exchange, "REDIRECT_STATUS");

	for (size_t i = 0; i < COUNT(expected); i++)
		if (status == expected[i])
			return true;
	return refused && strtol(refused, NULL, 10) == status && status >= 400 && status < 600;
}

static void
check_body(const struct answer *answer)
{
	struct json_object *json;

	CHECK(utf8_valid(answer->body, answer->body_len));
	CHECK(answer->body_len > 0);
	if (begins(answer->type, "text/plain; charset=utf-8\r\n")) {
		CHECK(!strstr(answer->body, "\r\n\r\n") || answer->status == 200);
		return;
	}
	CHECK(begins(answer->type, "application/json\r\n") ||
	    begins(answer->type, "application/problem+json\r\n"));
	CHECK(json_parse(answer->body, answer->body_len, &json) == 0);
	CHECK(json_object_is_type(json, json_type_object));
	json_object_put(json);
}

/* Each event is one line of JSON, with or without a line before it that names it. */
static void
check_events(const struct answer *answer)
{
	const char *at = answer->body, *end;

	CHECK(answer->status == 200 && answer->length < 0);
	for (; *at; at = end + 2) {
		struct json_object *json;

		end = strstr(at, "\n\n");
		CHECK(end);
		if (begins(at, ": ")) {
			CHECK(at == answer->body);
			continue;
		}
		if (begins(at, "event: "))
			at = strchr(at, '\n') + 1;
		CHECK(begins(at, "data: "));
		at += strlen("data: ");
		CHECK(json_parse(at, (size_t)(end - at), &json) == 0);
		json_object_put(json);
	}
}

static void
check_answer(struct fuzz_exchange *self, struct answer *answer)
{
	const char *method = variable(&self->exchange, "REQUEST_METHOD");

	CHECK(!self->answer.failed);
	take_apart(&self->answer, answer);
	if (!is_expected(self, answer->status))
		finding("unexpected answer: %s", self->answer.data);
	if (begins(answer->type, "text/event-stream; charset=utf-8\r\n")) {
		check_events(answer);
		return;
	}
	CHECK(self->writes == 1);
	CHECK((answer->type != NULL) == (answer->length >= 0));
	if (!answer->type || (method && strcmp(method, "HEAD") == 0))
		CHECK(answer->body_len == 0);
	else
		CHECK((long long)answer->body_len == answer->length);
	if (answer->body_len > 0)
		check_body(answer);
	CHECK(answer->type || answer->status == 204);
	/* "//" would begin a URL of another host. */
	CHECK(!answer->location || (*answer->location == '/' && answer->location[1] != '/'));
}

/* After an answered message the conversation ends with its text, as it was sent. */
static void
check_conversation(const struct fuzz_exchange *asked)
{
	char request[] = "REQUEST_METHOD=GET\nPATH_INFO=/threads/thread_g/messages\n"
			 "HTTP_ACCEPT=application/json\n\n";
	struct json_object *body, *messages;
	struct fuzz_exchange exchange;
	struct answer answer;
	const char *words;
	size_t len;

	read_input(&exchange, request, sizeof request - 1);
	router_answer(&router, &exchange.exchange);
	check_answer(&exchange, &answer);
	CHECK(answer.status == 200);
	CHECK(json_parse(answer.body, answer.body_len, &body) == 0);
	messages = json_get_array(body, "messages");
	len = json_len(messages);
	CHECK(len == 3);
	words = json_get_string(json_at(messages, 1), "text");
	CHECK(words && strlen(words) == asked->body_len);
	CHECK(memcmp(words, asked->body, asked->body_len) == 0);
	json_object_put(body);
	buf_free(&exchange.answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);
	struct fuzz_exchange exchange;
	const char *method, *type;
	struct answer answer;

	read_input(&exchange, text, size);
	router_answer(&router, &exchange.exchange);
	check_answer(&exchange, &answer);
	method = variable(&exchange.exchange, "REQUEST_METHOD");
	type = variable(&exchange.exchange, "CONTENT_TYPE");
	if (answer.status == 200 && strcmp(method, "POST") == 0 &&
	    media_of_body(type) != MEDIA_JSON && !variable(&exchange.exchange, "CONTENT_LENGTH"))
		check_conversation(&exchange);
	/* A message, a thread, or neither any more; lighttpd asks for a POST by GET. */
	if (answer.status / 100 == 2 && method &&
	    (strcmp(method, "GET") != 0 || variable(&exchange.exchange, "REDIRECT_STATUS")))
		state_reset(&state);
	buf_free(&exchange.answer);
	free(text);
	return 0;
}
