#include "runs/event.h"

#include "text/json.h"

/* The names that do not end with a status. */
static const char *const names[EVENT__MAX] = {
    [EVENT_THREAD_CREATED] = "thread.created",
    [EVENT_RUN_CREATED] = "thread.run.created",
    [EVENT_STEP_CREATED] = "thread.run.step.created",
    [EVENT_STEP_DELTA] = "thread.run.step.delta",
    [EVENT_MESSAGE_CREATED] = "thread.message.created",
    [EVENT_MESSAGE_IN_PROGRESS] = "thread.message.in_progress",
    [EVENT_MESSAGE_DELTA] = "thread.message.delta",
};

void
event_print_name(const struct event *event, char name[EVENT_NAME_SIZE])
{
	switch (event->kind) {
	case EVENT_RUN:
		snprintf(
		    name, EVENT_NAME_SIZE, "thread.run.%s", run_status_words[event->run->status]);
		break;
	case EVENT_STEP:
		snprintf(name, EVENT_NAME_SIZE, "thread.run.step.%s",
		    run_step_status_words[event->step->status]);
		break;
	case EVENT_MESSAGE:
		snprintf(name, EVENT_NAME_SIZE, "thread.message.%s",
		    event->message->completed_at ? "completed" : "incomplete");
		break;
	default:
		snprintf(name, EVENT_NAME_SIZE, "%s", names[event->kind]);
	}
}

/* {id, object, delta}; takes `delta` over. */
static struct json_object *
delta_json(const char *id, const char *object, struct json_object *delta)
{
	struct json_object *data = json_new_object();

	json_set_string(data, "id", id);
	json_set_string(data, "object", object);
	json_set(data, "delta", delta);
	return data;
}

/*
 * A delta must not contain null, and only the first may have `annotations`, because SDKs add deltas
 * up.
 */
static struct json_object *
message_delta_json(const struct event *event)
{
	struct json_object *delta = json_new_object(), *content = json_new_array();
	struct json_object *part = json_new_object(), *text;

	json_set_int(part, "index", event->index);
	if (event->part == MODEL_REFUSAL) {
		json_set_string(part, "type", "refusal");
		json_set_string(part, "refusal", event->text);
	} else {
		text = json_new_object();
		json_set_string(text, "value", event->text);
		if (event->first)
			json_set(text, "annotations", json_new_array());
		json_set_string(part, "type", "text");
		json_set(part, "text", text);
	}
	json_add(content, part);
	json_set(delta, "content", content);
	return delta_json(event->message->id, "thread.message.delta", delta);
}

static void
set_function_delta(struct json_object *call, const struct event *event)
{
	struct json_object *function = json_new_object();

	if (event->call_id) {
		json_set_string(call, "id", event->call_id);
		json_set_string(function, "name", event->call_name);
	}
	json_set_string(function, "arguments", event->arguments ? event->arguments : "");
	if (event->call_id)
		json_set(function, "output", NULL);
	json_set_string(call, "type", "function");
	json_set(call, "function", function);
}

static struct json_object *
step_delta_json(const struct event *event)
{
	struct json_object *delta = json_new_object(), *details = json_new_object();
	struct json_object *calls = json_new_array(), *call = json_new_object();

	json_set_int(call, "index", event->index);
	if (event->call) {
		json_object_object_foreach(event->call, name, value)
		    json_set(call, name, json_object_get(value));
	} else {
		set_function_delta(call, event);
	}
	json_add(calls, call);
	json_set_string(details, "type", run_step_type_words[STEP_CALLS]);
	json_set(details, "tool_calls", calls);
	json_set(delta, "step_details", details);
	return delta_json(event->step->id, "thread.run.step.delta", delta);
}

struct json_object *
event_json(const struct event *event)
{
	switch (event->kind) {
	case EVENT_THREAD_CREATED:
		return json_object_get(event->thread);
	case EVENT_RUN_CREATED:
	case EVENT_RUN:
		return run_json(event->run);
	case EVENT_STEP_CREATED:
	case EVENT_STEP:
		return run_step_json(event->step);
	case EVENT_STEP_DELTA:
		return step_delta_json(event);
	case EVENT_MESSAGE_DELTA:
		return message_delta_json(event);
	default:
		return message_json(event->message);
	}
}
