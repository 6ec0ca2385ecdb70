#include "model/http_model.h"

#include "obs/log.h"
#include "obs/metrics.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/memory.h"

enum { TOKENS_MAX = 10000000 /* more than any model reads */ };

struct server_model {
	struct model model;
	const struct dialect *dialect;
	struct http_client *client;
	char *base_url, *url;
	char *authorization;        /* the header; NULL: none */
	struct json_object *models; /* borrowed; asked → sent; NULL: unchanged */
	struct needs *needs;
};

/* One question under way. */
struct question {
	struct server_model *model;
	const struct model_request *request;
	struct collector answer;
	const char *asked, *sent;    /* the model's name for the program, and for the server */
	unsigned needs;              /* the needs that `body` was made for */
	unsigned fleeting;           /* those of them that only this conversation has */
	char *body;                  /* the request's */
	unsigned tried;              /* the needs added last */
	char *refusal;               /* why it was refused, as refusal.h compares it */
	const struct resort *resort; /* the last resort tried; NULL: none */
	bool again;                  /* it was refused, and is asked again in another form */
	enum server_speaks speaks;
};

/* --- the request --- */

void
server_set(struct json_object *body, const char *name, struct json_object *value)
{
	if (value)
		json_set(body, name, value);
}

void
server_set_option(
    struct json_object *body, const struct model_request *request, const char *name, bool refused)
{
	if (!refused)
		server_set(body, name, json_object_get(json_get(request->options, name)));
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

/* The request's body, the caller's to free. */
static char *
form_body(const struct question *question, unsigned needs)
{
	const struct dialect *dialect = question->model->dialect;
	struct json_object *body = json_new_object();
	struct history history;
	char *text;

	history_form(&history, question->request, question->model->base_url, needs);
	json_set_string(body, "model", question->sent);
	dialect->fill(body, question->request, &history, needs);
	text = strdup(json_text(body));
	if (!text || history.told.failed)
		memory_fail();
	history_free(&history);
	json_object_put(body);
	return text;
}

/* --- errors --- */

static bool
has_begun(const struct collector *answer)
{
	return answer->begun || answer->open || answer->any || answer->calls_len > 0;
}

/* False: with these needs the request would be the same again. */
static bool
try_form(struct question *question, unsigned needs)
{
	char *body = form_body(question, needs);
	bool other = !memory_is_out() && strcmp(body, question->body) != 0;

	if (other) {
		free(question->body);
		question->body = body;
		question->needs = needs;
		question->again = true;
	} else {
		free(body);
	}
	return other;
}

static bool
try_rows(struct question *question, long status, const struct refusal *refusal,
    const struct refused *rows)
{
	const char *text = refusal->text.data ? refusal->text.data : "";
	/* A server that failed may report the temperature of its processor. */
	unsigned allowed = status == 500 ? ~(unsigned)NEED_NO_TEMPERATURE : ~0U;

	for (const struct refused *at = rows; at->words; at++) {
		if ((at->need & ~question->needs & allowed) == 0 || !strcasestr(text, at->words) ||
		    !try_form(question, question->needs | at->need))
			continue;
		log_info("the model server refuses the request, by \"%s\": trying another form",
		    at->words);
		question->fleeting |= at->once || refusal->of_value ? at->need : 0;
		question->tried = at->need;
		return true;
	}
	return false;
}

/*
 * What a refusal in unknown words may mean: the server does not take back what it sent, or it
 * dislikes something in the history. It would do so in every later request, so that is left out.
 */
static const struct resort {
	unsigned needs;
	bool fleeting; /* not remembered */
	const char *name;
} resorts[] = {
    {NEED_NOTHING_MORE, false, "without the server's own members"},
    {NEED_CALLS_AS_WORDS, true, "with calls as text"},
    {NEEDS_PLAIN, true, "in the plainest form"},
    {NEEDS_PLAIN | NEED_LAST_TURN, true, "with the newest message alone"},
};

static bool
try_last_resorts(struct question *question)
{
	for (size_t i = 0; i < sizeof resorts / sizeof *resorts; i++) {
		const struct resort *at = &resorts[i];
		unsigned more = at->needs & ~question->needs;

		if (more == 0 || !try_form(question, question->needs | at->needs))
			continue;
		log_info("the model server refuses the request: it is asked %s", at->name);
		question->fleeting |= at->fleeting ? more : 0;
		question->resort = at;
		return true;
	}
	return false;
}

static bool
is_other_api(const struct dialect *dialect, long status, const struct refusal *refusal)
{
	const char *text = refusal->text.data ? refusal->text.data : "";

	if (status != 400 && status != 404 && status != 405 && status != 422 && status != 501)
		return false;
	for (size_t i = 0; dialect->foreign[i]; i++)
		if (strcasestr(text, dialect->foreign[i]))
			return true;
	return false;
}

/*
 * Looks for another form of a question that was refused before an answer began. Each form is tried
 * once.
 */
static void
find_other_form(struct question *question, long status, const struct refusal *refusal)
{
	const char *text = refusal->text.data ? refusal->text.data : "";
	bool same = question->refusal && strcmp(question->refusal, text) == 0;
	const struct dialect *dialect = question->model->dialect;
	bool named = status == 0 || status == 400 || status == 403 || status == 404 ||
	    status == 422 || status == 500;

	/* A form that did not help is not remembered. */
	question->fleeting |= same ? question->tried : 0;
	question->tried = 0;
	free(question->refusal);
	question->refusal = strdup(text);
	if (!named || refusal->kind == REFUSAL_BUSY || refusal->kind == REFUSAL_QUOTA ||
	    is_other_api(dialect, status, refusal) ||
	    try_rows(question, status, refusal, dialect->refused) ||
	    try_rows(question, status, refusal, refused_always))
		return;
	if (status != 0 && refusal->kind == REFUSAL_FORM && !refusal->certain)
		try_last_resorts(question);
}

static enum model_outcome
outcome_of(const struct question *question, const struct refusal *refusal)
{
	if (refusal->kind == REFUSAL_BUSY)
		return MODEL_BUSY;
	/* It can be asked with less context only before an answer has begun. */
	return refusal->kind == REFUSAL_TOO_LONG && !has_begun(&question->answer) ? MODEL_TOO_LONG
										  : MODEL_FAILED;
}

/* The remedy comes first, because the rest may be cut. */
static void
set_error(struct question *question, long status, const struct refusal *refusal)
{
	char hint[256] = "", came[48] = "failed";

	if (refusal->kind == REFUSAL_MODEL)
		snprintf(hint, sizeof hint,
		    "The model server does not have the model %.64s; set "
		    "ASSISTANTS_MODELS=%.64s=NAME to send another name. ",
		    question->sent, question->asked);
	if (status)
		snprintf(came, sizeof came, "answered %ld", status);
	collector_set_error(
	    &question->answer, "%sThe model server %s: %s", hint, came, refusal->words);
}

/* Reads an error status, or 0 for an error within a stream, and what came with it. */
static void
read_refusal(struct question *question, long status, long retry_after_s, struct json_object *body,
    const char *text)
{
	struct model_result *result = question->answer.result;
	struct refusal refusal;

	refusal_read(&refusal, status, body, text);
	if (has_begun(&question->answer))
		question->speaks = SERVER_SPEAKS;
	else if (refusal.kind == REFUSAL_PATH ||
	    is_other_api(question->model->dialect, status, &refusal))
		question->speaks = SERVER_DOES_NOT;
	else if (refusal.kind != REFUSAL_OTHER)
		question->speaks = SERVER_SPEAKS;
	result->outcome = outcome_of(question, &refusal);
	result->retry_after_s = result->outcome == MODEL_BUSY ? retry_after_s : -1;
	set_error(question, status, &refusal);
	if (!has_begun(&question->answer))
		find_other_form(question, status, &refusal);
	refusal_free(&refusal);
}

int
server_error(struct collector *answer, struct json_object *object)
{
	answer->ended = true;
	/* A failure without an explanation is still an error. */
	answer->error = object ? json_object_get(object) : json_new_object();
	return -1;
}

/* --- the answer --- */

/* An impossible count is treated as not reported. */
static long long
read_count(struct json_object *usage, const char *name, long long otherwise)
{
	long long count = json_get_int(usage, name, -1);

	return count < 0 || count > TOKENS_MAX ? otherwise : count;
}

void
server_read_usage(
    struct collector *answer, struct json_object *usage, const struct usage_names *names)
{
	struct model_result *result = answer->result;
	long long in = read_count(usage, names->prompt, -1);
	long long out = read_count(usage, names->completion, -1);

	if (in < 0 || out < 0)
		return;
	result->prompt_tokens = in;
	result->completion_tokens = out;
	result->cached_tokens =
	    read_count(json_get_object(usage, names->prompt_details), "cached_tokens", 0);
	result->reasoning_tokens =
	    read_count(json_get_object(usage, names->completion_details), "reasoning_tokens", 0);
}

/* Like the dialect's peek(). */
static int
peek(struct question *question, const char *name, const char *data, size_t len)
{
	const struct dialect *dialect = question->model->dialect;

	return dialect->peek ? dialect->peek(&question->answer, name, data, len) : 0;
}

/* Handles an event that was parsed. */
static int
read_event(struct question *question, const char *name, struct json_object *event)
{
	struct collector *answer = &question->answer;
	const char *type = json_get_string(event, "type");

	if (refusal_is_error(event))
		return server_error(answer, event);
	return question->model->dialect->read_event(answer, type ? type : name, event);
}

static int
on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct question *question = arg;
	struct collector *answer = &question->answer;
	struct json_object *event;
	int result = 0;

	if (len == 0) {
		/* Only a sign of life. */
	} else if (strcmp(data, "[DONE]") == 0) {
		result = question->model->dialect->read_end(answer);
	} else if ((result = peek(question, name, data, len)) != 0) {
		/* Done already. */
	} else if (json_parse_foreign(data, len, &event) < 0) {
		return strcmp(name, "error") == 0
		    ? collector_break(answer, "The model server failed: %s", data)
		    : collector_break(answer, "The model server sent an event that is not JSON.");
	} else {
		result = read_event(question, name, event);
		json_object_put(event);
	}
	return result < 0 ? -1 : answer->ended;
}

/* A stream that the server does not label as one. */
static void
read_stream(struct question *question, const struct buf *body)
{
	struct sse sse;

	sse_init(&sse, ANSWER_MAX);
	if (sse_feed(&sse, body->data, body->len, on_event, question) == 0 &&
	    question->answer.finished)
		question->model->dialect->read_end(&question->answer);
	sse_free(&sse);
	if (!question->answer.ended && !question->answer.broken)
		collector_set_error(
		    &question->answer, "The model server's stream ended before its answer did.");
}

/* Handles an answer that was not streamed: an error, or from a server that cannot stream. */
static void
read_body(struct question *question, const struct http_answer *http)
{
	const char *text = http->body.data ? http->body.data : "", *end;
	struct json_object *body = NULL;

	if (http->status / 100 == 2 &&
	    (strncmp(text, "data:", 5) == 0 || strncmp(text, "event:", 6) == 0 || *text == ':')) {
		read_stream(question, &http->body);
		return;
	}
	/* Some servers end such an answer like a stream. */
	end = strstr(text, "\n\ndata: [DONE]");
	if (json_parse_foreign(text, end ? (size_t)(end - text) : http->body.len, &body) < 0)
		body = NULL;
	if (http->status / 100 != 2) {
		read_refusal(question, http->status, http->retry_after_s, body, text);
	} else if (refusal_is_error(body)) {
		server_error(&question->answer, body);
		question->speaks = SERVER_MAY_NOT;
	} else if (!question->model->dialect->read_body(&question->answer, body)) {
		collector_set_error(&question->answer,
		    "The model server answered %.64s, which is no response of a model.",
		    *http->content_type ? http->content_type : "without a type");
		question->speaks = SERVER_MAY_NOT;
	}
	json_object_put(body);
}

static void
read_outcome(struct question *question, enum http_outcome outcome, const struct http_answer *http)
{
	struct collector *answer = &question->answer;

	/*
	 * A stream that broke off before its [DONE] may lack anything, even if its last event has a
	 * finish reason.
	 */
	if (!answer->ended && !answer->broken && http->streamed && answer->finished &&
	    outcome != HTTP_CUT)
		question->model->dialect->read_end(answer);
	if (answer->ended || answer->broken)
		return;
	switch (outcome) {
	case HTTP_ANSWERED:
		if (http->streamed)
			collector_set_error(
			    answer, "The model server's stream ended before its answer did.");
		else
			read_body(question, http);
		return;
	case HTTP_INTERRUPTED:
		answer->result->outcome = MODEL_INTERRUPTED;
		return;
	case HTTP_SILENT:
		answer->result->outcome = MODEL_SILENT;
		collector_set_error(answer, "The model server did not answer in time.");
		return;
	default:
		if (http->status)
			collector_set_error(answer, "The model server answered %ld, and then: %s",
			    http->status, http->detail);
		else
			collector_set_error(
			    answer, "The model server could not be asked: %s", http->detail);
	}
}

/*
 * Whether the server was at work. An error in place of an answer costs nothing. If the client left,
 * or the server broke off or was silent, the model may have reasoned without any text.
 */
static bool
was_at_work(
    const struct collector *answer, enum http_outcome outcome, const struct http_answer *http)
{
	if (has_begun(answer))
		return true;
	if (answer->ended)
		return answer->result->outcome <= MODEL_INCOMPLETE;
	if (http->status == 0)
		return http->sent && (outcome == HTTP_INTERRUPTED || outcome == HTTP_SILENT);
	return http->status / 100 == 2 && (http->streamed || outcome != HTTP_ANSWERED);
}

/* A connection that broke after the answer's end does not count. */
static void
count_failure(
    const struct collector *answer, enum http_outcome outcome, const struct http_answer *http)
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

/* Waiting does not help with a 429 that says that the money is gone. */
static bool
may_repeat(const struct http_answer *answer)
{
	const char *text = answer->body.data ? answer->body.data : "";
	struct refusal refusal;
	struct json_object *body;
	bool busy;

	if (json_parse_foreign(text, answer->body.len, &body) < 0)
		body = NULL;
	refusal_read(&refusal, answer->status, body, text);
	busy = refusal.kind == REFUSAL_BUSY;
	refusal_free(&refusal);
	json_object_put(body);
	return busy;
}

static void
ask_once(struct question *question)
{
	struct server_model *self = question->model;
	const char *headers[] = {
	    "Accept: text/event-stream, application/json", self->authorization, NULL};
	struct http_call call = {
	    .method = "POST",
	    .url = self->url,
	    .headers = headers,
	    .body = question->body,
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = question->request->deadline_ms - clock_ms(),
	    .may_repeat = may_repeat,
	    .on_event = on_event,
	    .event_arg = question,
	    .interrupt = question->request->interrupt,
	};
	struct collector *answer = &question->answer;
	struct http_answer http;
	enum http_outcome outcome = http_client_call(self->client, &call, &http);

	read_outcome(question, outcome, &http);
	answer->result->charged = was_at_work(answer, outcome, &http);
	/* Only now, because the message depends on what came before. */
	if (answer->error)
		read_refusal(question, 0, -1, answer->error, json_text(answer->error));
	if (!question->again)
		count_failure(answer, outcome, &http);
	http_answer_free(&http);
}

/* Remembers which form worked, and how reasoning arrives. */
static void
remember(const struct question *question, unsigned known, bool unopened)
{
	unsigned found = question->needs & ~known & ~question->fleeting;

	if (question->answer.result->outcome >= MODEL_TOO_LONG)
		return;
	/* The owner should know that the model has not read everything as it was. */
	if (question->resort && question->resort->fleeting)
		log_warn("the model server accepted the question only %s", question->resort->name);
	if (unopened)
		found |= NEED_HELD_THOUGHTS;
	if (found)
		needs_keep(question->model->needs, question->sent, found);
}

enum server_speaks
server_model_ask(
    struct model *model, const struct model_request *request, struct model_result *result)
{
	struct server_model *self = (struct server_model *)model;
	const char *asked = asked_model(request), *sent = model_sent_name(self->models, asked);
	unsigned known = needs_recall(self->needs, sent);
	struct question question = {
	    .model = self, .request = request, .asked = asked, .sent = sent, .needs = known};
	bool unopened;

	question.body = form_body(&question, known);
	/* The request would lack something. */
	if (memory_is_out()) {
		free(question.body);
		model_result_clear(result);
		result->outcome = MODEL_FAILED;
		snprintf(result->error, sizeof result->error, "The server was out of memory.");
		return SERVER_SPEAKS;
	}
	do {
		question.again = false;
		question.speaks = SERVER_SPEAKS;
		model_result_clear(result);
		result->url = self->url;
		collector_init(&question.answer, request, result, self->base_url,
		    question.needs & NEED_HELD_THOUGHTS);
		ask_once(&question);
		unopened = question.answer.unopened;
		collector_free(&question.answer);
	} while (question.again);
	remember(&question, known, unopened);
	free(question.body);
	free(question.refusal);
	return question.speaks;
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
	needs_free(self->needs);
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
	self->needs = needs_new(server->memory);
	self->base_url = strdup(server->base_url);
	if (asprintf(&self->url, "%s/%s", server->base_url, dialect->path) < 0)
		self->url = NULL;
	if (server->api_key &&
	    asprintf(&self->authorization, "Authorization: Bearer %s", server->api_key) < 0)
		self->authorization = NULL;
	if (self->needs && self->base_url && self->url && (self->authorization || !server->api_key))
		return &self->model;
	server_model_free(&self->model);
	return NULL;
}
