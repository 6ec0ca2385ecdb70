#include "assistants/runner.h"

#include "assistants/context.h"
#include "assistants/leases.h"
#include "assistants/runner_pool.h"
#include "assistants/runs.h"
#include "obs/log.h"
#include "os/clock.h"
#include "text/buf.h"

enum {
	WANTED_CHECK_MS = 900, /* below a second: that is when a cancelled run must end */
	PARTIAL_MAX = 16 << 20,
	OUTPUT_TOKENS_MIN = 16, /* model servers refuse to answer in less */
	CONTEXT_TOKENS_MIN = 500,
	STORE_PAUSE_MS = 250,
	STORE_PAUSE_MAX_MS = 30000
};

/* A run on its way. At most one step is open: one that writes a message, or one of calls. */
struct execution {
	struct api *api;
	struct run *run;
	api_event_fn *on_event; /* NULL: nobody listens */
	api_wants_fn *wants;
	void *event_arg;
	bool answers_calls;         /* who listens does */
	struct interrupt interrupt; /* what the model is asked with */
	const struct interrupt *client;
	long long begun_us;   /* metrics_clock()'s */
	long long checked_ms; /* when the database was last asked whether the run is still wanted */
	bool open;            /* a message is */
	bool written;         /* the open message is whole, and waits to be stored */
	bool first_delta;
	bool spoken; /* the model has said its first word */
	bool stored; /* a message is: the run cannot begin anew */
	struct run_message message;
	struct buf partial; /* what came so far of the open message, if it stays unfinished */
	struct json_object *calls; /* the API's tool_calls, when they are the open step */
	struct run_step step;      /* the open one */
	size_t told, said;     /* bytes that the model was told the last time, and has said since */
	long long deadline_ms; /* when the run expires, by clock_ms() */
	bool limited;          /* the model was sent what is left as its limit, and that is much */
	bool cautious;         /* it is sent the least instead */
	long long asked_ms;    /* when the model was, by clock_ms(); 0: it was not */
	long long cost;        /* tokens; -1: nobody has said */
	long long written_tokens; /* by the model, as far as it is known */
};

/* --- events --- */

static void
emit(struct execution *execution, const char *event, struct json_object *data)
{
	execution->on_event(execution->event_arg, event, data);
	json_object_put(data);
}

/* Whether somebody listens to such events: else they are not even made. */
static bool
is_wanted(const struct execution *execution, const char *event)
{
	return execution->on_event &&
	    (!execution->wants || execution->wants(execution->event_arg, event));
}

static void
emit_run(struct execution *execution, const char *status)
{
	char event[48];

	if (execution->on_event)
		execution->run->status = status;
	snprintf(event, sizeof event, "thread.run.%s", status);
	if (is_wanted(execution, event))
		emit(execution, event, run_compose(execution->run));
}

static void
emit_step(struct execution *execution, const char *event)
{
	if (is_wanted(execution, event))
		emit(execution, event, run_step_compose(execution->run, &execution->step));
}

static void
emit_message(struct execution *execution, const char *event)
{
	if (is_wanted(execution, event))
		emit(execution, event, run_message_compose(execution->run, &execution->message));
}

/* No null may stand in a delta, and `annotations` only in the first: SDKs add deltas up. */
static void
emit_delta(struct execution *execution, enum model_part kind, int index, const char *words)
{
	struct json_object *data, *delta, *content, *part;

	if (!is_wanted(execution, "thread.message.delta"))
		return;
	data = json_object_new_object();
	delta = json_object_new_object();
	content = json_object_new_array();
	part = json_object_new_object();
	json_set_int(part, "index", index);
	if (kind == MODEL_REFUSAL) {
		json_set_string(part, "type", "refusal");
		json_set_string(part, "refusal", words);
	} else {
		struct json_object *text = json_object_new_object();

		json_set_string(text, "value", words);
		if (execution->first_delta)
			json_set(text, "annotations", json_object_new_array());
		json_set_string(part, "type", "text");
		json_set(part, "text", text);
	}
	json_add(content, part);
	json_set(delta, "content", content);
	json_set_string(data, "id", execution->message.id);
	json_set_string(data, "object", "thread.message.delta");
	json_set(data, "delta", delta);
	emit(execution, "thread.message.delta", data);
	execution->first_delta = false;
}

/* --- the open step --- */

/* `details` are taken over. */
static void
open_step(struct execution *execution, long long now, struct json_object *details)
{
	execution->step =
	    (struct run_step){.created_at = now, .status = "in_progress", .details = details};
	id_new_in_order(execution->step.id, "step_");
	emit_step(execution, "thread.run.step.created");
	emit_step(execution, "thread.run.step.in_progress");
}

static void
close_step(struct execution *execution)
{
	char event[48];

	snprintf(event, sizeof event, "thread.run.step.%s", execution->step.status);
	emit_step(execution, event);
	run_step_free(&execution->step);
}

static struct json_object *
message_details(const char *message_id)
{
	struct json_object *details = json_object_new_object(),
			   *creation = json_object_new_object();

	json_set_string(creation, "message_id", message_id);
	json_set_string(details, "type", "message_creation");
	json_set(details, "message_creation", creation);
	return details;
}

static void
open_message(struct execution *execution)
{
	long long now = clock_unix();

	execution->open = true;
	execution->written = false;
	execution->first_delta = true;
	execution->message = (struct run_message){.created_at = now};
	id_new_in_order(execution->message.id, "msg_");
	open_step(execution, now, message_details(execution->message.id));
	emit_message(execution, "thread.message.created");
	emit_message(execution, "thread.message.in_progress");
}

static enum db_result
store_message(struct execution *execution, struct db_tx *tx)
{
	enum db_result result = run_message_insert(tx, execution->run, &execution->message);

	return result == DB_DONE ? run_step_insert(tx, execution->run, &execution->step) : result;
}

static void
close_message(struct execution *execution)
{
	if (!execution->open)
		return;
	emit_message(execution,
	    execution->message.completed_at ? "thread.message.completed"
					    : "thread.message.incomplete");
	close_step(execution);
	json_object_put(execution->message.content);
	json_object_put(execution->message.items);
	buf_free(&execution->partial);
	execution->message = (struct run_message){0};
	execution->open = false;
}

/*
 * Something else begins while the model goes on: the message before is stored now, since an event
 * that says "completed" promises that it can be retrieved. -1: the run cannot go on.
 */
static int
finish_message(struct execution *execution)
{
	struct db_tx *tx = db_begin(execution->api->db, DB_WRITE);

	execution->message.completed_at = execution->step.ended_at = clock_unix();
	execution->step.status = "completed";
	if (!tx)
		return -1;
	if (run_renew(tx, execution->run) != 1 || store_message(execution, tx) != DB_DONE) {
		db_rollback(tx);
		return -1;
	}
	if (db_commit(tx) < 0)
		return -1;
	execution->stored = true;
	close_message(execution);
	return 0;
}

/* --- what the model says --- */

static int
on_message(void *arg)
{
	struct execution *execution = arg;

	if (execution->open && execution->written && finish_message(execution) < 0)
		return -1;
	if (!execution->open)
		open_message(execution);
	return 0;
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	struct execution *execution = arg;

	execution->said += strlen(words);
	if (!execution->spoken)
		metrics_observe(METRIC_FIRST_WORD, execution->begun_us);
	execution->spoken = true;
	buf_puts(&execution->partial, words);
	emit_delta(execution, kind, index, words);
	return 0;
}

static int
on_written(void *arg, struct json_object *content, struct json_object *items)
{
	struct execution *execution = arg;

	json_object_put(execution->message.content);
	json_object_put(execution->message.items);
	execution->message.content = json_object_get(content);
	execution->message.items = json_object_get(items);
	execution->written = true;
	return 0;
}

/* A piece of a step of calls: SDKs add pieces up by their index. Takes `function` over. */
static void
emit_call_delta(
    struct execution *execution, int index, const char *id, struct json_object *function)
{
	struct json_object *data = json_object_new_object(), *delta = json_object_new_object();
	struct json_object *details = json_object_new_object(), *calls = json_object_new_array();
	struct json_object *tool_call = json_object_new_object();

	json_set_int(tool_call, "index", index);
	if (id)
		json_set_string(tool_call, "id", id);
	json_set_string(tool_call, "type", "function");
	json_set(tool_call, "function", function);
	json_add(calls, tool_call);
	json_set_string(details, "type", "tool_calls");
	json_set(details, "tool_calls", calls);
	json_set(delta, "step_details", details);
	json_set_string(data, "id", execution->step.id);
	json_set_string(data, "object", "thread.run.step.delta");
	json_set(data, "delta", delta);
	if (execution->on_event)
		emit(execution, "thread.run.step.delta", data);
	else
		json_object_put(data);
}

static struct json_object *
call_function(const char *name)
{
	struct json_object *function = json_object_new_object();

	json_set_string(function, "name", name);
	json_set_string(function, "arguments", "");
	json_set(function, "output", NULL);
	return function;
}

static int
on_call(void *arg, int index, const char *id, const char *name)
{
	struct execution *execution = arg;
	struct json_object *tool_call, *details;

	execution->said += strlen(name);
	if (execution->open && finish_message(execution) < 0)
		return -1;
	if (!execution->calls) {
		details = json_object_new_object();
		json_set_string(details, "type", "tool_calls");
		execution->calls = json_object_new_array();
		json_set(details, "tool_calls", json_object_get(execution->calls));
		open_step(execution, clock_unix(), details);
	}
	tool_call = json_object_new_object();
	json_set_string(tool_call, "id", id);
	json_set_string(tool_call, "type", "function");
	json_set(tool_call, "function", call_function(name));
	json_add(execution->calls, tool_call);
	emit_call_delta(execution, index, id, call_function(name));
	return 0;
}

static int
on_arguments(void *arg, int index, const char *fragment)
{
	struct json_object *function = json_object_new_object();
	struct execution *execution = arg;

	execution->said += strlen(fragment);
	json_set_string(function, "arguments", fragment);
	emit_call_delta(execution, index, NULL, function);
	return 0;
}

static int
on_called(void *arg, int index, const char *arguments)
{
	struct execution *execution = arg;
	struct json_object *tool_call = json_at(execution->calls, (size_t)index);

	json_set_string(json_get(tool_call, "function"), "arguments", arguments);
	return 0;
}

/* --- the end --- */

/* Why a message stays unfinished, by how its run ended. */
static const char *
message_reason(const struct execution *execution, const struct model_result *result)
{
	const char *status = execution->run->status;

	if (strcmp(status, "incomplete") == 0)
		return result->incomplete == MODEL_CONTENT_FILTER ? "content_filter" : "max_tokens";
	if (strcmp(status, "cancelled") == 0)
		return "run_cancelled";
	return strcmp(status, "expired") == 0 ? "run_expired" : "run_failed";
}

static void
end_message(struct execution *execution, const struct model_result *result)
{
	const char *status = execution->run->status;
	bool whole = execution->written && strcmp(status, "incomplete") != 0;
	long long now = execution->run->ended_at;

	if (whole) {
		execution->message.completed_at = now;
	} else {
		execution->message.incomplete_at = now;
		execution->message.incomplete_reason = message_reason(execution, result);
	}
	if (!execution->message.content)
		execution->message.content =
		    model_text_content(execution->partial.len ? execution->partial.data : "");
	execution->step.ended_at = now;
	execution->step.status = whole || strcmp(status, "incomplete") == 0 ? "completed" : status;
	execution->step.last_error = execution->run->last_error;
}

static struct json_object *
error_object(const char *code, const char *message)
{
	struct json_object *error = json_object_new_object();

	json_set_string(error, "code", code);
	json_set_string(error, "message", message);
	return error;
}

static long long
tokens_of(size_t bytes)
{
	return (long long)(bytes + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN;
}

/*
 * Who leaves early, or is left, has had something all the same, and some servers never count: what
 * one that was at work may want to be paid for.
 */
static void
estimate_usage(const struct execution *execution, struct model_result *result)
{
	if (result->prompt_tokens >= 0 || !result->charged)
		return;
	result->prompt_tokens = tokens_of(execution->told);
	result->completion_tokens = tokens_of(execution->said);
}

static struct json_object *
details_object(const char *name, long long tokens)
{
	struct json_object *details = json_object_new_object();

	json_set_int(details, name, tokens);
	return details;
}

/* Its names are those that the original answered: one says token_details, the other tokens_. */
static struct json_object *
usage_object(const struct model_result *result)
{
	struct json_object *usage;

	if (result->prompt_tokens < 0)
		return NULL;
	usage = json_object_new_object();
	json_set_int(usage, "prompt_tokens", result->prompt_tokens);
	json_set_int(usage, "completion_tokens", result->completion_tokens);
	json_set_int(usage, "total_tokens", result->prompt_tokens + result->completion_tokens);
	json_set(
	    usage, "prompt_token_details", details_object("cached_tokens", result->cached_tokens));
	json_set(usage, "completion_tokens_details",
	    details_object("reasoning_tokens", result->reasoning_tokens));
	return usage;
}

/* The sum of two usages, member by member; a reference. `more` may be NULL. */
static struct json_object *
usage_sum(struct json_object *usage, struct json_object *more)
{
	struct json_object *sum;

	if (!usage || !more)
		return json_object_get(usage ? usage : more);
	sum = json_object_new_object();
	json_object_object_foreach(more, name, value)
	{
		struct json_object *had = json_get(usage, name);

		if (json_object_is_type(value, json_type_object))
			json_set(sum, name, usage_sum(had, value));
		else
			json_set_int(
			    sum, name, json_object_get_int64(had) + json_object_get_int64(value));
	}
	return sum;
}

/* The run waits for what its calls' functions answer. */
static void
require_action(struct execution *execution)
{
	struct json_object *action = json_object_new_object(), *submit = json_object_new_object();
	struct json_object *calls = json_object_new_array();

	for (size_t i = 0; i < json_len(execution->calls); i++) {
		struct json_object *tool_call = json_object_new_object(),
				   *function = json_object_new_object();
		struct json_object *from = json_at(execution->calls, i);

		copy_member(tool_call, from, "id");
		copy_member(tool_call, from, "type");
		copy_member(function, json_get(from, "function"), "name");
		copy_member(function, json_get(from, "function"), "arguments");
		json_set(tool_call, "function", function);
		json_add(calls, tool_call);
	}
	json_set(submit, "tool_calls", calls);
	json_set_string(action, "type", "submit_tool_outputs");
	json_set(action, "submit_tool_outputs", submit);
	execution->run->status = "requires_action";
	execution->run->required_action = action;
	execution->run->ended_at = 0;
}

/* Calls that will not be answered: the run is over. */
static void
end_calls(struct execution *execution)
{
	execution->step.status = execution->run->status;
	if (strcmp(execution->step.status, "incomplete") == 0)
		execution->step.status = "failed";
	execution->step.ended_at = execution->run->ended_at;
	execution->step.last_error = execution->run->last_error;
}

static void
set_end(struct run *run, const struct model_result *result)
{
	static const char *const ends[MODEL__MAX] = {
	    [MODEL_COMPLETED] = "completed",
	    [MODEL_INCOMPLETE] = "incomplete",
	    [MODEL_TOO_LONG] = "failed",
	    [MODEL_BUSY] = "failed",
	    [MODEL_FAILED] = "failed",
	    [MODEL_SILENT] = "expired",
	    [MODEL_INTERRUPTED] = "cancelled",
	};

	run->status = ends[result->outcome];
	run->ended_at = clock_unix();
	if (result->outcome == MODEL_BUSY)
		run->last_error = error_object("rate_limit_exceeded", result->error);
	else if (result->outcome == MODEL_FAILED || result->outcome == MODEL_TOO_LONG)
		run->last_error = error_object("server_error", result->error);
	/* The API has no reason for a content filter: the message tells. */
	if (result->outcome == MODEL_INCOMPLETE && result->incomplete != MODEL_CONTENT_FILTER)
		run->incomplete_reason = result->incomplete == MODEL_MAX_PROMPT
		    ? "max_prompt_tokens"
		    : "max_completion_tokens";
}

/* What others made of the run meanwhile; NULL when it was deleted with its thread. */
static const char *
status_now(struct db_tx *tx, const struct run *run)
{
	struct run *now = tx ? run_load(tx, run->seq) : NULL;
	const char *status = now ? now->status : NULL;

	run_free(now);
	return status;
}

static bool
is_now(const char *status, const char *now)
{
	return now && strcmp(now, status) == 0;
}

static void
cancel_calls(struct execution *execution)
{
	struct run *run = execution->run;

	json_object_put(run->required_action);
	run->required_action = NULL;
	run->status = "cancelled";
	run->ended_at = clock_unix();
	end_calls(execution);
}

/* Its budget pays what the question has cost. */
static bool
settle(const struct execution *execution, struct db_tx *tx)
{
	const struct budgets *budgets = &execution->api->budgets;
	long long took_ms = execution->asked_ms ? clock_ms() - execution->asked_ms : 0;

	return execution->cost >= 0
	    ? budget_settle(tx, budgets, execution->run->id, execution->cost)
	    : budget_settle_unreported(tx, budgets, execution->run->id, execution->written_tokens,
		  (took_ms + 999) / 1000);
}

struct ending {
	struct execution *execution;
	int result; /* 1 stored, 0 the run is no more, -1 failed */
};

/* The message, its step, the run's end. */
static bool
write_end(struct db_tx *tx, void *arg)
{
	struct ending *ending = arg;
	struct execution *execution = ending->execution;
	struct run *run = execution->run;

	/* Who cancelled while the model was still calling wants no answers any more. */
	if (run->required_action && is_now("cancelling", status_now(tx, run)))
		cancel_calls(execution);
	ending->result = run_end(tx, run, run->required_action && execution->answers_calls);
	if (ending->result == 1 && execution->open && store_message(execution, tx) != DB_DONE)
		ending->result = -1;
	if (ending->result == 1 && execution->calls &&
	    run_step_insert(tx, run, &execution->step) != DB_DONE)
		ending->result = -1;
	if (ending->result >= 0 && !settle(execution, tx))
		ending->result = -1;
	return ending->result >= 0;
}

/* 1 stored, 0 the run is no more, -1 failed. */
static int
store_end_once(struct execution *execution)
{
	struct ending ending = {execution, -1};

	return db_write(execution->api->db, DB_WRITE, write_end, &ending) < 0 ? -1 : ending.result;
}

/*
 * The same with patience: an answer that was paid for, and a thread that nobody else could free,
 * are worth waiting for a database that is busy, until the run would be over anyway.
 */
static int
store_end(struct execution *execution)
{
	long long pause_ms = STORE_PAUSE_MS;
	int stored;

	while ((stored = store_end_once(execution)) < 0 &&
	    !runner_pool_stops(execution->api->runners) && clock_ms() < execution->deadline_ms) {
		interrupt_sleep(NULL, pause_ms);
		pause_ms = pause_ms * 2 < STORE_PAUSE_MAX_MS ? pause_ms * 2 : STORE_PAUSE_MAX_MS;
	}
	return stored;
}

/* The same outside of a transaction. */
static const char *
look_up_status(const struct execution *execution)
{
	struct db_tx *tx = db_begin(execution->api->db, DB_READ);
	const char *status = status_now(tx, execution->run);

	db_rollback(tx);
	return status;
}

/* Nothing of the answer was kept: what was open did not complete. */
static void
end_unkept(struct execution *execution, const struct model_result *result, int stored)
{
	struct run *run = execution->run;

	run->status = stored == 0 ? look_up_status(execution) : "failed";
	if (!run->status) {
		/* As good as cancelled; who deletes a thread does not look at its run. */
		run->status = "cancelled";
		metrics_add(METRIC_RUNS, 1, run->status, NULL, NULL);
	}
	json_object_put(run->required_action);
	run->required_action = NULL;
	run->ended_at = clock_unix();
	if (stored < 0) {
		json_object_put(run->last_error);
		run->last_error = error_object("server_error", "The answer could not be stored.");
	}
	if (execution->open) {
		execution->message.completed_at = 0;
		execution->message.incomplete_at = run->ended_at;
		execution->message.incomplete_reason = message_reason(execution, result);
	}
	if (execution->open || execution->calls)
		end_calls(execution);
}

/* The open step of calls stays open in what the world sees, until their outputs come. */
static void
close_calls(struct execution *execution)
{
	if (!execution->calls)
		return;
	json_object_put(execution->calls);
	execution->calls = NULL;
	if (execution->run->required_action)
		run_step_free(&execution->step);
	else
		close_step(execution);
}

static void
end_round(struct execution *execution, struct model_result *result)
{
	struct json_object *usage, *sum;
	struct run *run = execution->run;
	bool broken;
	int stored;

	metrics_add(METRIC_TOKENS, result->prompt_tokens, "prompt", NULL, NULL);
	metrics_add(METRIC_TOKENS, result->completion_tokens, "completion", NULL, NULL);
	/* What was counted of an answer that was left is not all of it. */
	broken = result->outcome == MODEL_INTERRUPTED || result->outcome == MODEL_SILENT ||
	    (result->outcome > MODEL_INCOMPLETE && result->prompt_tokens < 0);
	broken = broken && (result->charged || result->prompt_tokens >= 0);
	estimate_usage(execution, result);
	execution->written_tokens = result->completion_tokens;
	execution->cost = broken        ? -1
	    : result->prompt_tokens < 0 ? 0
					: result->prompt_tokens + result->completion_tokens;
	usage = usage_object(result);
	set_end(run, result);
	if (execution->open || execution->calls)
		execution->step.usage = json_object_get(usage);
	sum = usage_sum(run->usage, usage);
	json_object_put(run->usage);
	run->usage = sum;
	json_object_put(usage);
	if (execution->calls) {
		execution->step.items = result->items;
		result->items = NULL;
		if (result->outcome == MODEL_COMPLETED)
			require_action(execution);
		else
			end_calls(execution);
	} else if (execution->open) {
		end_message(execution, result);
	}
	stored = store_end(execution);
	if (stored != 1)
		end_unkept(execution, result, stored);
	if (!run_is_active(run))
		metrics_observe(METRIC_RUN_DURATION, execution->begun_us);
	close_message(execution);
	close_calls(execution);
	emit_run(execution, run->status);
}

/* --- the whole --- */

static bool
is_interrupted(void *arg)
{
	struct execution *execution = arg;
	long long now = clock_ms();

	if (runner_pool_stops(execution->api->runners) || interrupt_raised(execution->client))
		return true;
	if (now - execution->checked_ms < WANTED_CHECK_MS)
		return false;
	execution->checked_ms = now;
	runs_renew(execution->api);
	return !run_wanted(execution->api->db, execution->run->seq);
}

/* What is left of a limit of tokens for the whole run; `otherwise` where there is none. */
static long long
tokens_left(const struct run *run, const char *limit, const char *used, long long otherwise)
{
	long long max = json_get_int(run->body, limit, 0);

	return max ? max - json_get_int(run->usage, used, 0) : otherwise;
}

/* *answer_max: of what is reserved for the question, 0 for nothing. */
static struct json_object *
load_context(struct execution *execution, long long tokens_max, long long *answer_max)
{
	struct run *run = execution->run;
	struct json_object *strategy = json_get(run->body, "truncation_strategy");
	struct db_tx *tx = db_begin(execution->api->db, DB_READ);
	struct json_object *context = NULL;

	if (tx)
		*answer_max = budget_is_bounded(&execution->api->budgets, run->tenant)
		    ? budget_answer_max(tx, run->id)
		    : 0;
	if (tx && *answer_max >= 0)
		context = context_load(
		    tx, run->thread, tokens_max, json_get_int(strategy, "last_messages", 0));
	db_rollback(tx);
	return context;
}

/* Images that are files are only stored yet: the model reads that there is one. */
static void
warn_of_images(struct json_object *context)
{
	int images = 0;

	for (size_t i = 0; i < json_len(context); i++) {
		struct json_object *content = json_get_array(json_at(context, i), "content");

		for (size_t p = 0; p < json_len(content); p++)
			images += json_get_object(json_at(content, p), "image_file") != NULL;
	}
	if (images)
		log_warn("the model cannot see %d image%s of the thread: image_file is only stored "
			 "yet, image_url is shown",
		    images, images == 1 ? "" : "s");
}

/* Of a run that another program had begun nothing is reserved any more. False: no tokens. */
static bool
reserve_anew(struct execution *execution, long long *answer_max, struct model_result *result)
{
	const struct run *run = execution->run;
	struct budget_question question = {
	    .id = run->id,
	    .bytes = (long long)execution->told,
	    .answer_max = tokens_left(run, "max_completion_tokens", "completion_tokens", 0),
	    .timeout_s = execution->api->run_timeout_s,
	};
	long long wait_s;

	if (budget_take(&execution->api->budgets, run->tenant, &question, answer_max, &wait_s) ==
	    BUDGET_RESERVED)
		return true;
	result->outcome = MODEL_BUSY;
	result->retry_after_s = (long)wait_s;
	snprintf(result->error, sizeof result->error, "There are no tokens left for this.");
	return false;
}

/* What the answer may have: as much as the run allows, and as is reserved. 0: no limit. */
static long long
answer_limit(const struct execution *execution, long long reserved)
{
	long long max =
	    tokens_left(execution->run, "max_completion_tokens", "completion_tokens", 0);

	if (reserved == 0 || (max ? reserved >= max : reserved >= BUDGET_ANSWER))
		return max;
	return execution->cautious && reserved > BUDGET_ANSWER_MIN ? BUDGET_ANSWER_MIN : reserved;
}

static void
ask_model(struct execution *execution, long long tokens_max, struct model_result *result)
{
	struct run *run = execution->run;
	long long reserved = 0;
	struct json_object *context = load_context(execution, tokens_max, &reserved);
	struct model_request request = {
	    .options = run->body,
	    .context = context,
	    .deadline_ms = execution->deadline_ms,
	    .interrupt = &execution->interrupt,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	    .on_call = on_call,
	    .on_arguments = on_arguments,
	    .on_called = on_called,
	    .arg = execution,
	};

	*result = (struct model_result){
	    .outcome = MODEL_FAILED, .retry_after_s = -1, .prompt_tokens = -1};
	execution->told = context_size(run->body, context);
	warn_of_images(context);
	if (!context) {
		snprintf(result->error, sizeof result->error, "The thread could not be read.");
	} else if (reserved == 0 && !reserve_anew(execution, &reserved, result)) {
		execution->told = 0;
	} else {
		request.max_output_tokens = answer_limit(execution, reserved);
		execution->limited = request.max_output_tokens > BUDGET_ANSWER_MIN;
		execution->asked_ms = clock_ms();
		model_ask(execution->api->model, &request, result);
	}
	json_object_put(context);
}

/*
 * Asks, with half of the thread, and half of that, while it is too long; unless the run's limits
 * are reached.
 */
static void
ask_within_limits(struct execution *execution, struct model_result *result)
{
	struct run *run = execution->run;
	long long prompt =
	    tokens_left(run, "max_prompt_tokens", "prompt_tokens", execution->api->context_tokens);
	long long completion =
	    tokens_left(run, "max_completion_tokens", "completion_tokens", OUTPUT_TOKENS_MIN);

	if (prompt <= 0 || completion < OUTPUT_TOKENS_MIN) {
		*result = (struct model_result){.outcome = MODEL_INCOMPLETE,
		    .incomplete = prompt <= 0 ? MODEL_MAX_PROMPT : MODEL_MAX_TOKENS,
		    .prompt_tokens = -1,
		    .retry_after_s = -1};
		return;
	}
	if (prompt > execution->api->context_tokens)
		prompt = execution->api->context_tokens;
	ask_model(execution, prompt, result);
	/* To some servers a limit beyond what they have room for is a context that is too long. */
	if (result->outcome == MODEL_TOO_LONG && execution->limited) {
		execution->cautious = true;
		ask_model(execution, prompt, result);
	}
	while (result->outcome == MODEL_TOO_LONG && (prompt /= 2) >= CONTEXT_TOKENS_MIN) {
		log_info("the model takes less than the thread: at most %lld tokens of it are sent",
		    prompt);
		ask_model(execution, prompt, result);
	}
}

/* Whether it is the program that ends, and nobody who wants the run to. */
static bool
stops(const struct execution *execution)
{
	return runner_pool_stops(execution->api->runners) && !interrupt_raised(execution->client);
}

/* Queues a run again that nobody listens to, and of which nothing is stored: for the next program.
 */
static bool
put_back(struct execution *execution)
{
	struct db_tx *tx = execution->on_event || execution->stored
	    ? NULL
	    : db_begin(execution->api->db, DB_WRITE);
	struct run *now = tx ? run_load(tx, execution->run->seq) : NULL;
	bool done = now && strcmp(now->status, "in_progress") == 0 &&
	    run_begin(tx, now, NULL) == DB_DONE && settle(execution, tx);

	run_free(now);
	if (!done)
		db_rollback(tx);
	if (!done || db_commit(tx) < 0)
		return false;
	close_message(execution);
	close_calls(execution);
	return true;
}

/* By the time that is left; a clock that was set back leaves no more than there was at first. */
static long long
deadline_of(const struct execution *execution)
{
	long long left_s = execution->run->expires_at - clock_unix();
	long long most_s = execution->api->run_timeout_s;

	return clock_ms() + (left_s < most_s ? left_s : most_s) * 1000;
}

static long
carry_out(struct execution *execution)
{
	struct run *run = execution->run;
	struct model_result result;

	execution->partial = (struct buf)BUF_INIT(PARTIAL_MAX);
	execution->begun_us = metrics_clock();
	execution->checked_ms = clock_ms();
	execution->deadline_ms = deadline_of(execution);
	execution->cost = -1;
	leases_take_up(execution->api->leases, run->seq);
	execution->interrupt =
	    (struct interrupt){.fd = execution->client ? execution->client->fd : -1,
		.raised = is_interrupted,
		.arg = execution};
	emit_run(execution, "queued");
	if (!run->started_at)
		run->started_at = run->created_at;
	emit_run(execution, "in_progress");
	ask_within_limits(execution, &result);
	if (result.outcome == MODEL_INTERRUPTED && stops(execution)) {
		if (put_back(execution))
			goto out;
		if (is_now("in_progress", look_up_status(execution))) {
			result.outcome = MODEL_FAILED;
			snprintf(result.error, sizeof result.error,
			    "The server stopped while it carried this run out.");
		}
	}
	/* Once, where it happened; below debug nobody's words but the server's. */
	if (result.outcome == MODEL_FAILED || result.outcome == MODEL_BUSY ||
	    result.outcome == MODEL_TOO_LONG || result.outcome == MODEL_SILENT)
		log_error("run: %s%s%s", result.error, result.url ? " — POST " : "",
		    result.url ? result.url : "");
	end_round(execution, &result);
out:
	leases_put_down(execution->api->leases, run->seq);
	json_object_put(result.items);
	buf_free(&execution->partial);
	return result.retry_after_s;
}

long
runner_stream(struct api *api, struct run *run, const struct api_request *request)
{
	struct execution execution = {
	    .api = api,
	    .run = run,
	    .on_event = request->on_event,
	    .wants = request->wants,
	    .event_arg = request->event_arg,
	    .client = request->client,
	    .answers_calls = request->answers_calls,
	};
	/* It was stored as in_progress, and is told as it was born. */
	run->status = "queued";
	run->started_at = 0;
	if (is_wanted(&execution, "thread.run.created"))
		emit(&execution, "thread.run.created", run_compose(run));
	return carry_out(&execution);
}

long
runner_resume(struct api *api, struct run *run, const struct run_step *answered,
    const struct api_request *request)
{
	struct execution execution = {
	    .api = api,
	    .run = run,
	    .on_event = request->on_event,
	    .wants = request->wants,
	    .event_arg = request->event_arg,
	    .client = request->client,
	    .answers_calls = request->answers_calls,
	};

	emit(&execution, "thread.run.step.completed", run_step_compose(run, answered));
	return carry_out(&execution);
}

void
runner_carry_out(struct api *api, struct run *run)
{
	struct execution execution = {.api = api, .run = run};

	carry_out(&execution);
}
