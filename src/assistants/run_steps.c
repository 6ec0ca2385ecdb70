/* Run steps: what a run did, in order. */
#include "assistants/kinds.h"
#include "text/json.h"
#include "text/text.h"

const struct kind run_step_kind = {
    .name = "run step",
    .prefix = "step",
    .owner = OWNER_RUN,
    .record = &run_step_record,
};

/* --- import --- */

/* Whether a model can be sent the calls: all are of functions, and answered. */
static bool
calls_are_answered(struct json_object *details)
{
	static const char *const texts[] = {"name", "arguments", "output"};
	struct json_object *calls = json_get_array(details, "tool_calls");

	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *function = json_get_object(json_at(calls, i), "function");

		if (!json_get_string(json_at(calls, i), "id"))
			return false;
		for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
			if (!json_get_string(function, texts[t]))
				return false;
	}
	return json_len(calls) > 0;
}

/* Finds where the calls belong in the thread's conversation. False: the database failed. */
static bool
find_place(struct import *import, long long thread, struct run_step *step)
{
	bool said = json_object_object_get_ex(import->stored, "after", NULL);

	if (step->status == STEP_COMPLETED && !step->told && !calls_are_answered(step->details))
		return true;
	if (!said && import->stored)
		return true;
	step->thread = thread;
	step->after = said
	    ? run_step_place(import->tx, thread, json_get_string(import->stored, "after"))
	    : run_step_guess_place(import->tx, thread, step->run, step->created_at);
	return step->after >= 0;
}

/* When it ended, by the member that its status selects. */
static long long
shown_end(struct json_object *object, enum run_step_status status)
{
	char member[32];

	snprintf(member, sizeof member, "%s_at", run_step_status_words[status]);
	return json_get_int(object, member, 0);
}

int
run_step_import(struct import *import)
{
	static const struct field details_fields[] = {
	    {"type", FIELD_STRING, true, .words = run_step_type_words},
	    {"message_creation", FIELD_OBJECT},
	    {"tool_calls", FIELD_ARRAY},
	};
	static const struct shape details = {NULL, details_fields, 3};
	static const struct field fields[] = {
	    {"status", FIELD_STRING, true, .words = run_step_status_words},
	    {"step_details", FIELD_OBJECT, true, .shapes = &details},
	};
	struct json_object *object = import->object, *saved = import_checked(import, fields, 2);
	struct run_step step = {
	    .id = json_get_string(object, "id"),
	    .created_at = json_get_int(object, "created_at", 0),
	    .details = json_get(saved, "step_details"),
	    .last_error = json_get_object(object, "last_error"),
	    .usage = json_get_object(object, "usage"),
	    .items = json_get(import->stored, "items"),
	    .round = json_get_int(import->stored, "round", 0),
	    .told = json_get_array(import->stored, "told"),
	};
	long long thread;
	int result = -1;

	if (saved && import_owner(import, &thread, &step.run)) {
		step.status = (enum run_step_status)word_find(
		    run_step_status_words, json_get_string(saved, "status"));
		step.ended_at = shown_end(object, step.status);
		if (find_place(import, thread, &step))
			result = run_step_insert(import->tx, &step);
	}
	json_object_put(saved);
	return result;
}
