/*
 * Calls of hosted tools. The model's answer is stored, its calls are run and stored with their
 * outputs, and then the model is asked again.
 */
#include "hosted/hosted.h"
#include "obs/log.h"
#include "os/clock.h"
#include "runs/internal.h"
#include "text/json.h"
#include "text/memory.h"
#include "work/work.h"

enum { ROUNDS_MAX = 20 };

/* The answer's hosted calls, or its other calls; the caller releases it. */
static struct json_object *
calls_that_are(const struct execution *execution, bool hosted)
{
	struct json_object *tools = json_get(execution->run->body, "tools"), *tool;
	struct json_object *calls = json_new_array();

	for (size_t i = 0; i < json_len(execution->called); i++) {
		struct json_object *call = json_at(execution->called, i);
		const char *name = json_get_string(json_get(call, "function"), "name");
		bool is = hosted_find(execution->runs->hosted, tools, name, &tool) != NULL;

		if (is == hosted)
			json_add(calls, json_object_get(call));
	}
	return calls;
}

static struct hosted_call
hosted_call_of(
    const struct execution *execution, struct json_object *call, const struct hosted_tool **hosted)
{
	struct json_object *function = json_get(call, "function");
	struct hosted_call made = {
	    .run = execution->run,
	    .id = json_get_string(call, "id"),
	    .arguments = json_get_string(function, "arguments"),
	    .interrupt = &execution->interrupt,
	    .deadline_ms = execution->deadline_ms,
	};

	*hosted = hosted_find(execution->runs->hosted, json_get(execution->run->body, "tools"),
	    json_get_string(function, "name"), &made.tool);
	return made;
}

/* --- in the database --- */

static bool
write_begun(struct db_tx *tx, void *arg)
{
	struct storing *storing = arg;
	struct execution *execution = storing->execution;
	struct run_step *step = &execution->step;
	const struct run *run = execution->run;

	step->thread = run->thread;
	step->after = message_last(tx, run->thread);
	storing->stored = step->after < 0 ? -1 : work_keep(tx, WORK_RUN, run->seq, run->holder);
	if (storing->stored == 1 &&
	    (run_store_usage(tx, run) != 1 || run_step_insert(tx, step) != 1 ||
		!end_pay(execution, tx)))
		storing->stored = -1;
	return storing->stored >= 0;
}

static bool
write_done(struct db_tx *tx, void *arg)
{
	struct storing *storing = arg;
	const struct run *run = storing->execution->run;

	storing->stored = work_keep(tx, WORK_RUN, run->seq, run->holder);
	if (storing->stored == 1 && run_step_end(tx, &storing->execution->step) != 1)
		storing->stored = -1;
	return storing->stored >= 0;
}

/* False: the run ends as `result` says. */
static bool
store(struct execution *execution, db_work_fn *work, struct model_result *result)
{
	/* When memory ran out, something may be missing. */
	int stored = memory_is_out() ? -1 : end_store(execution, work);

	if (stored == 1)
		return true;
	/* 0: the run was taken away; end_round() finds that, too. */
	result->outcome = stored == 0 ? MODEL_INTERRUPTED : MODEL_FAILED;
	snprintf(result->error, sizeof result->error, "The answer could not be stored.");
	return false;
}

/* --- the calls --- */

/* Opens a step with all calls, not yet run, and stores it. */
static bool
begin(struct execution *execution, struct json_object *calls, struct model_result *result)
{
	struct json_object *shown = json_new_array();
	const struct hosted_tool *hosted;

	answer_open_calls(execution, shown);
	for (size_t i = 0; i < json_len(calls); i++) {
		struct hosted_call call = hosted_call_of(execution, json_at(calls, i), &hosted);

		json_add(shown, hosted->begin(hosted, &call));
	}
	execution->step.round = execution->round;
	execution->step.items = result->items;
	result->items = NULL;
	end_add_usage(execution, result);
	if (!store(execution, write_begun, result))
		return false;
	execution->stored = execution->step_stored = true;
	return true;
}

/* {id, name, arguments, output}: an answered call as the model reads it. */
static struct json_object *
told_call(struct json_object *call, const char *output)
{
	struct json_object *told = json_new_object(), *function = json_get(call, "function");

	json_copy(told, call, "id");
	json_copy(told, function, "name");
	json_copy(told, function, "arguments");
	json_set_string(told, "output", output);
	return told;
}

/* Runs the calls one after the other. False: the run ends as `result` says. */
static bool
run_calls(struct execution *execution, struct json_object *calls, struct model_result *result)
{
	const struct hosted_tool *hosted;

	execution->step.told = json_new_array();
	for (size_t i = 0; i < json_len(calls); i++) {
		struct hosted_call call = hosted_call_of(execution, json_at(calls, i), &hosted);
		struct json_object *shown = json_at(execution->calls, i);
		char *output;

		answer_tell_hosted_call(execution, (int)i, shown);
		output = hosted->run(hosted, &call, shown);
		if (!output) {
			result->outcome = clock_ms() >= execution->deadline_ms ? MODEL_SILENT
			    : execution->interrupted                           ? MODEL_INTERRUPTED
									       : MODEL_FAILED;
			snprintf(
			    result->error, sizeof result->error, "The server was out of memory.");
			return false;
		}
		json_add(execution->step.told, told_call(json_at(calls, i), output));
		free(output);
	}
	execution->step.status = STEP_COMPLETED;
	execution->step.ended_at = clock_unix();
	return store(execution, write_done, result);
}

bool
hosted_calls_run(struct execution *execution, struct model_result *result)
{
	struct json_object *hosted = calls_that_are(execution, true);
	struct json_object *functions = calls_that_are(execution, false);
	bool goes_on = true;

	json_object_put(execution->called);
	execution->called = NULL;
	if (json_len(hosted) > 0) {
		goes_on = begin(execution, hosted, result) && run_calls(execution, hosted, result);
		if (goes_on)
			answer_close_calls(execution);
	}
	if (goes_on && json_len(functions) > 0) {
		answer_tell_calls(execution, functions);
		execution->step.round = execution->round;
		goes_on = false;
	}
	/* The API has no reason of its own for too many rounds, so it is max_completion_tokens. */
	if (goes_on && execution->round >= ROUNDS_MAX) {
		log_warn("the model called tools in %d answers of one run, the most that is "
			 "allowed: the run ends as incomplete",
		    ROUNDS_MAX);
		result->outcome = MODEL_INCOMPLETE;
		result->incomplete = MODEL_MAX_TOKENS;
		goes_on = false;
	}
	json_object_put(hosted);
	json_object_put(functions);
	return goes_on;
}
