/*
 * What a program asks of its base URL beside the Assistants API goes on to the model server,
 * unchanged and as it arrives; so does the answer. The request carries this program's own key, and
 * of the client's headers those about its body and what it accepts. Of the answer's headers those
 * come back that SDKs use.
 */
#include <stdint.h>
#include <strings.h>

#include "obs/log.h"
#include "os/clock.h"
#include "text/api_error.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"
#include "v1/internal.h"
#include "v1/v1.h"

enum {
	URL_MAX = 32 << 10,
	HEADERS_MAX = 4,
	BODY_MAX = 32 << 20,
	TAIL_SIZE = 4096, /* of an answer: what it cost is near its end */
	BYTES_A_TOKEN = 4,
	EVENTS_SHARE = 8, /* of 8 bytes of an event, about one is text */
	TOKENS_MAX = 10000000,
	UNKNOWN_LEN = 1 << 20 /* assumed for a body of unknown length */
};

/* One request under way. */
struct passage {
	struct v1 *v1;
	struct request *request;
	struct response *response;
	struct request_pieces body;
	bool is_events;            /* the answer is a stream of events */
	bool key_failed;           /* the model server refused our key */
	bool left_early;           /* the client left, or time was over */
	bool is_text;              /* the answer is text, whose length tells roughly what it cost */
	char reservation[ID_SIZE]; /* "": none */
	long long begun_ms;
	long long answer_max;        /* the body's own limit; 0: none */
	long long granted;           /* the limit sent instead, if it is lower; 0: unchanged */
	unsigned long long received; /* bytes of the answer */
	char tail[TAIL_SIZE + 1];    /* its last bytes, NUL-terminated */
	size_t tail_len;
};

static const char *
variable(struct request *request, const char *name)
{
	return request->exchange->variable(request->exchange, name);
}

/* --- the request --- */

/* Whether the path cannot lead elsewhere, even if it is decoded a second time. */
static bool
is_straight(const char *path)
{
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

/* The path at the model server, which knows no deployments of Azure's. */
static const char *
upstream_path(const struct request *request)
{
	static const char deployments[] = "/deployments/";
	const char *path = v1_path(request);

	if (strncmp(path, deployments, strlen(deployments)) != 0)
		return path;
	path += strlen(deployments);
	return path + strcspn(path, "/");
}

/*
 * The URL at the model server. The path has one name or two, as in the routes: "/models",
 * "/audio/speech"; a model's may have slashes. The caller's to free; NULL: out of memory, or too
 * long.
 */
static char *
upstream_url(const struct passage *passage)
{
	const char *path = upstream_path(passage->request), *second = strchr(path + 1, '/');
	int first_len = second ? (int)(second - path) + 1 : (int)strlen(path);
	struct buf url = BUF_INIT(URL_MAX);
	char *query = v1_query(passage->request);

	buf_printf(&url, "%s%.*s", passage->v1->config->base_url, first_len, path);
	if (second)
		percent_encode(&url, second + 1);
	if (query && *query)
		buf_printf(&url, "?%s", query);
	url.failed = url.failed || !query;
	free(query);
	return buf_take(&url);
}

/* The headers for the model server. It owns the lines, except for the key's. */
struct headers {
	char *lines[HEADERS_MAX + 1];
	int len;
};

/* A value that could forge other headers is dropped. */
static void
add_header(struct headers *headers, const char *name, const char *value)
{
	char *line;

	if (!value || !*value)
		return;
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return;
	if (asprintf(&line, "%s: %s", name, value) >= 0)
		headers->lines[headers->len++] = line;
}

static ssize_t
read_body(void *arg, char *bytes, size_t size)
{
	struct passage *passage = arg;

	return request_pieces_read(&passage->body, bytes, size);
}

/* --- the answer --- */

static void
copy_header(struct passage *passage, const struct http_head *head, const char *name)
{
	const char *value = http_head_value(head, name);

	if (value)
		response_header(passage->response, name, value);
}

static int
on_head(void *arg, const struct http_head *head)
{
	static const char events[] = "text/event-stream";
	struct passage *passage = arg;
	struct response *response = passage->response;
	const char *id = http_head_value(head, "x-request-id"), *type;
	char length[24];

	log_info(
	    "the model server answers %ld, its request id: %.80s", head->status, id ? id : "none");
	if (head->status == 401) {
		passage->key_failed = true;
		return -1;
	}
	type = http_head_value(head, "Content-Type");
	passage->is_text = type && (strstr(type, "json") || strncasecmp(type, "text/", 5) == 0);
	passage->is_events = type && strncasecmp(type, events, sizeof events - 1) == 0;
	response->status = (int)head->status;
	copy_header(passage, head, "Content-Type");
	copy_header(passage, head, "Retry-After");
	copy_header(passage, head, "retry-after-ms");
	copy_header(passage, head, "x-should-retry");
	snprintf(length, sizeof length, "%lld", head->body_len);
	if (head->body_len >= 0)
		response_header(response, "Content-Length", length);
	/* An error before the body was read: web servers want it read. */
	if (head->status >= 300)
		request_drain(passage->request);
	if (response_begin(response, passage->request->exchange) < 0)
		return -1;
	return strcmp(passage->request->method, "HEAD") == 0 ? -1 : 0;
}

/* --- what it costs --- */

static void
keep_tail(struct passage *passage, const char *bytes, size_t len)
{
	size_t kept = len < TAIL_SIZE ? TAIL_SIZE - len : 0;

	passage->received += len;
	if (kept > passage->tail_len)
		kept = passage->tail_len;
	if (len > TAIL_SIZE) {
		bytes += len - TAIL_SIZE;
		len = TAIL_SIZE;
	}
	memmove(passage->tail, passage->tail + passage->tail_len - kept, kept);
	memcpy(passage->tail + kept, bytes, len);
	passage->tail_len = kept + len;
	passage->tail[passage->tail_len] = '\0';
}

static long long
count_of(struct json_object *usage, const char *name, const char *other)
{
	long long count = json_get_int(usage, name, json_get_int(usage, other, -1));

	return count > TOKENS_MAX ? -1 : count;
}

/* The tokens in the usage object at `at`; -1: it is none. */
static long long
cost_at(const char *at)
{
	struct json_object *usage = NULL;
	const char *end = at;
	long long in, out, total;
	int depth = 0;

	do
		depth += (*end == '{') - (*end == '}');
	while (depth > 0 && *end++);
	if (depth == 0 && *at == '{')
		json_parse_foreign(at, (size_t)(end + 1 - at), &usage);
	in = count_of(usage, "input_tokens", "prompt_tokens");
	out = count_of(usage, "output_tokens", "completion_tokens");
	total = count_of(usage, "total_tokens", "total_tokens");
	json_object_put(usage);
	if (total >= 0 || in < 0)
		return total;
	return in + (out > 0 ? out : 0);
}

/* The tokens of the last usage in the answer; -1: the model server did not report it. */
static long long
reported_cost(const struct passage *passage)
{
	static const char name[] = "\"usage\"";
	const char *at = passage->tail;
	long long cost = -1, told;

	while ((at = strstr(at, name))) {
		at += strlen(name);
		at += strspn(at, ": \t\r\n");
		told = cost_at(at);
		cost = told >= 0 ? told : cost;
	}
	return cost;
}

/* The most tokens of an answer that sets no limit; on some paths there are none. */
static long long
longest_answer(const struct passage *passage)
{
	const char *path = upstream_path(passage->request);

	if (passage->answer_max)
		return passage->answer_max;
	return strcmp(path, "/embeddings") == 0 || strcmp(path, "/moderations") == 0 ? 1 : 0;
}

/* Reserves tokens of the key's budget, for the body and the longest answer. False: answered. */
static bool
reserve(struct passage *passage)
{
	struct request *request = passage->request;
	struct response *response = passage->response;
	const struct budget_question question = {
	    .id = passage->reservation,
	    .bytes = request->body        ? (long long)request->body_len
		: passage->body.left >= 0 ? passage->body.left
					  : UNKNOWN_LEN,
	    .answer_max = longest_answer(passage),
	    .timeout_s = passage->v1->config->run_timeout_s,
	};
	long long granted, wait_s;

	passage->begun_ms = clock_ms();
	if (strcmp(request->method, "POST") != 0 ||
	    !budget_is_bounded(passage->v1->budgets, request->tenant))
		return true;
	id_new(passage->reservation, "pass_");
	switch (budget_take(passage->v1->budgets, request->tenant, &question, &granted, &wait_s)) {
	case BUDGET_RESERVED:
		passage->granted = granted;
		return true;
	case BUDGET_EMPTY:
	case BUDGET_HELD:
		v1_answer_empty(response, wait_s);
		break;
	default:
		v1_retry_after(response, -1);
		v1_error(response, 503, NULL, NULL, "The database is busy; try again soon.");
	}
	return false;
}

static void
settle(const struct passage *passage)
{
	/* If the client left, or time was over, the model may have been at work. */
	bool worked =
	    passage->response->begun ? passage->response->status / 100 == 2 : passage->left_early;
	long long share = passage->is_events ? EVENTS_SHARE : 1;
	long long said =
	    passage->is_text ? (long long)passage->received / (BYTES_A_TOKEN * share) : 0;

	if (*passage->reservation)
		budget_give(passage->v1->budgets, passage->reservation,
		    worked ? reported_cost(passage) : 0, said,
		    (clock_ms() - passage->begun_ms + 999) / 1000);
}

static int
on_piece(void *arg, const char *bytes, size_t len)
{
	struct passage *passage = arg;

	keep_tail(passage, bytes, len);
	return response_write(passage->response, passage->request->exchange, bytes, len);
}

static void
answer_bad_body(struct passage *passage)
{
	v1_refuse_body(passage->request, passage->response, passage->body.result,
	    "The body is larger than 32 MiB, the most that is passed on.");
}

/* Answers a call that ended before there was an answer. */
static void
answer_failure(struct passage *passage, enum http_outcome outcome)
{
	struct response *response = passage->response;

	if (passage->key_failed) {
		v1_forbid_retry(response);
		v1_error(response, 502, NULL, NULL,
		    "The model server does not accept this server's key: its setting "
		    "OPENAI_API_KEY must be corrected.");
	} else if (passage->body.result != REQUEST_BODY_OK) {
		answer_bad_body(passage);
	} else if (outcome == HTTP_INTERRUPTED) {
		v1_retry_after(response, -1);
		v1_error(
		    response, 503, NULL, NULL, "The server is being restarted; try again soon.");
	} else if (outcome == HTTP_SILENT) {
		v1_error(response, 504, NULL, NULL, "The model server did not answer in time.");
	} else {
		v1_error(response, 502, NULL, NULL, "The model server cannot be reached.");
	}
}

/* The client would take the sudden end of a stream for the end of the answer. */
static void
end_events(struct passage *passage)
{
	struct json_object *error =
	    api_error_body(502, NULL, NULL, "The model server's stream broke off.");
	struct buf event = BUF_INIT(1024);

	buf_printf(&event, "\n\ndata: %s\n\n", json_text(error));
	if (!event.failed)
		on_piece(passage, event.data, event.len);
	buf_free(&event);
	json_object_put(error);
}

static void
call_upstream(struct passage *passage, const char *url, const char *body)
{
	struct v1 *v1 = passage->v1;
	struct request *request = passage->request;
	struct headers headers = {.len = 0};
	struct http_call call = {
	    .method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method,
	    .url = url,
	    .headers = (const char *const *)headers.lines,
	    .body = body,
	    .timeout_ms = (long long)v1->config->run_timeout_s * 1000,
	    .read_body = body ? NULL : read_body,
	    .body_len = passage->body.left,
	    .on_head = on_head,
	    .on_piece = on_piece,
	    .pass_arg = passage,
	    .interrupt = request->client,
	};
	struct http_answer answer;
	enum http_outcome outcome;
	bool failed = true;

	if (!body)
		add_header(&headers, "Content-Type", variable(request, "CONTENT_TYPE"));
	add_header(&headers, "Accept", variable(request, "HTTP_ACCEPT"));
	add_header(&headers, "OpenAI-Beta", variable(request, "HTTP_OPENAI_BETA"));
	headers.lines[headers.len] = v1->authorization;
	outcome = http_client_call(v1->http_client, &call, &answer);
	passage->left_early = outcome == HTTP_INTERRUPTED || outcome == HTTP_SILENT;
	http_count_failure("model", passage->key_failed ? HTTP_ANSWERED : outcome, answer.status);
	if (passage->key_failed)
		log_error("the model server does not accept the key (401): check OPENAI_API_KEY");
	else if (outcome != HTTP_ANSWERED && outcome != HTTP_STOPPED && outcome != HTTP_INTERRUPTED)
		log_error("the model server: %s", answer.detail);
	else
		failed = false;
	if (!passage->response->begun)
		answer_failure(passage, outcome);
	else if (failed && passage->is_events)
		end_events(passage);
	else if (failed || outcome == HTTP_INTERRUPTED || passage->body.result != REQUEST_BODY_OK)
		response_break_off(passage->response, request->exchange);
	http_answer_free(&answer);
	while (headers.len > 0)
		free(headers.lines[--headers.len]);
}

/* --- limiting the answer of a body that is read whole --- */

/* The member with which the body limits its answer, or could. */
static const char *
limit_name(const struct passage *passage, struct json_object *body)
{
	static const char *const names[] = {
	    "max_completion_tokens", "max_tokens", "max_output_tokens"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (json_get(body, names[i]))
			return names[i];
	return strcmp(upstream_path(passage->request), "/responses") == 0 ? "max_output_tokens"
									  : "max_tokens";
}

static void
read_limit(struct passage *passage, struct json_object *body)
{
	long long max = json_get_int(body, limit_name(passage, body), 0);

	passage->answer_max = max > 0 && max < TOKENS_MAX ? max : 0;
}

/* `body`: JSON to send instead of the client's body; NULL: the client's. */
static void
pass(struct passage *passage, struct json_object *body)
{
	char *url = upstream_url(passage);
	const char *text;

	if (!url) {
		v1_error(passage->response, 414, NULL, NULL, "The path is too long.");
	} else if (reserve(passage)) {
		if (passage->granted && body)
			json_set_int(body, limit_name(passage, body), passage->granted);
		text = body ? json_text(body) : NULL;
		/* It would lack something: the limit, or that nothing may be stored. */
		if (!memory_is_out())
			call_upstream(passage, url, text);
		settle(passage);
	}
	free(url);
}

/* Whether there is a server to pass it on to; if not, the request has been answered. */
static bool
begin(struct passage *passage)
{
	const struct config *config = passage->v1->config;

	if (config->pass_through == SWITCH_OFF || !is_straight(v1_path(passage->request))) {
		v1_error(passage->response, 404, NULL, NULL, "There is nothing at this path.");
		return false;
	}
	if (config->model_api != MODEL_API_OFFLINE)
		return true;
	v1_forbid_retry(passage->response);
	v1_error(passage->response, 501, NULL, NULL,
	    "No model server is set here that could answer this: it needs the server's setting "
	    "OPENAI_API_KEY or OPENAI_BASE_URL.");
	return false;
}

/* Whether the answer must be limited: a chat, of a name with a budget. */
static bool
is_limited(const struct passage *passage)
{
	return passage->body.left > 0 &&
	    passage->body.left <= (long long)passage->v1->config->max_body &&
	    strcmp(upstream_path(passage->request), "/chat/completions") == 0 &&
	    budget_is_bounded(passage->v1->budgets, passage->request->tenant);
}

/* Passes on a body that is read whole, so that it can get a limit. */
static void
pass_limited(struct passage *passage)
{
	struct request *request = passage->request;
	struct json_object *body;

	passage->body.result = request_read_body(request, (size_t)passage->body.left);
	if (passage->body.result != REQUEST_BODY_OK) {
		answer_bad_body(passage);
		return;
	}
	if (!v1_body(request, passage->response, &body))
		return;
	if (json_object_is_type(body, json_type_object)) {
		read_limit(passage, body);
		pass(passage, body);
	} else {
		v1_error(passage->response, 400, NULL, NULL,
		    "We could not parse the JSON body of your request.");
	}
	json_object_put(body);
}

void
v1_pass_through(void *room, struct request *request, struct response *response)
{
	struct passage passage = {.v1 = room, .request = request, .response = response};

	if (!begin(&passage))
		return;
	if (strcmp(request->method, "POST") == 0 &&
	    request_pieces_begin(&passage.body, request, BODY_MAX) != REQUEST_BODY_OK) {
		answer_bad_body(&passage);
		return;
	}
	if (is_limited(&passage)) {
		pass_limited(&passage);
		return;
	}
	pass(&passage, NULL);
}

/* --- the Responses API: the server must store nothing, because it cannot tell tenants apart --- */

/* NULL: it may be passed on. Else the first member that could reach something stored. */
static const char *
forbidden_field(struct json_object *body)
{
	static const char *const fields[] = {"previous_response_id", "conversation", "background"};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct json_object *value = json_get(body, fields[i]);

		/* `background: false` asks for nothing. */
		if (value &&
		    !(json_object_is_type(value, json_type_boolean) &&
			!json_object_get_boolean(value)))
			return fields[i];
	}
	return NULL;
}

void
v1_responses(void *room, struct request *request, struct response *response)
{
	struct passage passage = {.v1 = room, .request = request, .response = response};
	struct json_object *body = NULL;
	const char *field;
	char sentence[256];

	if (!begin(&passage))
		return;
	if (!v1_body(request, response, &body))
		return;
	if (!json_object_is_type(body, json_type_object)) {
		json_object_put(body);
		v1_error(
		    response, 400, NULL, NULL, "We could not parse the JSON body of your request.");
		return;
	}
	field = forbidden_field(body);
	if (field) {
		snprintf(sentence, sizeof sentence,
		    "'%s' is not accepted here, because the model server stores nothing: send the "
		    "whole conversation as 'input'.",
		    field);
		v1_error(response, 400, field, NULL, sentence);
	} else {
		json_set(body, "store", json_new_bool(0));
		read_limit(&passage, body);
		pass(&passage, body);
	}
	json_object_put(body);
}
