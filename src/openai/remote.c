/*
 * An Assistants API elsewhere, over HTTP. A run is created with `stream`; a server that answers
 * JSON instead, or whose stream breaks after the run's id is known, is polled.
 */
#include "obs/log.h"
#include "obs/metrics.h"
#include "openai/transport.h"
#include "os/clock.h"
#include "os/id.h"
#include "text/json.h"

enum {
	ANSWER_MAX = 16 << 20,
	POLL_FIRST_MS = 100,
	POLL_MAX_MS = 1000,
	POLLS_FAILED_MAX = 10, /* one after the other */
	CANCEL_TIMEOUT_MS = 5000,
	ID_WAIT_MS = 5000,
	CALL_TIMEOUT_MS = 30000, /* of a call that waits for no run */
	PATH_SIZE = 512,
	CAUSE_SIZE = 512,
	BYTES_A_TOKEN = 4,
	DELTA_SHARE = 8 /* of a delta's bytes, that are words */
};

static const char limit_name[] = "max_completion_tokens";

/* What metrics call such a server. */
static const char upstream[] = "assistants";

struct remote {
	struct openai openai;
	struct http_client *client;
	char *url;
	char *authorization; /* the header; NULL: none */
	long long timeout_ms;
	const struct budgets *budgets;
};

/* A run, from its creation to its end. */
struct remote_run {
	struct remote *remote;
	const struct openai_stream_call *call;
	char path[PATH_SIZE];    /* "/threads/{id}/runs/{id}"; "" until the id is known */
	size_t told;             /* bytes of the messages in its stream */
	char broken[CAUSE_SIZE]; /* why the stream is not read on; "": it is */
	bool over;               /* an event, or a poll, told so */
	long poll_after_ms;      /* what the server wished, -1: nothing */
	long long deadline_ms;
	long long left_ms;  /* when the client was first found gone, 0: it was not */
	long long begun_us; /* metrics_clock()'s */
	bool spoken;        /* a first word came */
	char reservation[ID_SIZE];
	bool told_cost; /* the run's end said, or will say, what it cost */
	long long cost;
	size_t said; /* bytes of words */
};

/* An HTTP call to it, and what came of it, for openai_call() and the polls of a run. */
static enum http_outcome
call_server(struct remote *self, struct http_call *call, const char *path, struct json_object *body,
    struct http_answer *answer)
{
	const char *headers[] = {"OpenAI-Beta: assistants=v2",
	    call->on_event ? "Accept: text/event-stream, application/json"
			   : "Accept: application/json",
	    self->authorization, NULL};
	char *url = NULL;
	enum http_outcome outcome;

	if (asprintf(&url, "%s%s", self->url, path) < 0)
		abort(); /* as json-c does */
	call->url = url;
	call->headers = headers;
	call->body = body ? json_text(body) : NULL;
	call->answer_max = ANSWER_MAX;
	outcome = http_client_call(self->client, call, answer);
	http_count_failure(upstream, outcome, answer->status);
	free(url);
	return outcome;
}

/* A success that is none. */
static void
count_bad_answer(void)
{
	metrics_add(METRIC_UPSTREAM_ERRORS, 1, upstream, "bad_answer", NULL);
}

static void
read_failure(enum http_outcome outcome, struct openai_answer *answer)
{
	answer->failure = outcome == HTTP_SILENT ? OPENAI_SILENT
	    : outcome == HTTP_INTERRUPTED        ? OPENAI_INTERRUPTED
						 : OPENAI_UNREACHABLE;
}

/*
 * The answer's status and JSON. What is no JSON object is an error by its status alone, but not
 * with one that means something only by the API's words. True when there is an answer, or nobody
 * waits for one; false with what the log should say in `cause`.
 */
static bool
read_answer(enum http_outcome outcome, const struct http_answer *http, struct openai_answer *answer,
    char cause[CAUSE_SIZE])
{
	const char *text = http->body.data ? http->body.data : "";

	snprintf(cause, CAUSE_SIZE, "%s", http->detail);
	if (outcome != HTTP_ANSWERED) {
		read_failure(outcome, answer);
		return outcome == HTTP_INTERRUPTED;
	}
	answer->status = (int)http->status;
	answer->retry_after_s = http->retry_after_s;
	answer->failure = OPENAI_ANSWERED;
	if (json_parse_foreign(text, http->body.len, &answer->body) == 0 &&
	    json_object_is_type(answer->body, json_type_object))
		return true;
	if (http->status / 100 != 2 && http->status != 400 && http->status != 404)
		return true;
	if (http->status / 100 == 2)
		count_bad_answer();
	answer->failure = OPENAI_UNREACHABLE;
	snprintf(cause, CAUSE_SIZE, "answered %ld with %s, not with a JSON object", http->status,
	    *http->content_type ? http->content_type : "no type");
	return false;
}

static void
count_run(const char *status)
{
	metrics_add(METRIC_RUNS, 1, status, NULL, NULL);
}

/* The gateway cancels a run that wants a tool, and hears no more of it. */
static void
count_if_cancelled(const char *path, const struct openai_answer *answer)
{
	static const char cancel[] = "/cancel";
	size_t len = strlen(path);

	if (len >= sizeof cancel && strcmp(path + len - strlen(cancel), cancel) == 0 &&
	    answer->failure == OPENAI_ANSWERED && answer->status == 200)
		count_run("cancelled");
}

static void
remote_call(struct openai *openai, const char *method, const char *path, struct json_object *body,
    const struct interrupt *interrupt, struct openai_answer *answer)
{
	struct remote *self = (struct remote *)openai;
	struct http_call call = {
	    .method = method,
	    .timeout_ms = self->timeout_ms < CALL_TIMEOUT_MS ? self->timeout_ms : CALL_TIMEOUT_MS,
	    .repeatable = strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0,
	    .interrupt = interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome = call_server(self, &call, path, body, &http);
	char cause[CAUSE_SIZE];

	if (!read_answer(outcome, &http, answer, cause))
		log_error("assistants API: %s", cause);
	count_if_cancelled(path, answer);
	http_answer_free(&http);
}

/* --- a run --- */

/* The status as a literal, if a run has come to an end with it; else NULL. */
static const char *
end_of(const char *status)
{
	static const char *const ends[] = {
	    "completed", "failed", "cancelled", "incomplete", "expired", "requires_action"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strcmp(status, ends[i]) == 0)
			return ends[i];
	return NULL;
}

static bool
is_over(const char *status)
{
	return end_of(status) != NULL;
}

static void
count_word(struct remote_run *run)
{
	if (!run->spoken)
		metrics_observe(METRIC_FIRST_WORD, run->begun_us);
	run->spoken = true;
}

/* A run that wants a tool is not over for the world. */
static void
count_end(struct remote_run *run, const char *status, struct json_object *object)
{
	struct json_object *usage = json_get_object(object, "usage");
	/* A run that goes on tells it at its end, if it comes to one. */
	run->told_cost = usage || strcmp(status, "failed") == 0;
	run->cost = json_get_int(usage, "total_tokens", 0);
	metrics_add(METRIC_TOKENS, json_get_int(usage, "prompt_tokens", 0), "prompt", NULL, NULL);
	metrics_add(
	    METRIC_TOKENS, json_get_int(usage, "completion_tokens", 0), "completion", NULL, NULL);
	if (strcmp(status, "requires_action") == 0)
		return;
	metrics_observe(METRIC_RUN_DURATION, run->begun_us);
	count_run(end_of(status));
}

/* Why a run broke off, once, for the log: the gateway's client is not told. */
static void
log_end(const char *status, struct json_object *run)
{
	struct json_object *error = json_get_object(run, "last_error");
	const char *message = json_get_string(error, "message");

	if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0 ||
	    strcmp(status, "expired") == 0)
		log_error("assistants API: the run ended as %s%s%s", status, message ? ": " : "",
		    message ? message : "");
}

/* Keeps the run's path, from its object. */
static void
meet_run(struct remote_run *run, struct json_object *object)
{
	const char *id = json_get_string(object, "id");

	if (*run->path || !id || !id_has_form(id, ""))
		return;
	if ((size_t)snprintf(run->path, sizeof run->path, "%s/%s", run->call->path, id) >=
	    sizeof run->path)
		run->path[0] = '\0';
}

static int
break_off(struct remote_run *run, const char *cause)
{
	count_bad_answer();
	snprintf(run->broken, sizeof run->broken, "%s", cause);
	return -1;
}

static int
read_event(struct remote_run *run, const char *event, struct json_object *object)
{
	if (strcmp(event, "error") == 0) {
		const char *message = json_get_string(json_get_object(object, "error"), "message");

		return break_off(run, message ? message : "an error without words");
	}
	if (strncmp(event, "thread.run.", 11) == 0 && strncmp(event, "thread.run.step", 15) != 0) {
		meet_run(run, object);
		run->over = is_over(event + 11);
		if (run->over) {
			log_end(event + 11, object);
			count_end(run, event + 11, object);
		}
	}
	if (strcmp(event, "thread.message.delta") == 0)
		count_word(run);
	run->call->on_event(run->call->event_arg, event, object);
	/* The end of the run is the end of the answer, whether or not the connection ends. */
	return run->over;
}

static int
on_event(void *arg, const char *event, const char *data, size_t len)
{
	struct remote_run *run = arg;
	struct json_object *object;
	int result;

	if (strcmp(event, "done") == 0)
		return 1;
	/* Whole messages are kept until the run is over. */
	if (strncmp(event, "thread.message.", 15) == 0 && strcmp(event + 15, "delta") != 0)
		run->told += len;
	if (strcmp(event, "thread.message.delta") == 0)
		run->said += len / DELTA_SHARE;
	if (run->told > ANSWER_MAX)
		return break_off(run, "its messages are too large");
	if (json_parse_foreign(data, len, &object) < 0)
		return break_off(run, "an event is not JSON");
	result = read_event(run, event, object);
	json_object_put(object);
	return result;
}

/* Tells a message of the run as an event. */
static void
tell_message(void *arg, struct json_object *message)
{
	struct remote_run *run = arg;
	const char *status = json_get_string(message, "status");
	const char *role = json_get_string(message, "role");
	bool incomplete = status && strcmp(status, "incomplete") == 0;

	if (!role || strcmp(role, "assistant") != 0)
		return;
	count_word(run);
	run->call->on_event(run->call->event_arg,
	    incomplete ? "thread.message.incomplete" : "thread.message.completed", message);
}

/* -1 with the answer's failure. */
static int
tell_messages(struct remote_run *run, struct openai_answer *answer)
{
	const char *run_id = strrchr(run->path, '/') + 1;
	size_t thread_len = (size_t)(run_id - run->path) - strlen("/runs/");
	char path[PATH_SIZE * 2];

	snprintf(path, sizeof path, "%.*s/messages?run_id=%s&order=asc&limit=100", (int)thread_len,
	    run->path, run_id);
	return openai_list(
	    &run->remote->openai, path, run->call->interrupt, tell_message, run, answer);
}

static void
tell_end(struct remote_run *run, const char *status, struct openai_answer *answer)
{
	struct json_object *object = json_object_get(answer->body);
	char event[64];

	snprintf(event, sizeof event, "thread.run.%s", status);
	run->over = true;
	log_end(status, object);
	count_end(run, status, object);
	if (strcmp(status, "requires_action") == 0 || tell_messages(run, answer) == 0)
		run->call->on_event(run->call->event_arg, event, object);
	json_object_put(object);
}

/* Whether a poll that brought no run may be followed by another: the run itself goes on. */
static bool
may_pass(const struct openai_answer *answer)
{
	return answer->failure == OPENAI_UNREACHABLE ||
	    (answer->failure == OPENAI_ANSWERED &&
		(answer->status >= 500 || answer->status == 429));
}

static void
poll_once(struct remote_run *run, struct openai_answer *answer)
{
	struct http_call call = {
	    .method = "GET",
	    .timeout_ms = run->deadline_ms - clock_ms(),
	    .repeatable = true,
	    .interrupt = run->call->interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome;

	openai_answer_free(answer);
	outcome = call_server(run->remote, &call, run->path, NULL, &http);
	if (!read_answer(outcome, &http, answer, run->broken))
		log_warn("assistants API: a poll failed: %s", run->broken);
	run->poll_after_ms = http.poll_after_ms;
	http_answer_free(&http);
	if (answer->failure == OPENAI_ANSWERED && answer->status != 200)
		log_warn("assistants API: a poll was answered %d: %s", answer->status,
		    openai_answer_error(answer));
}

/* Milliseconds until the next poll: as the server wishes, or `step_ms`; never past the end. */
static long long
poll_pause(const struct remote_run *run, long long step_ms)
{
	long long left = run->deadline_ms - clock_ms();
	long long pause = run->poll_after_ms >= 0 ? run->poll_after_ms : step_ms;

	if (pause < POLL_FIRST_MS)
		pause = POLL_FIRST_MS;
	return pause < left ? pause : left;
}

static void
give_up(struct openai_answer *answer)
{
	log_error("assistants API: the run is not over in time");
	answer->failure = OPENAI_SILENT;
}

/* Polls until the run is over. `answer` may already hold the run. */
static void
poll_run(struct remote_run *run, struct openai_answer *answer)
{
	long long step_ms = POLL_FIRST_MS;
	int failed = 0;

	for (;;) {
		bool good = answer->failure == OPENAI_ANSWERED && answer->status == 200;
		const char *status = json_get_string(answer->body, "status");

		if (good && status && is_over(status)) {
			tell_end(run, status, answer);
			return;
		}
		if (answer->failure == OPENAI_INTERRUPTED)
			return;
		if (answer->failure == OPENAI_SILENT || clock_ms() >= run->deadline_ms) {
			give_up(answer);
			return;
		}
		failed = good ? 0 : failed + 1;
		if (!good && (!may_pass(answer) || failed == POLLS_FAILED_MAX)) {
			if (answer->failure == OPENAI_UNREACHABLE)
				log_error(
				    "assistants API: the run cannot be polled: %s", run->broken);
			return;
		}
		if (interrupt_sleep(run->call->interrupt, poll_pause(run, step_ms))) {
			answer->failure = OPENAI_INTERRUPTED;
			return;
		}
		step_ms = step_ms * 3 / 2 < POLL_MAX_MS ? step_ms * 3 / 2 : POLL_MAX_MS;
		poll_once(run, answer);
	}
}

/* Nobody waits for it any more, and it costs. What the server answers is of no interest. */
static void
cancel_run(struct remote_run *run, enum openai_failure failure)
{
	struct http_call call = {.method = "POST", .timeout_ms = CANCEL_TIMEOUT_MS};
	char path[PATH_SIZE + 16];
	struct http_answer http;

	if (!*run->path)
		return;
	snprintf(path, sizeof path, "%s/cancel", run->path);
	call_server(run->remote, &call, path, NULL, &http);
	http_answer_free(&http);
	metrics_observe(METRIC_RUN_DURATION, run->begun_us);
	count_run(failure == OPENAI_SILENT      ? "expired"
		: failure == OPENAI_INTERRUPTED ? "cancelled"
						: "failed");
}

/* A stream that broke off: the run itself may go on. */
static void
follow_stream(struct remote_run *run, enum http_outcome outcome, const struct http_answer *http,
    struct openai_answer *answer)
{
	const char *cause = *run->broken ? run->broken
	    : outcome == HTTP_ANSWERED   ? "it ended before the run did"
					 : http->detail;

	if (outcome == HTTP_ANSWERED && !*run->broken)
		http_count_failure(upstream, HTTP_CUT, 0);
	if (outcome == HTTP_INTERRUPTED) {
		answer->failure = OPENAI_INTERRUPTED;
	} else if (outcome == HTTP_SILENT) {
		give_up(answer);
	} else if (!*run->path || run->told > ANSWER_MAX) {
		log_error("assistants API: the stream broke off: %s", cause);
		answer->failure = OPENAI_UNREACHABLE;
	} else {
		log_warn("assistants API: the stream broke off, the run is polled: %s", cause);
		answer->failure = OPENAI_ANSWERED;
		answer->status = 200;
		poll_run(run, answer);
	}
}

/* What the creation brought: a stream that told it all, one that broke off, or the run as JSON. */
static void
follow(struct remote_run *run, enum http_outcome outcome, const struct http_answer *http,
    struct openai_answer *answer)
{
	if (run->over) {
		answer->failure = OPENAI_ANSWERED;
		answer->status = 200;
		return;
	}
	if (http->streamed) {
		follow_stream(run, outcome, http, answer);
		return;
	}
	if (!read_answer(outcome, http, answer, run->broken))
		log_error("assistants API: %s", run->broken);
	if (answer->failure != OPENAI_ANSWERED || answer->status / 100 != 2)
		return;
	meet_run(run, answer->body);
	if (*run->path) {
		answer->status = 200;
		run->call->on_event(run->call->event_arg, "thread.run.created", answer->body);
		poll_run(run, answer);
		return;
	}
	answer->failure = OPENAI_UNREACHABLE;
	log_error("assistants API: the run's creation told no id");
}

/* Outputs of tools are given to a run that is known. */
static void
meet_known_run(struct remote_run *run)
{
	const char *path = run->call->path, *end = strstr(path, "/submit_tool_outputs");

	if (end && (size_t)(end - path) < sizeof run->path)
		snprintf(run->path, sizeof run->path, "%.*s", (int)(end - path), path);
}

/* A run whose id is not known yet cannot be cancelled: that is waited for, for a moment. */
static bool
creation_interrupted(void *arg)
{
	struct remote_run *run = arg;

	if (!interrupt_raised(run->call->interrupt))
		return false;
	if (run->left_ms == 0)
		run->left_ms = clock_ms();
	return *run->path || clock_ms() - run->left_ms >= ID_WAIT_MS;
}

/*
 * Reserves what the question costs, as far as it can be known here: how long the thread is only the
 * server knows. False: answered.
 */
static bool
reserve(struct remote_run *run, struct openai_answer *answer)
{
	struct json_object *body = run->call->body;
	const long long own_max = json_get_int(body, limit_name, 0);
	const struct budget_question question = {
	    .id = run->reservation,
	    .bytes = (long long)strlen(json_text(body)),
	    .answer_max = own_max,
	    .timeout_s = run->remote->timeout_ms / 1000,
	};
	long long answer_max, wait_s;

	id_new(run->reservation, "remote_");
	switch (budget_take(run->remote->budgets, "gateway", &question, &answer_max, &wait_s)) {
	case BUDGET_RESERVED:
		if (answer_max && !*run->path)
			json_set_int(body, limit_name, answer_max);
		return true;
	case BUDGET_EMPTY:
	case BUDGET_HELD:
		*answer = (struct openai_answer){
		    .status = 429, .retry_after_s = (long)wait_s, .no_tokens = true};
		return false;
	default:
		*answer = (struct openai_answer){.status = 503, .retry_after_s = -1};
		return false;
	}
}

/* What nobody said is by the time that it took; a run that was not even begun cost nothing. */
static void
settle(const struct remote_run *run)
{
	long long begun_ms = run->deadline_ms - run->remote->timeout_ms;

	budget_give(run->remote->budgets, run->reservation,
	    run->told_cost || !*run->path ? run->cost : -1, (long long)run->said / BYTES_A_TOKEN,
	    (clock_ms() - begun_ms + 999) / 1000);
}

static void
remote_stream(
    struct openai *openai, const struct openai_stream_call *call, struct openai_answer *answer)
{
	struct remote *self = (struct remote *)openai;
	struct remote_run run = {.remote = self,
	    .call = call,
	    .poll_after_ms = -1,
	    .deadline_ms = clock_ms() + self->timeout_ms,
	    .begun_us = metrics_clock()};
	const struct interrupt interrupt = {.fd = call->interrupt ? call->interrupt->fd : -1,
	    .raised = creation_interrupted,
	    .arg = &run};
	struct http_call http_call = {
	    .method = "POST",
	    .timeout_ms = self->timeout_ms,
	    .on_event = on_event,
	    .event_arg = &run,
	    .interrupt = &interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome;

	meet_known_run(&run);
	if (!reserve(&run, answer))
		return;
	outcome = call_server(self, &http_call, call->path, call->body, &http);
	run.poll_after_ms = http.poll_after_ms;
	follow(&run, outcome, &http, answer);
	http_answer_free(&http);
	if (!run.over)
		cancel_run(&run, answer->failure);
	settle(&run);
}

static bool
remote_ready(struct openai *openai)
{
	(void)openai;
	return true;
}

/* Until it expires a run there waits, whatever becomes of us. */
static void
remote_keep(struct openai *openai)
{
	(void)openai;
}

static void
remote_free(struct openai *openai)
{
	struct remote *self = (struct remote *)openai;

	if (self->authorization)
		explicit_bzero(self->authorization, strlen(self->authorization));
	free(self->authorization);
	free(self->url);
	free(self);
}

struct openai *
openai_remote_new(struct http_client *client, const struct openai_server *server)
{
	struct remote *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->openai = (struct openai){
	    .ready = remote_ready,
	    .call = remote_call,
	    .stream = remote_stream,
	    .keep = remote_keep,
	    .free = remote_free,
	};
	self->client = client;
	self->timeout_ms = server->timeout_ms;
	self->budgets = server->budgets;
	self->url = strdup(server->url);
	self->openai.place = self->url;
	if (server->key &&
	    asprintf(&self->authorization, "Authorization: Bearer %s", server->key) < 0)
		self->authorization = NULL;
	if (self->url && (self->authorization || !server->key))
		return &self->openai;
	remote_free(&self->openai);
	return NULL;
}
