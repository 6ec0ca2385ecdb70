/*
 * Turns what the model says into messages, steps and events, as it arrives. Whatever an event calls
 * completed has been stored before.
 */
#include "obs/metrics.h"
#include "os/clock.h"
#include "runs/internal.h"
#include "text/json.h"
#include "text/memory.h"
#include "work/work.h"

static void
tell(struct execution *execution, const struct event *event)
{
	bool out_of_memory = memory_is_out();

	if (!execution->listener)
		return;
	/* If the listener runs out of memory, that is not the run's failure. */
	execution->listener->on_event(execution->listener->arg, event);
	memory_end(out_of_memory);
}

void
answer_tell_run(struct execution *execution, enum event_kind kind)
{
	tell(execution, &(struct event){.kind = kind, .run = execution->run});
}

void
answer_tell_step(struct execution *execution, enum event_kind kind)
{
	tell(execution, &(struct event){.kind = kind, .step = &execution->step});
}

static void
tell_message(struct execution *execution, enum event_kind kind)
{
	tell(execution, &(struct event){.kind = kind, .message = &execution->message});
}

/* --- the open step --- */

/* Takes `details` over. */
static void
open_step(struct execution *execution, long long now, struct json_object *details)
{
	const struct run *run = execution->run;

	id_new_in_order(execution->step_id, "step_");
	execution->step = (struct run_step){
	    .id = execution->step_id,
	    .thread_id = run->thread_id,
	    .run_id = run->id,
	    .assistant_id = run->assistant_id,
	    .run = run->seq,
	    .status = STEP_IN_PROGRESS,
	    .created_at = now,
	    .expires_at = run->expires_at,
	    .details = details,
	};
	answer_tell_step(execution, EVENT_STEP_CREATED);
	answer_tell_step(execution, EVENT_STEP);
}

/* {type, TYPE: value}; takes `value` over. */
static struct json_object *
details_of(enum run_step_type type, struct json_object *value)
{
	struct json_object *details = json_new_object();

	json_set_string(details, "type", run_step_type_words[type]);
	json_set(details, run_step_type_words[type], value);
	return details;
}

void
answer_open_calls(struct execution *execution, struct json_object *calls)
{
	execution->calls = calls;
	execution->step_stored = false;
	open_step(execution, clock_unix(), details_of(STEP_CALLS, json_object_get(calls)));
}

static void
drop_step(struct execution *execution)
{
	json_object_put(execution->step.details);
	json_object_put(execution->step.usage);
	json_object_put(execution->step.items);
	json_object_put(execution->step.told);
	execution->step = (struct run_step){0};
}

/* {id, type: function, function: {name, arguments, output: null}} */
static struct json_object *
new_call(const char *id, const char *name)
{
	struct json_object *call = json_new_object(), *function = json_new_object();

	json_set_string(function, "name", name);
	json_set_string(function, "arguments", "");
	json_set(function, "output", NULL);
	json_set_string(call, "id", id);
	json_set_string(call, "type", "function");
	json_set(call, "function", function);
	return call;
}

static void
tell_call(
    struct execution *execution, int index, const char *id, const char *name, const char *arguments)
{
	tell(execution,
	    &(struct event){
		.kind = EVENT_STEP_DELTA,
		.step = &execution->step,
		.index = index,
		.call_id = id,
		.call_name = name,
		.arguments = arguments,
	    });
}

void
answer_tell_calls(struct execution *execution, struct json_object *calls)
{
	answer_open_calls(execution, json_object_get(calls));
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *call = json_at(calls, i),
				   *function = json_get(call, "function");

		tell_call(execution, (int)i, json_get_string(call, "id"),
		    json_get_string(function, "name"), json_get_string(function, "arguments"));
	}
}

void
answer_tell_hosted_call(struct execution *execution, int index, struct json_object *call)
{
	tell(execution,
	    &(struct event){
		.kind = EVENT_STEP_DELTA,
		.step = &execution->step,
		.index = index,
		.call = call,
	    });
}

static void
open_message(struct execution *execution)
{
	const struct run *run = execution->run;
	struct json_object *creation = json_new_object();
	long long now = clock_unix();

	id_new_in_order(execution->message_id, "msg_");
	execution->open = true;
	execution->written = false;
	execution->first_delta = true;
	execution->message = (struct message){
	    .id = execution->message_id,
	    .thread_id = run->thread_id,
	    .run_id = run->id,
	    .assistant_id = run->assistant_id,
	    .thread = run->thread,
	    .run = run->seq,
	    .created_at = now,
	    .role = MESSAGE_ASSISTANT,
	};
	json_set_string(creation, "message_id", execution->message_id);
	open_step(execution, now, details_of(STEP_MESSAGE, creation));
	tell_message(execution, EVENT_MESSAGE_CREATED);
	tell_message(execution, EVENT_MESSAGE_IN_PROGRESS);
}

int
answer_store_message(struct execution *execution, struct db_tx *tx)
{
	return message_insert(tx, &execution->message) == 1 &&
		run_step_insert(tx, &execution->step) == 1
	    ? 1
	    : -1;
}

void
answer_close_message(struct execution *execution)
{
	if (!execution->open)
		return;
	tell_message(execution, EVENT_MESSAGE);
	answer_tell_step(execution, EVENT_STEP);
	drop_step(execution);
	json_object_put(execution->message.content);
	json_object_put(execution->message.items);
	buf_free(&execution->partial);
	execution->message = (struct message){0};
	execution->open = false;
}

void
answer_close_calls(struct execution *execution)
{
	if (!execution->calls)
		return;
	/* Their steps stay in progress for clients until the outputs come. */
	if (!execution->run->required_action)
		answer_tell_step(execution, EVENT_STEP);
	json_object_put(execution->calls);
	execution->calls = NULL;
	drop_step(execution);
}

static bool
write_message(struct db_tx *tx, void *arg)
{
	struct execution *execution = arg;

	return work_keep(tx, WORK_RUN, execution->run->seq, execution->run->holder) == 1 &&
	    answer_store_message(execution, tx) == 1;
}

/*
 * The model goes on with something else, so the open message is complete. It is stored now, because
 * the event "completed" promises that it can be retrieved. -1: the run cannot go on.
 */
static int
finish_message(struct execution *execution)
{
	execution->message.completed_at = execution->step.ended_at = clock_unix();
	execution->step.status = STEP_COMPLETED;
	if (db_write(execution->runs->db, DB_WRITE, write_message, execution) != 1)
		return -1;
	execution->stored = true;
	answer_close_message(execution);
	return 0;
}

/* --- the model's callbacks --- */

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
on_delta(void *arg, enum model_part part, int index, const char *text)
{
	struct execution *execution = arg;

	execution->said += strlen(text);
	if (!execution->spoken)
		metrics_observe(METRIC_FIRST_WORD, execution->begun_us);
	execution->spoken = true;
	buf_puts(&execution->partial, text);
	tell(execution,
	    &(struct event){
		.kind = EVENT_MESSAGE_DELTA,
		.message = &execution->message,
		.part = part,
		.index = index,
		.text = text,
		.first = execution->first_delta,
	    });
	execution->first_delta = false;
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

static int
on_call(void *arg, int index, const char *id, const char *name)
{
	struct execution *execution = arg;
	struct json_object *call = new_call(id, name);

	execution->said += strlen(name);
	if (execution->open && finish_message(execution) < 0) {
		json_object_put(call);
		return -1;
	}
	/* Which calls are hosted is decided when the answer is complete. */
	if (execution->hosts) {
		if (!execution->called)
			execution->called = json_new_array();
		json_add(execution->called, call);
		return 0;
	}
	if (!execution->calls)
		answer_open_calls(execution, json_new_array());
	json_add(execution->calls, call);
	tell_call(execution, index, id, name, NULL);
	return 0;
}

static int
on_arguments(void *arg, int index, const char *fragment)
{
	struct execution *execution = arg;

	execution->said += strlen(fragment);
	if (!execution->hosts)
		tell_call(execution, index, NULL, NULL, fragment);
	return 0;
}

static int
on_called(void *arg, int index, const char *arguments)
{
	struct execution *execution = arg;
	struct json_object *calls = execution->hosts ? execution->called : execution->calls;
	struct json_object *call = json_at(calls, (size_t)index);

	json_set_string(json_get(call, "function"), "arguments", arguments);
	return 0;
}

void
answer_listen(struct execution *execution, struct model_request *request)
{
	request->on_message = on_message;
	request->on_delta = on_delta;
	request->on_written = on_written;
	request->on_call = on_call;
	request->on_arguments = on_arguments;
	request->on_called = on_called;
	request->arg = execution;
}
