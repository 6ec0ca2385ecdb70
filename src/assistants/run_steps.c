/*
 * Run steps: what a run did, in order.
 */
#include "assistants/runs.h"

static struct json_object *
details_of(const struct run_step *step)
{
	struct json_object *details = json_object_new_object(),
			   *creation = json_object_new_object();

	json_set_string(creation, "message_id", step->message_id);
	json_set_string(details, "type", "message_creation");
	json_set(details, "message_creation", creation);
	return details;
}

static struct json_object *
time_if(const struct run_step *step, const char *status)
{
	return strcmp(step->status, status) == 0 ? json_object_new_int64(step->ended_at) : NULL;
}

struct json_object *
run_step_compose(const struct run *run, const struct run_step *step)
{
	struct json_object *object = json_object_new_object();
	bool open = strcmp(step->status, "in_progress") == 0;

	json_set_string(object, "id", step->id);
	json_set_string(object, "object", "thread.run.step");
	json_set_int(object, "created_at", step->created_at);
	json_set_string(object, "run_id", run->id);
	json_set_string(object, "assistant_id", run->assistant_id);
	json_set_string(object, "thread_id", run->thread_id);
	json_set_string(object, "type", "message_creation");
	json_set_string(object, "status", step->status);
	json_set(object, "cancelled_at", time_if(step, "cancelled"));
	json_set(object, "completed_at", time_if(step, "completed"));
	/* The schema says expired_at, OpenAI's examples expires_at. */
	json_set(object, "expired_at", time_if(step, "expired"));
	json_set(object, "expires_at", open ? json_object_new_int64(run->expires_at) : NULL);
	json_set(object, "failed_at", time_if(step, "failed"));
	json_set(object, "last_error", json_object_get(step->last_error));
	json_set(object, "step_details", details_of(step));
	json_set(object, "usage", json_object_get(step->usage));
	json_set(object, "metadata", json_object_new_object());
	return object;
}

enum db_result
run_step_insert(struct db_tx *tx, const struct run *run, const struct run_step *step)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO run_steps (id, run, created_at, "
	    "ended_at, status, last_error, usage, details) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	struct json_object *details = details_of(step);

	db_bind_text(stmt, 1, step->id);
	db_bind_int(stmt, 2, run->seq);
	db_bind_int(stmt, 3, step->created_at);
	db_bind_int(stmt, 4, step->ended_at);
	db_bind_text(stmt, 5, step->status);
	db_bind_text(stmt, 6, step->last_error ? json_text(step->last_error) : NULL);
	db_bind_text(stmt, 7, step->usage ? json_text(step->usage) : NULL);
	db_bind_text(stmt, 8, json_text(details));
	json_object_put(details);
	return db_finish(stmt, db_step(stmt));
}
