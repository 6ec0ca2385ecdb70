#include "gateway/turn.h"

#include "obs/log.h"
#include "os/clock.h"

enum {
	BUSY_WAIT_MS = 30000,
	BUSY_STEP_MS = 100,
	BUSY_STEP_MAX_MS = 1000,
	CALLS_MAX = 128,
	PATH_SIZE = 512
};

/* A message on its way. */
struct asking {
	struct gateway *gateway;
	struct request *request;
	struct stream *stream;
	struct deferral *deferral;
	struct interrupt interrupt; /* the client's; asking keeps the stream and the run alive */
	const char *words;
	const struct definition *definition; /* of this moment, with its tools */
	struct reply *reply;
	struct openai_answer *answer;
	struct openai_listener listener;
	long long deadline_ms; /* when the run expires, by clock_ms() */
};

void
reply_init(struct reply *reply)
{
	*reply = (struct reply){.messages = json_object_new_array()};
}

static void
forget_calls(struct reply *reply)
{
	json_object_put(reply->calls);
	json_object_put(reply->outputs);
	reply->calls = reply->outputs = NULL;
}

void
reply_free(struct reply *reply)
{
	json_object_put(reply->messages);
	json_object_put(reply->run);
	forget_calls(reply);
}

/* A stream that broke off, and was then read from the list, tells a message twice: false then. */
static bool
add_message(struct reply *reply, struct json_object *message)
{
	const char *id = json_get_string(message, "id");

	for (size_t i = 0; i < json_len(reply->messages); i++) {
		const char *known = json_get_string(json_at(reply->messages, i), "id");

		if (id && known && strcmp(id, known) == 0)
			return false;
	}
	json_add(reply->messages, json_object_get(message));
	return true;
}

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	struct asking *asking = arg;
	struct reply *reply = asking->reply;

	if (strcmp(event, "thread.message.completed") == 0 ||
	    strcmp(event, "thread.message.incomplete") == 0) {
		if (add_message(reply, data))
			stream_event(asking->stream, event, data);
		return;
	}
	stream_event(asking->stream, event, data);
	if (strncmp(event, "thread.run.", 11) == 0 && strncmp(event, "thread.run.step.", 16) != 0) {
		json_object_put(reply->run);
		reply->run = json_object_get(data);
		snprintf(reply->status, sizeof reply->status, "%s", event + 11);
		/* It has them, and what it calls now is called anew. */
		if (strcmp(reply->status, "requires_action") != 0)
			forget_calls(reply);
		deferral_meet(asking->deferral, data);
	}
}

/* A stream has the pieces. */
static bool
wants(void *arg, const char *event)
{
	static const char *const unwanted[] = {
	    "thread.run.queued", "thread.message.created", "thread.message.in_progress"};
	struct asking *asking = arg;

	if (strcmp(event, "thread.message.delta") == 0)
		return asking->stream->wanted;
	if (strcmp(event, "thread.run.created") == 0)
		return asking->deferral->wanted;
	/* It says that the outputs were taken. */
	if (strcmp(event, "thread.run.in_progress") == 0)
		return asking->reply->calls;
	for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
		if (strcmp(event, unwanted[i]) == 0)
			return false;
	return strncmp(event, "thread.run.step.", 16) != 0;
}

static struct json_object *
run_body(const struct asking *asking, const char *assistant)
{
	struct json_object *body = json_object_new_object(), *message = json_object_new_object();
	struct json_object *messages = json_object_new_array();

	json_set_string(message, "role", "user");
	json_set_string(message, "content", asking->words);
	json_add(messages, message);
	json_set_string(body, "assistant_id", assistant);
	json_set(body, "additional_messages", messages);
	if (asking->definition->answer_max)
		json_set_int(body, "max_completion_tokens", asking->definition->answer_max);
	deferral_mark(asking->deferral, body);
	return body;
}

/* The API has no codes for these: only its words tell. */
static const char no_assistant[] = "No assistant found";

bool
is_busy(const struct openai_answer *answer)
{
	const char *error = openai_answer_error(answer);

	return answer->failure == OPENAI_ANSWERED && answer->status == 400 &&
	    (strstr(error, "already has an active run") || strstr(error, "while a run"));
}

static bool
is_unknown_assistant(const struct openai_answer *answer)
{
	return answer->failure == OPENAI_ANSWERED && answer->status == 404 &&
	    strncmp(openai_answer_error(answer), no_assistant, strlen(no_assistant)) == 0;
}

/* Runs the assistant on the words, waiting while another run has the thread. */
static void
run_when_free(struct asking *asking, const char *path, struct json_object *body)
{
	const struct interrupt *client = &asking->interrupt;
	long long patience_ms = deferral_patience_ms(asking->deferral), step_ms = BUSY_STEP_MS;
	long long end = clock_ms() + (patience_ms < BUSY_WAIT_MS ? patience_ms : BUSY_WAIT_MS);
	struct openai_answer *answer = asking->answer;

	for (;;) {
		asking->deadline_ms =
		    clock_ms() + (long long)asking->gateway->config->run_timeout_s * 1000;
		openai_stream(asking->gateway->openai, path, body, &asking->listener, answer);
		if (!is_busy(answer) || clock_ms() + step_ms > end)
			return;
		if (interrupt_sleep(client, step_ms)) {
			answer->failure = OPENAI_INTERRUPTED;
			return;
		}
		openai_answer_free(answer);
		step_ms = step_ms * 2 < BUSY_STEP_MAX_MS ? step_ms * 2 : BUSY_STEP_MAX_MS;
	}
}

/* False when there is no assistant: answered. */
static bool
run(struct asking *asking, const char *path)
{
	struct gateway *gateway = asking->gateway;
	const struct interrupt *client = &asking->interrupt;
	char assistant[ASSISTANT_ID_SIZE];
	bool again = true;

	for (;;) {
		struct json_object *body;

		if (assistant_id(gateway->assistant, asking->definition, client, assistant,
			asking->answer) < 0) {
			answer_unavailable(asking->stream->response, asking->answer);
			return false;
		}
		openai_answer_free(asking->answer);
		body = run_body(asking, assistant);
		run_when_free(asking, path, body);
		json_object_put(body);
		if (!is_unknown_assistant(asking->answer))
			return true;
		if (!again) {
			answer_unavailable(asking->stream->response, asking->answer);
			return false;
		}
		/*
		 * Deleted there, or this is another server than before: once more with a new one.
		 */
		assistant_forget(gateway->assistant, client, assistant);
		openai_answer_free(asking->answer);
		again = false;
	}
}

/* --- tools --- */

/* The Assistants API's path below the run. False when its id cannot stand in one. */
static bool
run_path(const struct asking *asking, const char *below, char path[PATH_SIZE])
{
	const char *id = json_get_string(asking->reply->run, "id");
	int len = id && id_has_form(id, "") ? snprintf(path, PATH_SIZE, "/threads/%s/runs/%s%s",
						  asking->request->params[0], id, below)
					    : -1;

	return len > 0 && len < PATH_SIZE;
}

/* Nobody will ever answer its calls, and it holds the thread. */
static void
cancel_run(struct asking *asking)
{
	struct openai_answer answer;
	char path[PATH_SIZE];

	if (!run_path(asking, "/cancel", path))
		return;
	/* Also for a client that has gone: nothing interrupts it. */
	openai_call(asking->gateway->openai, "POST", path, NULL, NULL, &answer);
	if (answer.failure == OPENAI_ANSWERED && answer.status == 200) {
		json_object_put(asking->reply->run);
		asking->reply->run = json_object_get(answer.body);
	}
	openai_answer_free(&answer);
}

static bool
wants_outputs(const struct asking *asking)
{
	return asking->answer->failure == OPENAI_ANSWERED && asking->answer->status / 100 == 2 &&
	    strcmp(asking->reply->status, "requires_action") == 0;
}

/* NULL when the run does not say. */
static struct json_object *
wanted_calls(const struct reply *reply)
{
	struct json_object *action = json_get_object(reply->run, "required_action");

	return json_get_array(json_get_object(action, "submit_tool_outputs"), "tool_calls");
}

/* The output of a call that was answered before; NULL when it was not. Borrowed. */
static struct json_object *
known_output(const struct reply *reply, struct json_object *call)
{
	for (size_t i = 0; i < json_len(reply->calls); i++)
		if (json_object_equal(json_at(reply->calls, i), call))
			return json_at(reply->outputs, i);
	return NULL;
}

/*
 * The outputs of the calls. A server that says after a broken connection that it still waits for
 * some gets the same again: what a tool does is not done twice. Ids alone do not tell: some models
 * begin with the same one in each round.
 */
static struct json_object *
outputs_of(struct asking *asking, struct json_object *calls)
{
	struct json_object *outputs = json_object_new_array(), *output;
	struct reply *reply = asking->reply;

	for (size_t i = 0; i < json_len(calls); i++) {
		output = known_output(reply, json_at(calls, i));
		if (!output)
			break;
		json_add(outputs, json_object_get(output));
	}
	if (json_len(outputs) == json_len(calls))
		return outputs;
	json_object_put(outputs);
	outputs = tools_answer(
	    asking->definition->tools, calls, asking->deadline_ms - clock_ms(), &asking->interrupt);
	forget_calls(reply);
	reply->calls = json_object_get(calls);
	reply->outputs = json_object_get(outputs);
	return outputs;
}

/* All outputs in one submission, and the run goes on. */
static void
submit(struct asking *asking, struct json_object *outputs)
{
	struct json_object *body = json_object_new_object();
	char path[PATH_SIZE];

	json_set(body, "tool_outputs", json_object_get(outputs));
	if (run_path(asking, "/submit_tool_outputs", path)) {
		openai_answer_free(asking->answer);
		openai_stream(
		    asking->gateway->openai, path, body, &asking->listener, asking->answer);
	} else {
		asking->answer->failure = OPENAI_UNREACHABLE;
	}
	json_object_put(body);
}

/* Why a run that waits for outputs of tools must not get any, for the log; NULL: it may. */
static const char *
no_outputs(struct asking *asking, struct json_object *calls, int round)
{
	if (!calls || !asking->definition->tools) {
		asking->reply->tools = TOOLS_MISSING;
		return calls ? "there are none here" : "it does not say for which";
	}
	if (json_len(calls) > CALLS_MAX) {
		asking->reply->tools = TOOLS_ENDLESS;
		return "it called more than 128 at once";
	}
	if (round < TOOL_ROUNDS_MAX)
		return NULL;
	asking->reply->tools = TOOLS_ENDLESS;
	return "it called them endlessly";
}

/* Answers what the run calls, until it calls nothing more, or may not: then it is cancelled. */
static void
answer_calls(struct asking *asking)
{
	const char *reason = NULL, *error;

	for (int round = 0; wants_outputs(asking); round++) {
		struct json_object *calls = wanted_calls(asking->reply), *outputs;

		reason = no_outputs(asking, calls, round);
		if (reason)
			break;
		outputs = outputs_of(asking, calls);
		if (interrupt_raised(&asking->interrupt))
			asking->answer->failure = OPENAI_INTERRUPTED;
		else if (clock_ms() >= asking->deadline_ms)
			asking->answer->failure = OPENAI_SILENT;
		else
			submit(asking, outputs);
		json_object_put(outputs);
	}
	if (strcmp(asking->reply->status, "requires_action") != 0)
		return;
	cancel_run(asking);
	if (asking->answer->failure == OPENAI_INTERRUPTED)
		return;
	/* Here nobody else has logged why a 400 or 404 was answered: see openai_call(). */
	error = reason ? "" : openai_answer_error(asking->answer);
	log_error("the run that waited for tools was cancelled: %s%s%s",
	    reason ? reason : "their outputs were not taken", *error ? ": " : "", error);
}

/* Asked about once a second, whatever is waited for; while tools run, by all their threads. */
static bool
is_left(void *arg)
{
	struct asking *asking = arg;

	openai_keep(asking->gateway->openai);
	return deferral_is_left(asking->deferral, asking->stream);
}

bool
ask(struct gateway *gateway, struct stream *stream, struct deferral *deferral, const char *words,
    struct reply *reply, struct openai_answer *answer)
{
	struct response *response = stream->response;
	struct request *request = stream->request;
	struct asking asking = {
	    .gateway = gateway,
	    .request = request,
	    .stream = stream,
	    .deferral = deferral,
	    .interrupt = {.fd = request->client->fd, .raised = is_left, .arg = &asking},
	    .words = words,
	    .reply = reply,
	    .answer = answer,
	    .listener =
		{
		    .on_event = on_event,
		    .wants = wants,
		    .arg = &asking,
		    .interrupt = &asking.interrupt,
		},
	};
	struct definition *definition;
	char path[PATH_SIZE];
	bool asked;

	if (!thread_path(request, response, "/runs", path, sizeof path))
		return false;
	definition = definition_take(gateway->definitions);
	asking.definition = definition;
	asked = run(&asking, path);
	if (asked)
		answer_calls(&asking);
	definition_give(gateway->definitions, definition);
	return asked;
}
