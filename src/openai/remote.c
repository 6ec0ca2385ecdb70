/*
 * An Assistants API elsewhere, over HTTP. A run is created with `stream`. If the server answers
 * JSON instead, or the stream breaks after the run's id is known, the run is polled.
 */
#include "obs/log.h"
#include "obs/metrics.h"
#include "openai/transport.h"
#include "os/clock.h"
#include "os/id.h"
#include "text/json.h"
#include "text/memory.h"

enum {
	ANSWER_MAX = 16 << 20,
	POLL_FIRST_MS = 100,
	POLL_MAX_MS = 1000,
	POLLS_FAILED_MAX = 10, /* in a row */
	CANCEL_TIMEOUT_MS = 5000,
	ID_WAIT_MS = 5000,
	CALL_TIMEOUT_MS = 30000, /* of a call that does not wait for a run */
	URL_MAX = 4096,
	RUN_ID_SIZE = 256,
	CAUSE_SIZE = 512,
	BYTES_A_TOKEN = 4,
	DELTA_SHARE = 8 /* of 8 bytes of a delta event, about one is text */
};

static const char limit_name[] = "max_completion_tokens";

/* The name of such a server in metrics. */
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
	const struct openai_call *call;
	const struct listener *listener;
	char id[RUN_ID_SIZE];    /* "": unknown yet */
	size_t told;             /* bytes of the messages in its stream */
	char broken[CAUSE_SIZE]; /* why the stream is no longer read; "": it is */
	bool over;               /* an event, or a poll, said so */
	long poll_after_ms;      /* the server's wish; -1: none */
	long long deadline_ms;
	long long left_ms;  /* when the client was found gone; 0: it was not */
	long long begun_us; /* by metrics_clock() */
	bool spoken;        /* the first text has arrived */
	char reservation[ID_SIZE];
	bool told_cost; /* the cost is known: the run's end had it, or the run failed */
	long long cost;
	size_t said; /* bytes of text */
};

/* The URL of an operation: its pattern with the ids filled in, and the query. */
static void
print_url(const struct remote *self, const struct openai_call *call, struct buf *url)
{
	const char *at = api_pattern(call->operation), *name;

	buf_puts(url, self->url);
	for (int i = 0; (name = strchr(at, '{')); i++) {
		buf_append(url, at, (size_t)(name - at));
		buf_puts(url, call->ids[i]);
		at = strchr(name, '}') + 1;
	}
	buf_puts(url, at);
	if (call->query)
		buf_printf(url, "?%s", call->query);
}

/* Sends any HTTP request to the server; counts failures in the metrics. */
static enum http_outcome
call_server(struct remote *self, struct http_call *http_call, const struct openai_call *call,
    struct http_answer *answer)
{
	const char *headers[] = {"OpenAI-Beta: assistants=v2",
	    http_call->on_event ? "Accept: text/event-stream, application/json"
				: "Accept: application/json",
	    self->authorization, NULL};
	struct buf url = BUF_INIT(URL_MAX);
	enum http_outcome outcome;

	print_url(self, call, &url);
	http_call->body = call->body ? json_text(call->body) : NULL;
	/* Do not send a request that lacks something. */
	if (url.failed || memory_is_out()) {
		memory_fail();
		buf_free(&url);
		*answer = (struct http_answer){.retry_after_s = -1, .poll_after_ms = -1};
		return HTTP_UNREACHABLE;
	}
	http_call->method = api_method(call->operation);
	http_call->url = url.data;
	http_call->headers = headers;
	http_call->answer_max = ANSWER_MAX;
	outcome = http_client_call(self->client, http_call, answer);
	http_count_failure(upstream, outcome, answer->status);
	buf_free(&url);
	return outcome;
}

/*
 * The API has no codes for these errors. They are recognised by OpenAI's texts, which this
 * program's own refusals have, too. Only this function reads such texts.
 */
static enum api_error
error_of(const struct openai_answer *answer)
{
	const char *message = openai_answer_error(answer);

	if (answer->status / 100 == 2)
		return API_OK;
	if (answer->status == 400 &&
	    (strstr(message, "already has an active run") || strstr(message, "while a run")))
		return API_THREAD_BUSY;
	if (answer->status == 400 && strstr(message, "Invalid 'thread_id'"))
		return API_BAD_THREAD_ID;
	if (answer->status == 404 && strncmp(message, "No assistant found", 18) == 0)
		return API_NO_ASSISTANT;
	return API_REFUSED;
}

/* Counts an answer that claims success but makes no sense. */
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
 * Reads the answer's status and JSON. Without a JSON object the status alone makes it an error, but
 * for 2xx, 400 and 404, which mean nothing without the API's text. True: there is an answer, or the
 * call was interrupted. False: `cause` is what was wrong, for the log.
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
	answer->error = answer->status / 100 == 2 ? API_OK : API_REFUSED;
	if (json_parse_foreign(text, http->body.len, &answer->body) == 0 &&
	    json_object_is_type(answer->body, json_type_object)) {
		answer->error = error_of(answer);
		return true;
	}
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
count_run(enum run_status status)
{
	metrics_add(METRIC_RUNS, 1, run_status_words[status], NULL, NULL);
}

static void
remote_call(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	struct remote *self = (struct remote *)openai;
	struct http_call http_call = {
	    .timeout_ms = self->timeout_ms < CALL_TIMEOUT_MS ? self->timeout_ms : CALL_TIMEOUT_MS,
	    .repeatable = strcmp(api_method(call->operation), "POST") != 0,
	    .interrupt = call->interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome = call_server(self, &http_call, call, &http);
	char cause[CAUSE_SIZE];

	if (!read_answer(outcome, &http, answer, cause))
		log_error("assistants API: %s", cause);
	/* The gateway cancels a run that calls a tool, and gets no more events of it. */
	if (call->operation == API_RUN_CANCEL && openai_did(answer))
		count_run(RUN_CANCELLED);
	http_answer_free(&http);
}

/* --- a run --- */

/* Whether a run with this status does nothing more by itself. */
static bool
is_over(enum run_status status)
{
	return status == RUN_REQUIRES_ACTION || !run_status_is_active(status);
}

static void
count_word(struct remote_run *run)
{
	if (!run->spoken)
		metrics_observe(METRIC_FIRST_WORD, run->begun_us);
	run->spoken = true;
}

/* A run that calls a tool is not over for the metrics. */
static void
count_end(struct remote_run *remote_run, const struct run *run)
{
	struct json_object *usage = run->usage;

	/* A run that continues reports the cost at its end, if it gets there. */
	remote_run->told_cost = usage || run->status == RUN_FAILED;
	remote_run->cost = json_get_int(usage, "total_tokens", 0);
	metrics_add(METRIC_TOKENS, json_get_int(usage, "prompt_tokens", 0), "prompt", NULL, NULL);
	metrics_add(
	    METRIC_TOKENS, json_get_int(usage, "completion_tokens", 0), "completion", NULL, NULL);
	if (run->status == RUN_REQUIRES_ACTION)
		return;
	metrics_observe(METRIC_RUN_DURATION, remote_run->begun_us);
	count_run(run->status);
}

/* Logs, once, why a run broke off; the gateway's client is not told. */
static void
log_end(const struct run *run)
{
	const char *message = json_get_string(run->last_error, "message");

	if (run->status == RUN_FAILED || run->status == RUN_CANCELLED || run->status == RUN_EXPIRED)
		log_error("assistants API: the run ended as %s%s%s", run_status_words[run->status],
		    message ? ": " : "", message ? message : "");
}

/* Stores the run's id. */
static void
meet_run(struct remote_run *remote_run, const char *id)
{
	if (!*remote_run->id && id && id_has_form(id, "") && strlen(id) < sizeof remote_run->id)
		snprintf(remote_run->id, sizeof remote_run->id, "%s", id);
}

static void
tell(struct remote_run *run, const struct event *event)
{
	run->listener->on_event(run->listener->arg, event);
}

static int
break_off(struct remote_run *run, const char *cause)
{
	count_bad_answer();
	snprintf(run->broken, sizeof run->broken, "%s", cause);
	return -1;
}

static void
read_delta(struct remote_run *run, struct json_object *object)
{
	struct json_object *content = json_get_array(json_get_object(object, "delta"), "content");
	struct message message;

	count_word(run);
	message_of_json(object, &message);
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *text = json_get_string(json_get_object(part, "text"), "value");
		const char *refusal = json_get_string(part, "refusal");

		if (!text && !refusal)
			continue;
		tell(run,
		    &(struct event){
			.kind = EVENT_MESSAGE_DELTA,
			.message = &message,
			.index = (int)json_get_int(part, "index", (long long)i),
			.part = text ? MODEL_TEXT : MODEL_REFUSAL,
			.text = text ? text : refusal,
		    });
	}
}

/* The event's name has the status; the status in the object may be older. */
static void
read_run(struct remote_run *remote_run, const char *word, struct json_object *object)
{
	bool created = strcmp(word, "created") == 0;
	struct run run;

	meet_run(remote_run, json_get_string(object, "id"));
	run_of_json(object, &run);
	run.status = created ? RUN_QUEUED : run_status_of(word);
	if (run.status != RUN_STATUS__MAX) {
		remote_run->over = is_over(run.status);
		if (remote_run->over) {
			log_end(&run);
			count_end(remote_run, &run);
		}
		tell(remote_run,
		    &(struct event){.kind = created ? EVENT_RUN_CREATED : EVENT_RUN, .run = &run});
	}
	run_free(&run);
}

static void
read_message(struct remote_run *run, struct json_object *object)
{
	struct message message;

	message_of_json(object, &message);
	tell(run, &(struct event){.kind = EVENT_MESSAGE, .message = &message});
}

/* What follows the prefix; NULL: the name does not begin with it. */
static const char *
behind(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

static int
read_event(struct remote_run *run, const char *name, struct json_object *object)
{
	const char *of_run = behind(name, "thread.run."),
		   *of_message = behind(name, "thread.message.");
	const char *message;

	if (strcmp(name, "error") == 0) {
		message = json_get_string(json_get_object(object, "error"), "message");
		return break_off(run, message ? message : "an error without a message");
	}
	if (of_run && !behind(of_run, "step"))
		read_run(run, of_run, object);
	else if (of_message && strcmp(of_message, "delta") == 0)
		read_delta(run, object);
	else if (of_message &&
	    (strcmp(of_message, "completed") == 0 || strcmp(of_message, "incomplete") == 0))
		read_message(run, object);
	/* The run's end ends the answer, even if the connection stays open. */
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

/* Reports a message of the run as an event. */
static void
tell_message(void *arg, struct json_object *object)
{
	struct remote_run *run = arg;
	struct message message;

	message_of_json(object, &message);
	if (message.role != MESSAGE_ASSISTANT)
		return;
	count_word(run);
	tell(run, &(struct event){.kind = EVENT_MESSAGE, .message = &message});
}

static struct openai_call
call_of_run(const struct remote_run *run, enum api_operation operation)
{
	return (struct openai_call){
	    .operation = operation,
	    .ids = {run->call->ids[0], run->id},
	    .interrupt = run->listener->interrupt,
	};
}

/* -1: `answer` failed. */
static int
tell_messages(struct remote_run *run, struct openai_answer *answer)
{
	struct openai_call call = call_of_run(run, API_MESSAGE_LIST);
	char query[RUN_ID_SIZE + 64];

	snprintf(query, sizeof query, "run_id=%s&order=asc&limit=100", run->id);
	call.query = query;
	return openai_list(&run->remote->openai, &call, tell_message, run, answer);
}

static void
tell_end(struct remote_run *remote_run, struct openai_answer *answer)
{
	struct json_object *object = json_object_get(answer->body);
	struct run run;

	run_of_json(object, &run);
	remote_run->over = true;
	log_end(&run);
	count_end(remote_run, &run);
	if (run.status == RUN_REQUIRES_ACTION || tell_messages(remote_run, answer) == 0)
		tell(remote_run, &(struct event){.kind = EVENT_RUN, .run = &run});
	run_free(&run);
	json_object_put(object);
}

/* Whether to poll again after a poll that returned no run: the run itself goes on. */
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
	const struct openai_call call = call_of_run(run, API_RUN_RETRIEVE);
	struct http_call http_call = {
	    .timeout_ms = run->deadline_ms - clock_ms(),
	    .repeatable = true,
	    .interrupt = call.interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome;

	openai_answer_free(answer);
	outcome = call_server(run->remote, &http_call, &call, &http);
	if (!read_answer(outcome, &http, answer, run->broken))
		log_warn("assistants API: a poll failed: %s", run->broken);
	run->poll_after_ms = http.poll_after_ms;
	http_answer_free(&http);
	if (answer->failure == OPENAI_ANSWERED && answer->status != 200)
		log_warn("assistants API: a poll was answered %d: %s", answer->status,
		    openai_answer_error(answer));
}

/* Milliseconds until the next poll: the server's wish, or `step_ms`, but never past the end. */
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
	log_error("assistants API: the run did not end in time");
	answer->failure = OPENAI_SILENT;
}

/* Polls until the run is over. `answer` may already have the run. */
static void
poll_run(struct remote_run *run, struct openai_answer *answer)
{
	long long step_ms = POLL_FIRST_MS;
	int failed = 0;

	for (;;) {
		bool good = answer->failure == OPENAI_ANSWERED && answer->status == 200;
		enum run_status status = run_status_of(json_get_string(answer->body, "status"));

		if (good && status != RUN_STATUS__MAX && is_over(status)) {
			tell_end(run, answer);
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
		if (interrupt_sleep(run->listener->interrupt, poll_pause(run, step_ms))) {
			answer->failure = OPENAI_INTERRUPTED;
			return;
		}
		step_ms = step_ms * 3 / 2 < POLL_MAX_MS ? step_ms * 3 / 2 : POLL_MAX_MS;
		poll_once(run, answer);
	}
}

/* Cancels a run that nobody waits for and that costs money. The server's answer does not matter. */
static void
cancel_run(struct remote_run *run, enum openai_failure failure)
{
	struct http_call http_call = {.timeout_ms = CANCEL_TIMEOUT_MS};
	const struct openai_call call = call_of_run(run, API_RUN_CANCEL);
	struct http_answer http;

	if (!*run->id)
		return;
	call_server(run->remote, &http_call, &call, &http);
	http_answer_free(&http);
	metrics_observe(METRIC_RUN_DURATION, run->begun_us);
	count_run(failure == OPENAI_SILENT      ? RUN_EXPIRED
		: failure == OPENAI_INTERRUPTED ? RUN_CANCELLED
						: RUN_FAILED);
}

/* The stream broke off, but the run may go on. */
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
	} else if (!*run->id || run->told > ANSWER_MAX) {
		log_error("assistants API: the stream broke off: %s", cause);
		answer->failure = OPENAI_UNREACHABLE;
	} else {
		log_warn("assistants API: the stream broke off, the run is polled: %s", cause);
		answer->failure = OPENAI_ANSWERED;
		answer->status = 200;
		poll_run(run, answer);
	}
}

/* Handles the creation's answer: a complete stream, a broken one, or the run as JSON. */
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
	if (!openai_did(answer))
		return;
	meet_run(run, json_get_string(answer->body, "id"));
	if (*run->id) {
		answer->status = 200;
		read_run(run, "created", answer->body);
		poll_run(run, answer);
		return;
	}
	answer->failure = OPENAI_UNREACHABLE;
	log_error("assistants API: the answer to the run's creation has no id");
}

/* A run cannot be cancelled before its id is known, so wait a moment for the id. */
static bool
creation_interrupted(void *arg)
{
	struct remote_run *run = arg;

	if (!interrupt_raised(run->listener->interrupt))
		return false;
	if (run->left_ms == 0)
		run->left_ms = clock_ms();
	return *run->id || clock_ms() - run->left_ms >= ID_WAIT_MS;
}

/*
 * Reserves the question's cost, as far as it can be known here: only the server knows how long the
 * thread is. False: answered.
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
		if (answer_max && !*run->id)
			json_set_int(body, limit_name, answer_max);
		return true;
	case BUDGET_EMPTY:
	case BUDGET_HELD:
		*answer = (struct openai_answer){
		    .status = 429, .error = API_NO_TOKENS, .retry_after_s = (long)wait_s};
		return false;
	default:
		*answer = (struct openai_answer){
		    .status = 503, .error = API_REFUSED, .retry_after_s = -1};
		return false;
	}
}

/* A cost that was not reported is estimated by the time. A run that was not begun costs nothing. */
static void
settle(const struct remote_run *run)
{
	long long begun_ms = run->deadline_ms - run->remote->timeout_ms;

	budget_give(run->remote->budgets, run->reservation,
	    run->told_cost || !*run->id ? run->cost : -1, (long long)run->said / BYTES_A_TOKEN,
	    (clock_ms() - begun_ms + 999) / 1000);
}

static void
remote_stream(struct openai *openai, const struct openai_call *call,
    const struct listener *listener, struct openai_answer *answer)
{
	struct remote *self = (struct remote *)openai;
	struct remote_run run = {.remote = self,
	    .call = call,
	    .listener = listener,
	    .poll_after_ms = -1,
	    .deadline_ms = clock_ms() + self->timeout_ms,
	    .begun_us = metrics_clock()};
	const struct interrupt interrupt = {
	    .fd = listener->interrupt ? listener->interrupt->fd : -1,
	    .raised = creation_interrupted,
	    .arg = &run};
	struct http_call http_call = {
	    .timeout_ms = self->timeout_ms,
	    .on_event = on_event,
	    .event_arg = &run,
	    .interrupt = &interrupt,
	};
	struct http_answer http;
	enum http_outcome outcome;

	/* Outputs of tools go to a known run. */
	meet_run(&run, call->ids[1]);
	if (!reserve(&run, answer))
		return;
	outcome = call_server(self, &http_call, call, &http);
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

/* There is no lease: the remote run waits until it expires, whatever happens here. */
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
