#include "gateway/turn.h"

#include "obs/log.h"
#include "os/clock.h"
#include "text/memory.h"

enum { BUSY_WAIT_MS = 30000, BUSY_STEP_MS = 100, BUSY_STEP_MAX_MS = 1000, CALLS_MAX = 128 };

/* One message and its answer. */
struct turn {
	struct gateway *gateway;
	struct request *request;
	struct stream *stream;
	struct deferral *deferral;
	struct interrupt interrupt; /* checking it also keeps stream and lease alive */
	const char *words;
	const struct definition *definition; /* a snapshot, with its tools */
	struct reply *reply;
	struct openai_answer *answer;
	struct listener listener;
	long long deadline_ms; /* when the run expires, by clock_ms() */
};

void
reply_init(struct reply *reply)
{
	*reply = (struct reply){.status = RUN_STATUS__MAX};
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
	for (size_t i = 0; i < reply->said_len; i++)
		json_object_put(reply->said[i].content);
	free(reply->said);
	json_object_put(reply->usage);
	json_object_put(reply->wanted);
	forget_calls(reply);
}

/* If a stream broke off and the messages were then listed, some are reported twice. */
bool
reply_add(struct reply *reply, const struct message *message)
{
	const char *id = message->id ? message->id : "";
	struct said *said;

	for (size_t i = 0; i < reply->said_len; i++)
		if (*id && strcmp(reply->said[i].id, id) == 0)
			return false;
	said = reallocarray(reply->said, reply->said_len + 1, sizeof *said);
	reply->failed = reply->failed || !said;
	if (!said)
		return false;
	reply->said = said;
	said += reply->said_len++;
	*said =
	    (struct said){.content = json_object_get(message->content), .reason = message->reason};
	snprintf(said->id, sizeof said->id, "%s", id);
	return true;
}

void
reply_meet_run(struct reply *reply, const struct run *run)
{
	snprintf(reply->run_id, sizeof reply->run_id, "%s", run->id ? run->id : "");
	snprintf(
	    reply->thread_id, sizeof reply->thread_id, "%s", run->thread_id ? run->thread_id : "");
	reply->status = run->status;
	reply->reason = run->reason;
	reply->error = run_error_of(run->last_error);
	json_object_put(reply->usage);
	reply->usage = json_object_get(run->usage);
	json_object_put(reply->wanted);
	reply->wanted = json_object_get(run_required_calls(run));
}

static void
on_event(void *arg, const struct event *event)
{
	struct turn *turn = arg;
	struct reply *reply = turn->reply;

	switch (event->kind) {
	case EVENT_MESSAGE:
		if (reply_add(reply, event->message))
			stream_event(turn->stream, event);
		break;
	case EVENT_MESSAGE_DELTA:
		stream_event(turn->stream, event);
		break;
	case EVENT_RUN_CREATED:
		deferral_meet(turn->deferral, event->run->id);
		break;
	case EVENT_RUN:
		stream_event(turn->stream, event);
		reply_meet_run(reply, event->run);
		/* The outputs were accepted: later calls are new ones. */
		if (reply->status != RUN_REQUIRES_ACTION)
			forget_calls(reply);
		deferral_meet(turn->deferral, event->run->id);
		break;
	default:
		break;
	}
}

static struct json_object *
run_body(const struct turn *turn, const char *assistant)
{
	struct json_object *body = json_new_object(), *message = json_new_object();
	struct json_object *messages = json_new_array();

	json_set_string(message, "role", "user");
	json_set_string(message, "content", turn->words);
	json_add(messages, message);
	json_set_string(body, "assistant_id", assistant);
	json_set(body, "additional_messages", messages);
	if (turn->definition->answer_max)
		json_set_int(body, "max_completion_tokens", turn->definition->answer_max);
	deferral_mark(turn->deferral, body);
	return body;
}

/* Runs the assistant on the body; waits while another run holds the thread. */
static void
run_when_free(struct turn *turn, struct json_object *body)
{
	const struct openai_call call = {
	    .operation = API_RUN_CREATE, .ids = {turn->request->params[0]}, .body = body};
	long long patience_ms = deferral_patience_ms(turn->deferral), step_ms = BUSY_STEP_MS;
	long long end = clock_ms() + (patience_ms < BUSY_WAIT_MS ? patience_ms : BUSY_WAIT_MS);
	struct openai_answer *answer = turn->answer;

	for (;;) {
		turn->deadline_ms =
		    clock_ms() + (long long)turn->gateway->config->run_timeout_s * 1000;
		openai_stream(turn->gateway->openai, &call, &turn->listener, answer);
		if (answer->error != API_THREAD_BUSY || clock_ms() + step_ms > end)
			return;
		if (interrupt_sleep(&turn->interrupt, step_ms)) {
			answer->failure = OPENAI_INTERRUPTED;
			answer->error = API_OK;
			return;
		}
		openai_answer_free(answer);
		step_ms = step_ms * 2 < BUSY_STEP_MAX_MS ? step_ms * 2 : BUSY_STEP_MAX_MS;
	}
}

/* False: there is no assistant, which has been answered. */
static bool
run(struct turn *turn)
{
	struct gateway *gateway = turn->gateway;
	const struct interrupt *client = &turn->interrupt;
	char assistant[ASSISTANT_ID_SIZE];
	bool again = true;

	for (;;) {
		struct json_object *body;

		if (assistant_id(gateway->assistant, turn->definition, client, assistant,
			turn->answer) < 0) {
			answer_unavailable(turn->stream->response, turn->answer);
			return false;
		}
		openai_answer_free(turn->answer);
		body = run_body(turn, assistant);
		run_when_free(turn, body);
		json_object_put(body);
		if (turn->answer->error != API_NO_ASSISTANT)
			return true;
		if (!again) {
			answer_unavailable(turn->stream->response, turn->answer);
			return false;
		}
		/*
		 * The assistant was deleted, or the server is another one: try once more with a new
		 * assistant.
		 */
		assistant_forget(gateway->assistant, client, assistant);
		openai_answer_free(turn->answer);
		again = false;
	}
}

/* --- tools --- */

/* A call of the API about this turn's run. */
static struct openai_call
call_of_run(const struct turn *turn, enum api_operation operation)
{
	return (struct openai_call){
	    .operation = operation, .ids = {turn->request->params[0], turn->reply->run_id}};
}

/* Cancels a run whose calls will never be answered, because it holds the thread. */
static void
cancel_run(struct turn *turn)
{
	const struct openai_call call = call_of_run(turn, API_RUN_CANCEL);
	struct openai_answer answer;
	bool out_of_memory;

	if (!id_has_form(turn->reply->run_id, ""))
		return;
	out_of_memory = memory_begin();
	/* Not interrupted: it must happen even if the client has left. */
	openai_call(turn->gateway->openai, &call, &answer);
	openai_answer_free(&answer);
	memory_end(out_of_memory);
}

static bool
wants_outputs(const struct turn *turn)
{
	return openai_did(turn->answer) && turn->reply->status == RUN_REQUIRES_ACTION;
}

/* The output of a call that was answered before, borrowed; NULL: there is none. */
static struct json_object *
known_output(const struct reply *reply, struct json_object *call)
{
	for (size_t i = 0; i < json_len(reply->calls); i++)
		if (json_object_equal(json_at(reply->calls, i), call))
			return json_at(reply->outputs, i);
	return NULL;
}

/*
 * The outputs of the calls. After a broken connection, a server may ask again for calls that were
 * answered; it gets the same outputs, so that no tool acts twice. Comparing ids is not enough: some
 * models use the same ids in each round.
 */
static struct json_object *
outputs_of(struct turn *turn, struct json_object *calls)
{
	struct json_object *outputs = json_new_array(), *output;
	struct reply *reply = turn->reply;

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
	    turn->definition->tools, calls, turn->deadline_ms - clock_ms(), &turn->interrupt);
	forget_calls(reply);
	reply->calls = json_object_get(calls);
	reply->outputs = json_object_get(outputs);
	return outputs;
}

/* Submits all outputs at once; the run continues. */
static void
submit(struct turn *turn, struct json_object *outputs)
{
	struct openai_call call = call_of_run(turn, API_RUN_SUBMIT_TOOL_OUTPUTS);

	if (!id_has_form(turn->reply->run_id, "")) {
		turn->answer->failure = OPENAI_UNREACHABLE;
		return;
	}
	call.body = json_new_object();
	json_set(call.body, "tool_outputs", json_object_get(outputs));
	openai_answer_free(turn->answer);
	openai_stream(turn->gateway->openai, &call, &turn->listener, turn->answer);
	json_object_put(call.body);
}

/* Why a run's calls must not be answered, for the log; NULL: they may be. */
static const char *
no_outputs(struct turn *turn, struct json_object *calls, int round)
{
	if (!calls || !turn->definition->tools) {
		turn->reply->tools = TOOLS_MISSING;
		return calls ? "this server has no tools" : "the run does not name the calls";
	}
	if (json_len(calls) > CALLS_MAX) {
		turn->reply->tools = TOOLS_ENDLESS;
		return "it called more than 128 tools at once";
	}
	if (round < TOOL_ROUNDS_MAX)
		return NULL;
	turn->reply->tools = TOOLS_ENDLESS;
	return "it called tools too often";
}

/* Answers the run's calls until it calls nothing more. If it may not call, it is cancelled. */
static void
answer_calls(struct turn *turn)
{
	const char *reason = NULL, *error;

	for (int round = 0; wants_outputs(turn); round++) {
		struct json_object *calls = turn->reply->wanted, *outputs;

		reason = no_outputs(turn, calls, round);
		if (reason)
			break;
		outputs = outputs_of(turn, calls);
		if (interrupt_raised(&turn->interrupt))
			turn->answer->failure = OPENAI_INTERRUPTED;
		else if (clock_ms() >= turn->deadline_ms)
			turn->answer->failure = OPENAI_SILENT;
		else
			submit(turn, outputs);
		json_object_put(outputs);
	}
	if (turn->reply->status != RUN_REQUIRES_ACTION)
		return;
	cancel_run(turn);
	if (turn->answer->failure == OPENAI_INTERRUPTED)
		return;
	/* openai_call() does not log a 400 or 404. */
	error = reason ? "" : openai_answer_error(turn->answer);
	log_error("the run that waited for tools was cancelled: %s%s%s",
	    reason ? reason : "the server did not accept their outputs", *error ? ": " : "", error);
}

/* Called about once a second during any wait; while tools run, by all their threads. */
static bool
is_left(void *arg)
{
	struct turn *turn = arg;

	openai_keep(turn->gateway->openai);
	return deferral_is_left(turn->deferral, turn->stream);
}

bool
turn_take(struct gateway *gateway, struct stream *stream, struct deferral *deferral,
    const char *words, struct reply *reply, struct openai_answer *answer)
{
	struct request *request = stream->request;
	struct turn turn = {
	    .gateway = gateway,
	    .request = request,
	    .stream = stream,
	    .deferral = deferral,
	    .interrupt = {.fd = request->client->fd, .raised = is_left, .arg = &turn},
	    .words = words,
	    .reply = reply,
	    .answer = answer,
	    .listener =
		{
		    .on_event = on_event,
		    .arg = &turn,
		    .interrupt = &turn.interrupt,
		},
	};
	struct definition *definition;
	bool asked;

	if (!thread_id_has_form(request, stream->response))
		return false;
	definition = definition_take(gateway->definitions);
	turn.definition = definition;
	asked = run(&turn);
	if (asked)
		answer_calls(&turn);
	definition_give(gateway->definitions, definition);
	return asked;
}
