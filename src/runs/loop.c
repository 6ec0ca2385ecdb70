/* Executes a run: reads the context, asks the model, reports and stores what it says. */
#include "obs/log.h"
#include "obs/metrics.h"
#include "os/clock.h"
#include "runs/context.h"
#include "runs/internal.h"
#include "text/json.h"
#include "text/memory.h"

enum {
	WANTED_CHECK_MS = 900, /* below a second, because a cancelled run must end within one */
	PARTIAL_MAX = 16 << 20,
	OUTPUT_TOKENS_MIN = 16, /* model servers refuse smaller limits */
	CONTEXT_TOKENS_MIN = 500,
	MS_A_SECOND = 1000
};

/* Whether the answer is no longer wanted. Asks the database about once a second. */
static bool
look(struct execution *execution)
{
	const struct listener *listener = execution->listener;
	long long now = clock_ms();
	bool wanted, out_of_memory;

	if (runners_stop(execution->runs->runners) ||
	    (listener && interrupt_raised(listener->interrupt)))
		return true;
	if (now - execution->checked_ms < WANTED_CHECK_MS)
		return false;
	execution->checked_ms = now;
	out_of_memory = memory_begin();
	runs_keep(execution->runs);
	wanted = end_is_wanted(execution);
	memory_end(out_of_memory);
	return !wanted;
}

static bool
is_interrupted(void *arg)
{
	struct execution *execution = arg;

	execution->interrupted = execution->interrupted || look(execution);
	return execution->interrupted;
}

/* Whether the program is ending, as opposed to a listener that left. */
static bool
stops(const struct execution *execution)
{
	const struct listener *listener = execution->listener;

	return runners_stop(execution->runs->runners) &&
	    !(listener && interrupt_raised(listener->interrupt));
}

/* --- the context --- */

struct reading {
	struct execution *execution;
	long long tokens_max;
	long long answer_max; /* reserved for the answer; 0: nothing is */
	struct model_context context;
};

static bool
read_context(struct db_tx *tx, void *arg)
{
	struct reading *reading = arg;
	const struct run *run = reading->execution->run;
	struct json_object *strategy = json_get(run->body, "truncation_strategy");

	model_context_free(&reading->context);
	reading->answer_max = budget_is_bounded(&reading->execution->runs->budgets, run->tenant)
	    ? budget_answer_max(tx, run->id)
	    : 0;
	if (reading->execution->hosts) {
		if (run_steps_round(tx, run->seq, &reading->execution->round) != 1)
			return false;
		reading->execution->round++;
	}
	return reading->answer_max >= 0 &&
	    context_load(tx, run->thread, reading->tokens_max,
		json_get_int(strategy, "last_messages", 0), &reading->context) == 0;
}

/* Image files are only stored so far; the model reads that there is one. */
static void
warn_of_images(const struct model_context *context)
{
	int images = 0;

	for (size_t i = 0; i < context->len; i++) {
		struct json_object *content = context->entries[i].content;

		for (size_t p = 0; p < json_len(content); p++)
			images += json_get_object(json_at(content, p), "image_file") != NULL;
	}
	if (images)
		log_warn("the model cannot see %d image%s of the thread: image_file is only stored "
			 "so far, use image_url",
		    images, images == 1 ? "" : "s");
}

/* --- limits --- */

/* What is left of a token limit for the whole run; `otherwise` if there is no such limit. */
static long long
tokens_left(const struct run *run, const char *limit, const char *used, long long otherwise)
{
	long long max = json_get_int(run->body, limit, 0);

	return max ? max - json_get_int(run->usage, used, 0) : otherwise;
}

static long long
completion_left(const struct run *run, long long otherwise)
{
	return tokens_left(run, "max_completion_tokens", "completion_tokens", otherwise);
}

/*
 * Reserves anew: the run was begun by another process, or a round of hosted calls has settled its
 * reservation. False: no tokens.
 */
static bool
reserve_anew(struct execution *execution, long long *answer_max, struct model_result *result)
{
	const struct run *run = execution->run;
	struct budget_question question = {
	    .id = run->id,
	    .bytes = (long long)execution->told,
	    .answer_max = completion_left(run, 0),
	    .timeout_s = execution->runs->timeout_s,
	};
	long long wait_s;

	if (budget_take(&execution->runs->budgets, run->tenant, &question, answer_max, &wait_s) ==
	    BUDGET_RESERVED)
		return true;
	result->outcome = MODEL_BUSY;
	result->retry_after_s = (long)wait_s;
	snprintf(result->error, sizeof result->error,
	    "No tokens of the day's limit are left for this run.");
	return false;
}

/* The most tokens for the answer: what the run allows and what is reserved. 0: no limit. */
static long long
answer_limit(const struct execution *execution, long long reserved)
{
	long long max = completion_left(execution->run, 0);

	if (reserved == 0 || (max ? reserved >= max : reserved >= BUDGET_ANSWER))
		return max;
	return execution->cautious && reserved > BUDGET_ANSWER_MIN ? BUDGET_ANSWER_MIN : reserved;
}

/* --- the question --- */

static void
ask_model(struct execution *execution, long long tokens_max, struct model_result *result)
{
	struct reading reading = {.execution = execution, .tokens_max = tokens_max};
	struct model_request request = {
	    .options = execution->options,
	    .deadline_ms = execution->deadline_ms,
	    .interrupt = &execution->interrupt,
	};

	*result = (struct model_result){
	    .outcome = MODEL_FAILED, .retry_after_s = -1, .prompt_tokens = -1};
	if (db_read(execution->runs->db, read_context, &reading) != 1) {
		snprintf(result->error, sizeof result->error, "The thread could not be read.");
		goto out;
	}
	execution->told = context_size(request.options, &reading.context);
	execution->said = 0;
	execution->counted = false;
	warn_of_images(&reading.context);
	if (reading.answer_max == 0 && !reserve_anew(execution, &reading.answer_max, result)) {
		execution->told = 0;
		goto out;
	}
	/*
	 * A forced choice is for the first answer only; otherwise the model would never stop
	 * calling.
	 */
	if (execution->hosts && execution->round > 1)
		json_remove(execution->options, "tool_choice");
	request.context = &reading.context;
	request.max_output_tokens = answer_limit(execution, reading.answer_max);
	answer_listen(execution, &request);
	execution->limited = request.max_output_tokens > BUDGET_ANSWER_MIN;
	execution->asked_ms = clock_ms();
	model_ask(execution->runs->model, &request, result);
out:
	model_context_free(&reading.context);
}

/*
 * Asks the model. While the context is too long, asks again with half of the thread. Asks nothing
 * if the run's limits are reached.
 */
static void
ask_within_limits(struct execution *execution, struct model_result *result)
{
	long long context_tokens = execution->runs->context_tokens;
	long long prompt =
	    tokens_left(execution->run, "max_prompt_tokens", "prompt_tokens", context_tokens);

	if (prompt <= 0 || completion_left(execution->run, OUTPUT_TOKENS_MIN) < OUTPUT_TOKENS_MIN) {
		*result = (struct model_result){.outcome = MODEL_INCOMPLETE,
		    .incomplete = prompt <= 0 ? MODEL_MAX_PROMPT : MODEL_MAX_TOKENS,
		    .prompt_tokens = -1,
		    .retry_after_s = -1};
		return;
	}
	if (prompt > context_tokens)
		prompt = context_tokens;
	ask_model(execution, prompt, result);
	/*
	 * Some servers call it a too long context when the limit exceeds what they have room for:
	 * retry with the smallest limit.
	 */
	if (result->outcome == MODEL_TOO_LONG && execution->limited) {
		execution->cautious = true;
		ask_model(execution, prompt, result);
	}
	while (result->outcome == MODEL_TOO_LONG && (prompt /= 2) >= CONTEXT_TOKENS_MIN) {
		log_info("the thread is too long for the model: at most %lld tokens of it are sent",
		    prompt);
		ask_model(execution, prompt, result);
	}
}

/* --- the whole --- */

/*
 * The time left until the run expires. If the clock was set back, at most the time it had at first.
 */
static long long
deadline_of(const struct execution *execution)
{
	long long left_s = execution->run->expires_at - clock_unix();
	long long most_s = execution->runs->timeout_s;

	return clock_ms() + (left_s < most_s ? left_s : most_s) * MS_A_SECOND;
}

/* Logs the failure, here only. Below `debug`, the only foreign words are the server's. */
static void
log_failure(const struct model_result *result)
{
	if (result->outcome == MODEL_FAILED || result->outcome == MODEL_BUSY ||
	    result->outcome == MODEL_TOO_LONG || result->outcome == MODEL_SILENT)
		log_error("run: %s%s%s", result->error, result->url ? " — POST " : "",
		    result->url ? result->url : "");
}

static void
ask_and_end(struct execution *execution, struct model_result *result)
{
	do
		ask_within_limits(execution, result);
	while (result->outcome == MODEL_COMPLETED && execution->called &&
	    hosted_calls_run(execution, result));
	if (result->outcome == MODEL_INTERRUPTED && stops(execution)) {
		/* The answer that is dropped may lack something; that no longer matters. */
		memory_begin();
		if (end_put_back(execution))
			return;
		if (end_status_now(execution) == RUN_IN_PROGRESS) {
			result->outcome = MODEL_FAILED;
			snprintf(result->error, sizeof result->error,
			    "The server stopped while it carried this run out.");
		}
	}
	log_failure(result);
	end_round(execution, result);
}

/* A new run is stored as in progress, but its first events show it as queued. */
static void
tell_birth(struct execution *execution)
{
	struct run *run = execution->run;

	run->status = RUN_QUEUED;
	run->started_at = 0;
	answer_tell_run(execution, EVENT_RUN_CREATED);
}

long
run_carry_out(struct runs *runs, struct run *run, const struct run_hearing *hearing,
    const struct run_step *answered)
{
	struct execution execution = {
	    .runs = runs,
	    .run = run,
	    .listener = hearing->listener,
	    .answers_calls = hearing->answers_calls,
	    .interrupt =
		{
		    .fd = hearing->listener && hearing->listener->interrupt
			? hearing->listener->interrupt->fd
			: -1,
		    .raised = is_interrupted,
		    .arg = &execution,
		},
	    .partial = BUF_INIT(PARTIAL_MAX),
	    .begun_us = metrics_clock(),
	    .checked_ms = clock_ms(),
	    .cost = -1,
	};
	struct model_result result;

	execution.deadline_ms = deadline_of(&execution);
	execution.options = hosted_options(runs->hosted, run->body);
	execution.hosts = execution.options != run->body;
	leases_take_up(runs->leases, run->seq);
	if (answered) {
		execution.step = *answered;
		answer_tell_step(&execution, EVENT_STEP);
		execution.step = (struct run_step){0};
	} else if (execution.listener) {
		tell_birth(&execution);
	}
	if (execution.listener) {
		run->status = RUN_QUEUED;
		answer_tell_run(&execution, EVENT_RUN);
		run->status = RUN_IN_PROGRESS;
	}
	if (!run->started_at)
		run->started_at = run->created_at;
	answer_tell_run(&execution, EVENT_RUN);
	ask_and_end(&execution, &result);
	leases_put_down(runs->leases, run->seq);
	json_object_put(result.items);
	json_object_put(execution.options);
	json_object_put(execution.called);
	buf_free(&execution.partial);
	return result.retry_after_s;
}
