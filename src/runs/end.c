/*
 * How a round ends: the run is over, or waits for outputs of its calls. Everything is stored in one
 * transaction.
 */
#include "obs/metrics.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "runs/context.h"
#include "runs/internal.h"
#include "text/json.h"
#include "text/memory.h"

enum { STORE_PAUSE_MS = 250, STORE_PAUSE_MAX_MS = 30000 };

/* Why a message is incomplete, by how its run ended. */
static enum message_reason
message_reason(const struct execution *execution, const struct model_result *result)
{
	switch (execution->run->status) {
	case RUN_INCOMPLETE:
		return result->incomplete == MODEL_CONTENT_FILTER ? MESSAGE_CONTENT_FILTER
								  : MESSAGE_MAX_TOKENS;
	case RUN_CANCELLED:
		return MESSAGE_RUN_CANCELLED;
	case RUN_EXPIRED:
		return MESSAGE_RUN_EXPIRED;
	default:
		return MESSAGE_RUN_FAILED;
	}
}

static enum run_step_status
step_status(enum run_status status)
{
	switch (status) {
	case RUN_COMPLETED:
		return STEP_COMPLETED;
	case RUN_CANCELLED:
		return STEP_CANCELLED;
	case RUN_EXPIRED:
		return STEP_EXPIRED;
	default:
		return STEP_FAILED;
	}
}

static void
end_message(struct execution *execution, const struct model_result *result)
{
	enum run_status status = execution->run->status;
	bool whole = execution->written && status != RUN_INCOMPLETE;
	struct message *message = &execution->message;
	long long now = execution->run->ended_at;

	if (whole) {
		message->completed_at = now;
	} else {
		message->incomplete_at = now;
		message->reason = message_reason(execution, result);
	}
	if (!message->content)
		message->content =
		    model_text_content(execution->partial.len ? execution->partial.data : "");
	execution->step.ended_at = now;
	execution->step.status =
	    whole || status == RUN_INCOMPLETE ? STEP_COMPLETED : step_status(status);
	execution->step.last_error = execution->run->last_error;
}

/* Closes the open step, which will not be completed, because its run is over. */
static void
end_calls(struct execution *execution)
{
	execution->step.status = step_status(execution->run->status);
	execution->step.ended_at = execution->run->ended_at;
	execution->step.last_error = execution->run->last_error;
}

/* --- usage --- */

static long long
tokens_of(size_t bytes)
{
	return (long long)(bytes + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN;
}

/*
 * Estimates what the server has not counted. Some servers never count, and none counts an answer
 * whose client left. Leaving early still costs, because the server that was at work may have to be
 * paid.
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
details_json(const char *name, long long tokens)
{
	struct json_object *details = json_new_object();

	json_set_int(details, name, tokens);
	return details;
}

/* The names are the original's: prompt_token_details, but completion_tokens_details. */
static struct json_object *
usage_json(const struct model_result *result)
{
	struct json_object *usage;

	if (result->prompt_tokens < 0)
		return NULL;
	usage = json_new_object();
	json_set_int(usage, "prompt_tokens", result->prompt_tokens);
	json_set_int(usage, "completion_tokens", result->completion_tokens);
	json_set_int(usage, "total_tokens", result->prompt_tokens + result->completion_tokens);
	json_set(
	    usage, "prompt_token_details", details_json("cached_tokens", result->cached_tokens));
	json_set(usage, "completion_tokens_details",
	    details_json("reasoning_tokens", result->reasoning_tokens));
	return usage;
}

/* Adds two usages, member by member. Returns a reference. `more` may be NULL. */
static struct json_object *
usage_sum(struct json_object *usage, struct json_object *more)
{
	struct json_object *sum;

	if (!usage || !more)
		return json_object_get(usage ? usage : more);
	sum = json_new_object();
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

void
end_add_usage(struct execution *execution, struct model_result *result)
{
	/* If the answer was cut off, what the server counted is not all of it. */
	bool broken = result->outcome == MODEL_INTERRUPTED || result->outcome == MODEL_SILENT ||
	    (result->outcome > MODEL_INCOMPLETE && result->prompt_tokens < 0);
	struct json_object *usage, *sum;

	if (execution->counted)
		return;
	execution->counted = true;
	metrics_add(METRIC_TOKENS, result->prompt_tokens, "prompt", NULL, NULL);
	metrics_add(METRIC_TOKENS, result->completion_tokens, "completion", NULL, NULL);
	broken = broken && (result->charged || result->prompt_tokens >= 0);
	estimate_usage(execution, result);
	execution->written_tokens = result->completion_tokens;
	execution->cost = broken        ? -1
	    : result->prompt_tokens < 0 ? 0
					: result->prompt_tokens + result->completion_tokens;
	usage = usage_json(result);
	if (execution->open || execution->calls)
		execution->step.usage = json_object_get(usage);
	sum = usage_sum(execution->run->usage, usage);
	json_object_put(execution->run->usage);
	execution->run->usage = sum;
	json_object_put(usage);
}

/* --- the run --- */

/* Lets the run wait for the outputs of its function calls. */
static void
require_action(struct execution *execution)
{
	struct json_object *action = json_new_object(), *submit = json_new_object();
	struct json_object *calls = json_new_array();

	for (size_t i = 0; i < json_len(execution->calls); i++) {
		struct json_object *call = json_new_object(), *function = json_new_object();
		struct json_object *from = json_at(execution->calls, i);

		json_copy(call, from, "id");
		json_copy(call, from, "type");
		json_copy(function, json_get(from, "function"), "name");
		json_copy(function, json_get(from, "function"), "arguments");
		json_set(call, "function", function);
		json_add(calls, call);
	}
	json_set(submit, "tool_calls", calls);
	json_set_string(action, "type", "submit_tool_outputs");
	json_set(action, "submit_tool_outputs", submit);
	execution->run->status = RUN_REQUIRES_ACTION;
	execution->run->required_action = action;
	execution->run->ended_at = 0;
}

static void
set_end(struct run *run, const struct model_result *result)
{
	static const enum run_status ends[MODEL__MAX] = {
	    [MODEL_COMPLETED] = RUN_COMPLETED,
	    [MODEL_INCOMPLETE] = RUN_INCOMPLETE,
	    [MODEL_TOO_LONG] = RUN_FAILED,
	    [MODEL_BUSY] = RUN_FAILED,
	    [MODEL_FAILED] = RUN_FAILED,
	    [MODEL_SILENT] = RUN_EXPIRED,
	    [MODEL_INTERRUPTED] = RUN_CANCELLED,
	};

	run->status = ends[result->outcome];
	run->ended_at = clock_unix();
	if (run->status == RUN_FAILED)
		run->last_error = run_error_json(
		    result->outcome == MODEL_BUSY ? RUN_RATE_LIMIT_EXCEEDED : RUN_SERVER_ERROR,
		    result->error);
	/* The API has no reason of a run for a content filter; the message has it. */
	if (run->status == RUN_INCOMPLETE && result->incomplete != MODEL_CONTENT_FILTER)
		run->reason = result->incomplete == MODEL_MAX_PROMPT ? RUN_MAX_PROMPT_TOKENS
								     : RUN_MAX_COMPLETION_TOKENS;
}

static void
forget_action(struct run *run)
{
	json_object_put(run->required_action);
	run->required_action = NULL;
}

/* --- in the database --- */

bool
end_pay(const struct execution *execution, struct db_tx *tx)
{
	const struct budgets *budgets = &execution->runs->budgets;
	long long took_ms = execution->asked_ms ? clock_ms() - execution->asked_ms : 0;

	return execution->cost >= 0
	    ? budget_settle(tx, budgets, execution->run->id, execution->cost)
	    : budget_settle_unreported(tx, budgets, execution->run->id, execution->written_tokens,
		  (took_ms + 999) / 1000);
}

/* Stores the run's end, the message and the step. */
static int
store_round(struct execution *execution, struct db_tx *tx)
{
	struct run *run = execution->run;
	enum run_status now;
	int ended;

	/* The run was cancelled while the model was still calling: outputs are no longer wanted. */
	if (run->required_action && run_look_up_status(tx, run->seq, &now) == 1 &&
	    now == RUN_CANCELLING) {
		forget_action(run);
		run->status = RUN_CANCELLED;
		run->ended_at = clock_unix();
		end_calls(execution);
	}
	ended = run_end(tx, run, run->required_action && execution->answers_calls);
	if (ended != 1)
		return ended;
	if (execution->open && answer_store_message(execution, tx) != 1)
		return -1;
	if (execution->calls && execution->step_stored)
		return run_step_end(tx, &execution->step);
	if (execution->calls) {
		execution->step.thread = run->thread;
		execution->step.after = message_last(tx, run->thread);
		if (execution->step.after < 0 || run_step_insert(tx, &execution->step) != 1)
			return -1;
	}
	return 1;
}

static bool
write_round(struct db_tx *tx, void *arg)
{
	struct storing *storing = arg;

	storing->stored = store_round(storing->execution, tx);
	if (storing->stored >= 0 && !end_pay(storing->execution, tx))
		storing->stored = -1;
	return storing->stored >= 0;
}

int
end_store(struct execution *execution, db_work_fn *work)
{
	struct storing storing = {.execution = execution};
	long long pause_ms = STORE_PAUSE_MS;

	while (db_write(execution->runs->db, DB_WRITE, work, &storing) != 1) {
		if (runners_stop(execution->runs->runners) || clock_ms() >= execution->deadline_ms)
			return -1;
		memory_begin();
		interrupt_sleep(NULL, pause_ms);
		pause_ms = pause_ms * 2 < STORE_PAUSE_MAX_MS ? pause_ms * 2 : STORE_PAUSE_MAX_MS;
	}
	return storing.stored;
}

struct lookup {
	long long seq;
	int found;
	enum run_status status;
};

static bool
read_status(struct db_tx *tx, void *arg)
{
	struct lookup *lookup = arg;

	lookup->found = run_look_up_status(tx, lookup->seq, &lookup->status);
	return lookup->found >= 0;
}

/* 1 with *status; 0: it was deleted; -1: the database failed. */
static int
look_up(const struct execution *execution, enum run_status *status)
{
	struct lookup lookup = {.seq = execution->run->seq};
	int read = db_read(execution->runs->db, read_status, &lookup);

	*status = lookup.status;
	return read == 1 ? lookup.found : -1;
}

enum run_status
end_status_now(const struct execution *execution)
{
	enum run_status status;

	return look_up(execution, &status) == 1 ? status : RUN_STATUS__MAX;
}

bool
end_is_wanted(const struct execution *execution)
{
	enum run_status status;
	int found = look_up(execution, &status);

	/* A database that fails for a moment is no reason to throw an answer away. */
	return found < 0 || (found == 1 && status == RUN_IN_PROGRESS);
}

/* Nothing of the answer was stored, so the open message or step did not complete. */
static void
end_unkept(struct execution *execution, const struct model_result *result, int stored)
{
	struct run *run = execution->run;

	run->status = stored == 0 ? end_status_now(execution) : RUN_FAILED;
	if (run->status == RUN_STATUS__MAX) {
		/*
		 * The run was deleted with its thread, or its status could not be read. It is
		 * counted as cancelled here, because deleting a thread does not count its runs.
		 */
		run->status = RUN_CANCELLED;
		metrics_add(METRIC_RUNS, 1, run_status_words[run->status], NULL, NULL);
	}
	forget_action(run);
	run->ended_at = clock_unix();
	if (stored < 0) {
		json_object_put(run->last_error);
		run->last_error =
		    run_error_json(RUN_SERVER_ERROR, "The answer could not be stored.");
	}
	if (execution->open) {
		execution->message.completed_at = 0;
		execution->message.incomplete_at = run->ended_at;
		execution->message.reason = message_reason(execution, result);
	}
	if (execution->open || execution->calls)
		end_calls(execution);
}

/* Drops the answer, which may lack something for want of memory. */
static void
forget_answer(struct execution *execution, struct model_result *result)
{
	json_object_put(execution->message.content);
	json_object_put(execution->message.items);
	execution->message.content = execution->message.items = NULL;
	execution->written = false;
	if (result->outcome != MODEL_INTERRUPTED)
		result->outcome = MODEL_FAILED;
	snprintf(result->error, sizeof result->error, "The server was out of memory.");
}

/* Composes what is stored and reported of the end. */
static void
compose_end(struct execution *execution, struct model_result *result)
{
	struct run *run = execution->run;

	forget_action(run);
	json_object_put(run->last_error);
	run->last_error = NULL;
	set_end(run, result);
	end_add_usage(execution, result);
	if (execution->calls) {
		if (!execution->step.items) {
			execution->step.items = result->items;
			result->items = NULL;
		}
		if (result->outcome == MODEL_COMPLETED)
			require_action(execution);
		else
			end_calls(execution);
	} else if (execution->open) {
		end_message(execution, result);
	}
}

void
end_round(struct execution *execution, struct model_result *result)
{
	struct run *run = execution->run;
	int stored;

	if (memory_begin())
		forget_answer(execution, result);
	compose_end(execution, result);
	if (memory_begin()) {
		forget_answer(execution, result);
		compose_end(execution, result);
		memory_begin();
	}
	stored = end_store(execution, write_round);
	if (stored != 1)
		end_unkept(execution, result, stored);
	if (!run_status_is_active(run->status))
		metrics_observe(METRIC_RUN_DURATION, execution->begun_us);
	answer_close_message(execution);
	answer_close_calls(execution);
	answer_tell_run(execution, EVENT_RUN);
}

static bool
write_put_back(struct db_tx *tx, void *arg)
{
	struct execution *execution = arg;
	enum run_status now;

	return run_look_up_status(tx, execution->run->seq, &now) == 1 && now == RUN_IN_PROGRESS &&
	    run_begin(tx, execution->run, NULL) == 1 && end_pay(execution, tx);
}

bool
end_put_back(struct execution *execution)
{
	if (execution->listener || execution->stored ||
	    db_write(execution->runs->db, DB_WRITE, write_put_back, execution) != 1)
		return false;
	answer_close_message(execution);
	answer_close_calls(execution);
	return true;
}
