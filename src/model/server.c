#include "model/server.h"

#include <pthread.h>

#include "util/json.h"
#include "util/log.h"
#include "util/metrics.h"

enum { TOKENS_MAX = INT32_MAX, REMEMBERED_MAX = 100 };

struct server_model {
	struct model model;
	const struct dialect *dialect;
	struct http_client *client;
	char *base_url, *url;
	char *authorization;        /* the header; NULL: none */
	struct json_object *models; /* borrowed; asked → sent, NULL: as asked */
	pthread_mutex_t lock;
	struct json_object *without; /* model → bits of what its server refuses */
};

/* One question on its way. */
struct question {
	struct answer answer;
	const struct dialect *dialect;
	unsigned without;
	bool again;   /* it was refused, and is to be asked without more */
	bool once;    /* and that is nothing to remember */
	bool foreign; /* the server does not speak the dialect */
};

/* --- the request --- */

void
server_set(struct json_object *body, const char *name, struct json_object *value)
{
	if (value)
		json_set(body, name, value);
}

struct json_object *
server_tool_choice(struct json_object *choice)
{
	bool chosen = json_object_is_type(choice, json_type_string) &&
	    strcmp(json_object_get_string(choice), "auto") != 0;

	return chosen ? json_object_get(choice) : NULL;
}

struct json_object *
server_parallel(struct json_object *options)
{
	struct json_object *parallel = json_get(options, "parallel_tool_calls");

	return parallel && !json_object_get_boolean(parallel) ? json_object_get(parallel) : NULL;
}

static const char *
asked_model(const struct model_request *request)
{
	const char *model = json_get_string(request->options, "model");

	return model ? model : "";
}

static unsigned
recall_without(struct server_model *self, const char *model)
{
	unsigned without;

	pthread_mutex_lock(&self->lock);
	without = (unsigned)json_get_int(self->without, model, 0);
	pthread_mutex_unlock(&self->lock);
	return without;
}

static void
remember_without(struct server_model *self, const char *model, unsigned without)
{
	pthread_mutex_lock(&self->lock);
	/* Programs may invent models without end. */
	if (json_object_object_length(self->without) < REMEMBERED_MAX)
		json_set_int(self->without, model, without);
	pthread_mutex_unlock(&self->lock);
}

/* --- errors --- */

/* The words of an error in any of the forms that servers use. */
static const char *
error_words(struct json_object *object)
{
	struct json_object *error = json_get(object, "error");
	const char *words = json_get_string(error, "message");

	if (!words && json_object_is_type(error, json_type_string))
		words = json_object_get_string(error);
	if (!words)
		words = json_get_string(object, "message");
	return words ? words : "it gave no reason";
}

static bool
has_said_something(const struct answer *answer)
{
	return answer->open || answer->any || answer->calls_len > 0;
}

/* There is no one code for it. Only before anything was said: then it can be asked with less. */
static bool
is_too_long(const struct answer *answer, struct json_object *object)
{
	static const char *const signs[] = {"context_length_exceeded", "exceed_context_size",
	    "context length", "context size", "context window", "prompt is too long"};
	struct json_object *error = json_get(object, "error");
	const char *text = json_text(error ? error : object);

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strcasestr(text, signs[i]))
			return !has_said_something(answer);
	return false;
}

int
server_error(struct answer *answer, struct json_object *object)
{
	struct json_object *error = json_get_object(object, "error");
	const char *code = json_get_string(error ? error : object, "code");

	answer->ended = true;
	if (code && strcmp(code, "rate_limit_exceeded") == 0)
		answer->result->outcome = MODEL_BUSY;
	else
		answer->result->outcome =
		    is_too_long(answer, object) ? MODEL_TOO_LONG : MODEL_FAILED;
	answer_set_error(answer, "The model server failed: %s", error_words(object));
	return -1;
}

/* Whether the server knows no such path; a model that it does not know is something else. */
static bool
is_foreign(long status, struct json_object *body)
{
	const char *code = json_get_string(json_get_object(body, "error"), "code");

	return (status == 404 || status == 405 || status == 501) &&
	    !(code && strcmp(code, "model_not_found") == 0);
}

/* Whether the server refused something that can be left out. */
static bool
is_refused(struct question *question, const struct http_answer *answer)
{
	if ((answer->status != 400 && answer->status != 422) || !answer->body.data)
		return false;
	for (const struct optional *at = question->dialect->optional; at->words; at++) {
		if ((question->without & at->bit) || !strcasestr(answer->body.data, at->words))
			continue;
		log_info("the model server refuses \"%s\": it is asked without", at->words);
		question->without |= at->bit;
		question->once |= at->once;
		return true;
	}
	return false;
}

static void
read_refusal(struct question *question, const struct http_answer *answer, struct json_object *body)
{
	struct model_result *result = question->answer.result;
	bool busy = answer->status == 429 || answer->status == 503;

	question->foreign = is_foreign(answer->status, body);
	question->again = is_refused(question, answer);
	if (busy)
		result->outcome = MODEL_BUSY;
	else
		result->outcome =
		    is_too_long(&question->answer, body) ? MODEL_TOO_LONG : MODEL_FAILED;
	result->retry_after_s = busy ? answer->retry_after_s : -1;
	answer_set_error(&question->answer, "The model server answered %ld: %s", answer->status,
	    body ? error_words(body) : "not in JSON");
}

/* --- the answer --- */

void
server_read_usage(
    struct answer *answer, struct json_object *usage, const char *prompt, const char *completion)
{
	long long in = json_get_int(usage, prompt, -1), out = json_get_int(usage, completion, -1);

	if (in < 0 || in > TOKENS_MAX || out < 0 || out > TOKENS_MAX)
		return;
	answer->result->prompt_tokens = in;
	answer->result->completion_tokens = out;
}

/* As the dialect's peek(). */
static int
peek(struct question *question, const char *name, const char *data, size_t len)
{
	const struct dialect *dialect = question->dialect;

	return dialect->peek ? dialect->peek(&question->answer, name, data, len) : 0;
}

static int
on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct question *question = arg;
	struct answer *answer = &question->answer;
	struct json_object *event;
	const char *type;
	int result = 0;

	if (strcmp(data, "[DONE]") == 0) {
		result = question->dialect->read_end(answer);
	} else if ((result = peek(question, name, data, len)) != 0) {
		/* Read. */
	} else if (json_parse_foreign(data, len, &event) < 0) {
		return answer_break(answer, "The model server sent an event that is not JSON.");
	} else {
		type = json_get_string(event, "type");
		result = question->dialect->read_event(answer, type ? type : name, event);
		json_object_put(event);
	}
	return result < 0 ? -1 : answer->ended;
}

/* An answer that was not streamed: an error, or a server that does not stream. */
static void
read_body(struct question *question, const struct http_answer *http_answer)
{
	const char *text = http_answer->body.data ? http_answer->body.data : "";
	struct json_object *body = NULL;

	if (json_parse_foreign(text, http_answer->body.len, &body) < 0)
		body = NULL;
	if (http_answer->status / 100 != 2)
		read_refusal(question, http_answer, body);
	else if (json_get(body, "error"))
		server_error(&question->answer, body);
	else if (!question->dialect->read_body(&question->answer, body))
		answer_set_error(&question->answer,
		    "The model server answered %.64s, which is no response of a model.",
		    *http_answer->content_type ? http_answer->content_type : "without a type");
	json_object_put(body);
}

static void
read_outcome(struct question *question, enum http_outcome outcome, const struct http_answer *http)
{
	struct answer *answer = &question->answer;

	if (!answer->ended && !answer->broken && http->streamed && answer->finished)
		question->dialect->read_end(answer);
	if (answer->ended || answer->broken)
		return;
	switch (outcome) {
	case HTTP_ANSWERED:
		if (http->streamed)
			answer_set_error(
			    answer, "The model server's stream ended before its answer did.");
		else
			read_body(question, http);
		return;
	case HTTP_INTERRUPTED:
		answer->result->outcome = MODEL_INTERRUPTED;
		return;
	case HTTP_SILENT:
		answer->result->outcome = MODEL_SILENT;
		answer_set_error(answer, "The model server did not answer in time.");
		return;
	default:
		if (http->status)
			answer_set_error(answer, "The model server answered %ld, and then: %s",
			    http->status, http->detail);
		else
			answer_set_error(
			    answer, "The model server could not be asked: %s", http->detail);
	}
}

/*
 * Whether the server was at work. An error in place of an answer costs nothing; who is left, or
 * breaks off, may have thought without a word, and who was silent too.
 */
static bool
was_at_work(const struct answer *answer, enum http_outcome outcome, const struct http_answer *http)
{
	if (has_said_something(answer))
		return true;
	if (answer->ended)
		return answer->result->outcome <= MODEL_INCOMPLETE;
	if (http->status == 0)
		return http->sent && (outcome == HTTP_INTERRUPTED || outcome == HTTP_SILENT);
	return http->status / 100 == 2 && (http->streamed || outcome != HTTP_ANSWERED);
}

/* What was cut off behind its end was whole. */
static void
count_failure(
    const struct answer *answer, enum http_outcome outcome, const struct http_answer *http)
{
	enum model_outcome came = answer->result->outcome;

	if (came == MODEL_COMPLETED || came == MODEL_INCOMPLETE || came == MODEL_INTERRUPTED ||
	    answer->unkept)
		return;
	if (outcome == HTTP_STOPPED || (outcome == HTTP_ANSWERED && http->status / 100 == 2))
		metrics_add(METRIC_UPSTREAM_ERRORS, 1, "model", "bad_answer", NULL);
	else
		http_count_failure("model", outcome, http->status);
}

/* --- the question --- */

static void
ask_once(struct server_model *self, const struct model_request *request, struct question *question)
{
	struct json_object *body = json_object_new_object();
	const char *headers[] = {
	    "Accept: text/event-stream, application/json", self->authorization, NULL};
	struct http_call call = {
	    .method = "POST",
	    .url = self->url,
	    .headers = headers,
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = request->timeout_ms,
	    .on_event = on_event,
	    .event_arg = question,
	    .interrupt = request->interrupt,
	};
	struct http_answer answer;
	enum http_outcome outcome;

	json_set_string(body, "model", model_sent_name(self->models, asked_model(request)));
	self->dialect->fill(body, request, self->base_url, question->without);
	call.body = json_text(body);
	outcome = http_client_call(self->client, &call, &answer);
	read_outcome(question, outcome, &answer);
	question->answer.result->charged = was_at_work(&question->answer, outcome, &answer);
	count_failure(&question->answer, outcome, &answer);
	http_answer_free(&answer);
	json_object_put(body);
}

bool
server_model_ask(
    struct model *model, const struct model_request *request, struct model_result *result)
{
	struct server_model *self = (struct server_model *)model;
	const char *asked = asked_model(request);
	struct question question = {
	    .dialect = self->dialect, .without = recall_without(self, asked)};
	unsigned known = question.without;

	do {
		question.again = false;
		model_result_clear(result);
		answer_init(&question.answer, request, result, self->base_url);
		ask_once(self, request, &question);
		answer_free(&question.answer);
	} while (question.again);
	if (question.without != known && !question.once && result->outcome < MODEL_BUSY)
		remember_without(self, asked, question.without);
	return !question.foreign;
}

static void
ask(struct model *model, const struct model_request *request, struct model_result *result)
{
	server_model_ask(model, request, result);
}

static void
server_model_free(struct model *model)
{
	struct server_model *self = (struct server_model *)model;

	if (self->authorization)
		explicit_bzero(self->authorization, strlen(self->authorization));
	free(self->authorization);
	free(self->base_url);
	free(self->url);
	json_object_put(self->without);
	pthread_mutex_destroy(&self->lock);
	free(self);
}

struct model *
server_model_new(
    struct http_client *client, const struct model_server *server, const struct dialect *dialect)
{
	struct server_model *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->model = (struct model){.ask = ask, .free = server_model_free};
	self->dialect = dialect;
	self->client = client;
	self->models = server->models;
	self->without = json_object_new_object();
	pthread_mutex_init(&self->lock, NULL);
	self->base_url = strdup(server->base_url);
	if (asprintf(&self->url, "%s/%s", server->base_url, dialect->path) < 0)
		self->url = NULL;
	if (server->api_key &&
	    asprintf(&self->authorization, "Authorization: Bearer %s", server->api_key) < 0)
		self->authorization = NULL;
	if (self->without && self->base_url && self->url &&
	    (self->authorization || !server->api_key))
		return &self->model;
	server_model_free(&self->model);
	return NULL;
}
