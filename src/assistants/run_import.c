/* Imports runs from an export, or from OpenAI. */
#include "assistants/kinds.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/text.h"

/* A run that was still active is over, because it was executed elsewhere. */
static void
set_saved_end(struct run *run, struct import *import)
{
	static const char *const times[] = {
	    "completed_at", "failed_at", "cancelled_at", "expires_at"};

	run->expires_at = json_get_int(import->object, "expires_at", run->created_at);
	for (size_t i = 0; i < FIELDS_LEN(times) && !run->ended_at; i++)
		run->ended_at = json_get_int(import->object, times[i], 0);
	run->expires_at = json_get_int(import->stored, "expires_at", run->expires_at);
	run->ended_at = json_get_int(import->stored, "ended_at", run->ended_at);
	if (run_status_is_active(run->status)) {
		run->status = run->status == RUN_CANCELLING ? RUN_CANCELLED : RUN_EXPIRED;
		run->ended_at = clock_unix();
	}
}

/* The run's options, from what the API shows. */
static struct json_object *
body_of_shown(struct json_object *shown)
{
	struct json_object *body = json_new_object();

	for (size_t i = 0; run_members[i]; i++)
		json_copy(body, shown, run_members[i]);
	json_copy(body, shown, "tool_resources");
	return body;
}

static void
set_saved(struct run *run, struct import *import)
{
	struct json_object *object = import->object, *body;

	body = json_get_object(import->stored, "body");
	*run = (struct run){
	    .id = json_get_string(object, "id"),
	    .assistant_id = json_get_string(object, "assistant_id"),
	    .status = run_status_of(json_get_string(object, "status")),
	    .created_at = json_get_int(object, "created_at", 0),
	    .started_at = json_get_int(object, "started_at", 0),
	    .last_error = json_object_get(json_get_object(object, "last_error")),
	    .usage = json_object_get(json_get_object(object, "usage")),
	    .reason =
		run_reason_of(json_get_string(json_get(object, "incomplete_details"), "reason")),
	    .body = body ? json_object_get(body) : body_of_shown(object),
	};
	set_saved_end(run, import);
}

int
run_import(struct import *import)
{
	static const struct field fields[] = {
	    {"status", FIELD_STRING, true, .words = run_status_words},
	    {"assistant_id", FIELD_STRING, true},
	};
	struct json_object *saved = import_checked(import, FIELDS(fields));
	long long thread;
	struct run run;
	int result;

	json_object_put(saved);
	if (!saved || !import_owner(import, &thread, NULL))
		return -1;
	set_saved(&run, import);
	run.thread = thread;
	result = run_insert(import->tx, &run);
	run_free(&run);
	return result;
}
