#include "v1/v1.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "obs/log.h"
#include "records/idempotency.h"
#include "text/api_error.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"
#include "v1/beta_v1.h"
#include "v1/internal.h"

enum { RETRY_AFTER_DEFAULT_S = 1, SDK_WAIT_MAX_S = 60, CONTENT_PIECE = 64 << 10 };

/* Without this header SDKs poll every second, or every five. */
static const char poll_after_ms[] = "300";

/* One call under way. */
struct exchange_call {
	struct request *request;
	struct response *response;
	bool old;  /* it uses version 1: beta_v1.h */
	bool gone; /* the client takes no more events; its run goes on */
};

struct v1 *
v1_new(const struct config *config, struct api *api, const struct budgets *budgets,
    const struct blobs *blobs, struct http_client *http_client)
{
	struct v1 *v1 = calloc(1, sizeof *v1);

	if (!v1)
		return NULL;
	v1->config = config;
	v1->api = api;
	v1->blobs = blobs;
	v1->db = budgets->db;
	v1->budgets = budgets;
	v1->http_client = http_client;
	v1->keys = keys_new(config->keys_file);
	if (config->api_key &&
	    asprintf(&v1->authorization, "Authorization: Bearer %s", config->api_key) < 0)
		v1->authorization = NULL;
	if (v1->keys && (v1->authorization || !config->api_key))
		return v1;
	v1_free(v1);
	return NULL;
}

void
v1_free(struct v1 *v1)
{
	if (!v1)
		return;
	keys_free(v1->keys);
	if (v1->authorization)
		explicit_bzero(v1->authorization, strlen(v1->authorization));
	free(v1->authorization);
	free(v1);
}

static const char *
variable(struct request *request, const char *name)
{
	return request->exchange->variable(request->exchange, name);
}

void
v1_error(
    struct response *response, int status, const char *param, const char *code, const char *message)
{
	response_json(response, status, api_error_body(status, param, code, message));
}

void
v1_refuse_body(struct request *request, struct response *response, enum request_body_result result,
    const char *too_large)
{
	/* Waiting for the rest of the body would occupy a worker. */
	request->exchange->hurried = true;
	switch (result) {
	case REQUEST_BODY_TOO_LARGE:
		v1_error(response, 413, NULL, NULL, too_large);
		break;
	case REQUEST_BODY_SLOW:
		v1_error(response, 408, NULL, NULL,
		    "The body came too slowly: it may take 20 seconds, and one more for each 16 "
		    "KiB.");
		break;
	case REQUEST_BODY_BAD_LENGTH:
		v1_error(response, 400, NULL, NULL, "The Content-Length is not a number.");
		break;
	default:
		v1_error(response, 400, NULL, NULL, "The body ended before its Content-Length.");
	}
}

void
v1_forbid_retry(struct response *response)
{
	response_header(response, "x-should-retry", "false");
}

void
v1_retry_after(struct response *response, long seconds)
{
	response->retry_after_s = seconds >= 0 ? seconds : RETRY_AFTER_DEFAULT_S;
}

/* SDKs ignore long waits and would retry at once. */
static void
retry_after_tokens(struct response *response, long long wait_s)
{
	v1_retry_after(response, (long)wait_s);
	if (wait_s > SDK_WAIT_MAX_S)
		v1_forbid_retry(response);
}

void
v1_answer_empty(struct response *response, long long wait_s)
{
	char sentence[BUDGET_SENTENCE_SIZE];

	budget_print_empty(wait_s, sentence);
	v1_error(response, 429, NULL, "rate_limit_exceeded", sentence);
	retry_after_tokens(response, wait_s);
}

/* --- the key --- */

static const char *
given_key(struct request *request)
{
	const char *key = request_bearer(request);

	return key ? key : variable(request, "HTTP_API_KEY");
}

_Static_assert((int)REQUEST_TENANT_SIZE >= (int)KEYS_TENANT_SIZE, "a tenant would not fit");

bool
v1_admits(void *room, struct request *request, struct response *response)
{
	const char *key = given_key(request);
	struct v1 *v1 = room;

	/* The Assistants API is on another server. */
	if (!v1) {
		v1_error(response, 404, NULL, NULL,
		    "There is nothing at this path: this server uses the assistants of another one "
		    "(ASSISTANTS_UPSTREAM_URL).");
		return false;
	}
	switch (keys_find(v1->keys, key ? key : "", request->tenant)) {
	case KEYS_KNOWN:
		return true;
	case KEYS_NONE:
		v1_error(response, 401, NULL, "invalid_api_key",
		    "No key is set up here: on the server, assistants.fcgi --make-key NAME makes "
		    "one.");
		break;
	case KEYS_UNKNOWN:
		v1_error(response, 401, NULL, "invalid_api_key",
		    key ? "Incorrect API key provided."
			: "You didn't provide an API key: send it as Authorization: Bearer KEY.");
	}
	response_header(response, "WWW-Authenticate", "Bearer");
	return false;
}

/* --- the request --- */

const char *
v1_path(const struct request *request)
{
	return request->path + strcspn(request->path + 1, "/") + 1;
}

char *
v1_query(struct request *request)
{
	const char *at = variable(request, "QUERY_STRING");
	struct buf query = BUF_INIT(REQUEST_PATH_MAX);

	while (at && *at) {
		size_t len = strcspn(at, "&");

		if (strncmp(at, "api-version=", 12) != 0)
			buf_printf(&query, "%s%.*s", query.len ? "&" : "", (int)len, at);
		at += len + (at[len] == '&');
	}
	return buf_take(&query);
}

bool
v1_body(struct request *request, struct response *response, struct json_object **body)
{
	const struct json_bounds bounds = {SIZE_MAX, request_hold, request};

	*body = NULL;
	if (request->body_len == 0)
		return true;
	switch (json_parse_within(request->body, request->body_len, &bounds, body)) {
	case JSON_PARSED:
		return true;
	case JSON_BAD:
		v1_error(
		    response, 400, NULL, NULL, "We could not parse the JSON body of your request.");
		break;
	case JSON_NO_MEMORY:
		v1_retry_after(response, -1);
		v1_error(response, 503, NULL, NULL,
		    "The server has no memory left for this body; try again soon.");
	}
	return false;
}

/* --- the answer --- */

static void
on_event(void *arg, const struct event *event)
{
	struct exchange_call *call = arg;
	char name[EVENT_NAME_SIZE];
	struct json_object *data;
	const char *text;

	if (!call->response->begun)
		call->gone = response_begin_events(call->response, call->request->exchange, "") < 0;
	if (call->gone)
		return;
	if (call->old)
		beta_v1_print_name(event, name);
	else
		event_print_name(event, name);
	data = event_json(event);
	if (call->old) {
		struct json_object *shown = beta_v1_shown(data);

		json_object_put(data);
		data = shown;
	}
	text = json_text(data);
	if (memory_is_out())
		call->gone = !response_break_off(call->response, call->request->exchange);
	else
		call->gone =
		    response_event(call->response, call->request->exchange, name, text) < 0;
	json_object_put(data);
}

static void
answer_stream(struct exchange_call *call)
{
	if (!call->gone)
		response_event(call->response, call->request->exchange, "done", "[DONE]");
}

static void
answer_object(struct exchange_call *call, const struct api_response *answer)
{
	const char *object = json_get_string(answer->body, "object");
	struct json_object *body =
	    call->old ? beta_v1_shown(answer->body) : json_object_get(answer->body);

	if (object && strcmp(object, "thread.run") == 0)
		response_header(call->response, "openai-poll-after-ms", poll_after_ms);
	if (answer->error == API_NO_TOKENS)
		retry_after_tokens(call->response, answer->retry_after_s);
	else if (answer->status == 429 || answer->status == 503)
		v1_retry_after(call->response, answer->retry_after_s);
	response_json(call->response, answer->status, body);
}

/* --- lists, sent in pieces because their objects may be large --- */

static void
add_text(struct exchange_call *call, const char *text)
{
	response_add(call->response, text, strlen(text));
}

static void
add_objects(struct exchange_call *call, struct json_object *list, bool *any)
{
	struct json_object *shown = call->old ? beta_v1_shown(list) : json_object_get(list);
	struct json_object *data = json_get_array(shown, "data");

	for (size_t i = 0; i < json_len(data); i++) {
		add_text(call, *any ? "," : "");
		add_text(call, json_text(json_at(data, i)));
		*any = true;
	}
	json_object_put(shown);
}

/*
 * Sends what was read, and reads the next piece in its place. False: there is none, or the client
 * takes no more.
 */
static bool
read_rest(struct v1 *v1, struct api_request *asked, struct exchange_call *call,
    struct api_response *answer)
{
	const char *last_id = json_get_string(answer->body, "last_id");
	struct api_request rest = *asked;
	char *after = last_id ? strdup(last_id) : NULL;

	rest.rest_after = after;
	rest.rest_limit = answer->left_out;
	json_object_put(answer->body);
	*answer = (struct api_response){.status = 503};
	if (after && request_flush(call->request, call->response))
		api_handle(v1->api, &rest, answer);
	free(after);
	return answer->status == 200;
}

static void
answer_crowd(struct exchange_call *call)
{
	v1_retry_after(call->response, -1);
	v1_error(call->response, 503, NULL, NULL,
	    "Too many long answers are being sent; try again soon.");
}

static void
answer_no_rest(struct exchange_call *call, const struct api_response *answer)
{
	if (answer->body)
		answer_object(call, answer);
	else
		answer_crowd(call);
}

/* Each piece is sent before the next is read. */
static void
answer_list(struct v1 *v1, struct api_request *asked, struct exchange_call *call,
    struct api_response *answer)
{
	struct json_object *first_id = json_object_get(json_get(answer->body, "first_id"));
	struct response *response = call->response;
	bool any = false;

	response_text(response, 200, "{\"object\":\"list\",\"data\":[");
	response->content_type = "application/json";
	add_objects(call, answer->body, &any);
	while (answer->left_out > 0 && !response->lost) {
		if (!read_rest(v1, asked, call, answer)) {
			if (response_break_off(response, call->request->exchange))
				answer_no_rest(call, answer);
			goto out;
		}
		add_objects(call, answer->body, &any);
	}
	add_text(call, "],\"first_id\":");
	add_text(call, json_text(first_id));
	add_text(call, ",\"last_id\":");
	add_text(call, json_text(json_get(answer->body, "last_id")));
	add_text(call, ",\"has_more\":");
	add_text(call, json_text(json_get(answer->body, "has_more")));
	add_text(call, "}");
	response_end(response, call->request->exchange);
out:
	json_object_put(first_id);
}

/* Sends a file's bytes, piece by piece. */
static void
answer_content(struct exchange_call *call, const struct api_response *answer)
{
	struct response *response = call->response;
	struct exchange *exchange = call->request->exchange;
	char piece[CONTENT_PIECE], length[24];
	long long left = answer->content_len;
	ssize_t got = 0;

	if (request_occupy(call->request) != OCCUPANCY_TAKEN) {
		answer_crowd(call);
		goto out;
	}
	snprintf(length, sizeof length, "%lld", left);
	response->status = 200;
	response->content_type = "application/octet-stream";
	response_header(response, "Content-Length", length);
	/* No browser shows it as a page of this site. */
	response_header(response, "Content-Disposition", "attachment");
	response->patient = true;
	response_begin(response, exchange);
	while (left > 0 && !response->lost && !response->head &&
	    (got = read(answer->content_fd, piece, sizeof piece)) > 0) {
		response_write(response, exchange, piece, (size_t)got);
		left -= got;
	}
	if (got < 0 || (got == 0 && left > 0 && !response->lost && !response->head)) {
		log_error("the bytes of a file cannot be read: %s",
		    got < 0 ? strerror(errno) : "some are missing");
		response_break_off(response, exchange);
	}
out:
	close(answer->content_fd);
}

/* Stores an answer for its repetition, unless it lacks something for want of memory. */
static void
remember(struct v1 *v1, const struct idempotent *idempotent, const struct api_response *answer)
{
	const char *text = answer->body ? json_text(answer->body) : NULL;
	bool out_of_memory = memory_begin();

	if (answer->status >= 400)
		idempotency_end(v1->db, idempotent, answer->status, text ? text : "");
	else if (!out_of_memory)
		idempotency_end(v1->db, idempotent, answer->status, text);
	memory_end(out_of_memory);
}

static int
carry_out(struct v1 *v1, struct api_request *asked, struct exchange_call *call,
    const struct idempotent *idempotent)
{
	char *query = v1_query(call->request);
	/* Without an interrupt: a run goes on when its client leaves. */
	const struct listener listener = {.on_event = on_event, .arg = call};
	struct api_response answer;

	asked->query = query;
	asked->listener = &listener;
	api_handle(v1->api, asked, &answer);
	asked->listener = NULL;
	call->response->route = answer.route;
	if (idempotent->key)
		remember(v1, idempotent, &answer);
	if (call->response->begun)
		answer_stream(call);
	else if (answer.content_fd >= 0)
		answer_content(call, &answer);
	else if (answer.left_out > 0)
		answer_list(v1, asked, call, &answer);
	else
		answer_object(call, &answer);
	json_object_put(answer.body);
	free(query);
	return answer.status;
}

/* --- repeated requests --- */

/* Answers as the first request was answered. */
static void
answer_again(struct exchange_call *call, const struct idempotency_found *found)
{
	struct api_response answer = {.status = found->status, .retry_after_s = -1};

	if (json_parse(found->answer, strlen(found->answer), &answer.body) < 0) {
		v1_error(call->response, 500, NULL, NULL, "The first answer cannot be read back.");
		return;
	}
	response_header(call->response, "Idempotent-Replayed", "true");
	answer_object(call, &answer);
	json_object_put(answer.body);
}

/* Whether to carry out the request; if not, it has been answered. */
static bool
is_first(struct v1 *v1, const struct idempotent *idempotent, struct exchange_call *call)
{
	static const char header[] = "Idempotency-Key";
	struct response *response = call->response;
	struct idempotency_found found;

	switch (idempotency_begin(v1->db, idempotent, &found)) {
	case IDEMPOTENCY_FIRST:
		return true;
	case IDEMPOTENCY_ANSWERED:
		answer_again(call, &found);
		free(found.answer);
		break;
	case IDEMPOTENCY_STREAMED:
		v1_error(response, 400, header, NULL,
		    "The answer to this Idempotency-Key was a stream, which is not sent twice: "
		    "list the thread's runs for its result.");
		break;
	case IDEMPOTENCY_OTHER:
		v1_error(response, 422, header, NULL,
		    "This Idempotency-Key was used before, with another body.");
		break;
	case IDEMPOTENCY_BUSY:
		v1_retry_after(response, -1);
		v1_error(response, 409, header, NULL,
		    "The first request with this Idempotency-Key is still being worked on.");
		break;
	case IDEMPOTENCY_LOST:
		v1_forbid_retry(response);
		v1_error(response, 409, header, NULL,
		    "The first request with this Idempotency-Key was not finished, and may have "
		    "taken effect: check that, and send it with another key if it did not.");
		break;
	case IDEMPOTENCY_FAILED:
		v1_retry_after(response, -1);
		v1_error(response, 503, NULL, NULL, "The database is busy; try again soon.");
	}
	return false;
}

/* Reads the header; NULL: there is none that counts. False: refused. */
static bool
read_idempotency_key(struct request *request, struct response *response, const char **key)
{
	const char *value = variable(request, "HTTP_IDEMPOTENCY_KEY");

	*key = strcmp(request->method, "POST") == 0 && value && *value ? value : NULL;
	if (!*key || (strlen(*key) <= IDEMPOTENCY_KEY_MAX && utf8_valid(*key, strlen(*key))))
		return true;
	v1_error(response, 400, "Idempotency-Key", NULL,
	    "An Idempotency-Key has at most 255 bytes, in UTF-8.");
	return false;
}

int
v1_call(struct v1 *v1, struct request *request, struct response *response,
    struct api_request *asked, const char *body, size_t body_len)
{
	struct exchange_call call = {.request = request, .response = response};
	struct idempotent idempotent = {
	    .tenant = request->tenant,
	    .body = body ? body : "",
	    .body_len = body_len,
	    .streams = json_object_get_boolean(json_get(asked->body, "stream")),
	};

	asked->tenant = request->tenant;
	asked->method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
	asked->path = v1_path(request);
	idempotent.path = asked->path;
	if (!read_idempotency_key(request, response, &idempotent.key))
		return 0;
	call.old =
	    beta_v1_asked(variable(request, "HTTP_OPENAI_BETA"), variable(request, "QUERY_STRING"));
	asked->first_version = call.old;
	if (call.old)
		beta_v1_request(asked->path, asked->body);
	if (idempotent.key && !is_first(v1, &idempotent, &call))
		return 0;
	return carry_out(v1, asked, &call, &idempotent);
}

void
v1_answer(void *room, struct request *request, struct response *response)
{
	struct api_request asked = {0};

	if (v1_body(request, response, &asked.body))
		v1_call(room, request, response, &asked, request->body, request->body_len);
	json_object_put(asked.body);
}

void
v1_not_yet(void *room, struct request *request, struct response *response)
{
	(void)room;
	(void)request;
	v1_forbid_retry(response);
	v1_error(response, 501, NULL, NULL,
	    "Vector stores and uploads in parts are not served here yet.");
}
