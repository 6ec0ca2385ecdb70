#include "records/run_step.h"

#include "records/run.h"
#include "records/thread_delete.h"
#include "text/json.h"
#include "text/text.h"

enum {
	ID,
	THREAD_ID,
	RUN_ID,
	ASSISTANT_ID,
	CREATED_AT,
	ENDED_AT,
	STATUS,
	LAST_ERROR,
	USAGE,
	DETAILS,
	RUN_STATUS,
	RUN_ENDED_AT,
	RUN_EXPIRES_AT,
	/* Only exports have these. */
	TENANT,
	ITEMS,
	THREAD,
	ROUND,
	TOLD,
	AFTER_ID
};
#define COLUMNS                                                                                    \
	"s.id, t.id, r.id, r.assistant_id, s.created_at, s.ended_at, s.status, s.last_error, "     \
	"s.usage, s.details, r.status, r.ended_at, r.expires_at"
#define TABLES " FROM run_steps s JOIN runs r ON r.seq = s.run JOIN threads t ON t.seq = r.thread "
#define SELECT "SELECT " COLUMNS TABLES
#define RANGE "WHERE s.run = ? AND s.seq > ? AND s.seq < ? ORDER BY s.seq"

const char *const run_step_status_words[] = {
    "in_progress", "completed", "failed", "cancelled", "expired", NULL};
const char *const run_step_type_words[] = {"message_creation", "tool_calls", NULL};

static struct json_object *
time_of(const struct run_step *step, enum run_step_status status)
{
	return step->status == status ? json_new_int(step->ended_at) : NULL;
}

struct json_object *
run_step_json(const struct run_step *step)
{
	struct json_object *object = json_new_object();
	bool open = step->status == STEP_IN_PROGRESS;

	json_set_string(object, "id", step->id);
	json_set_string(object, "object", "thread.run.step");
	json_set_int(object, "created_at", step->created_at);
	json_set_string(object, "run_id", step->run_id);
	json_set_string(object, "assistant_id", step->assistant_id);
	json_set_string(object, "thread_id", step->thread_id);
	json_copy(object, step->details, "type");
	json_set_string(object, "status", run_step_status_words[step->status]);
	json_set(object, "cancelled_at", time_of(step, STEP_CANCELLED));
	json_set(object, "completed_at", time_of(step, STEP_COMPLETED));
	/* The description says expired_at, OpenAI's examples expires_at. */
	json_set(object, "expired_at", time_of(step, STEP_EXPIRED));
	json_set(object, "expires_at", open ? json_new_int(step->expires_at) : NULL);
	json_set(object, "failed_at", time_of(step, STEP_FAILED));
	json_set(object, "last_error", json_object_get(step->last_error));
	json_set(object, "step_details", json_object_get(step->details));
	json_set(object, "usage", open ? NULL : json_object_get(step->usage));
	json_set(object, "metadata", json_new_object());
	return object;
}

/* How an open step ends with its run; STEP_IN_PROGRESS: it does not. */
static enum run_step_status
end_with_run(enum run_status status)
{
	switch (status) {
	case RUN_CANCELLED:
		return STEP_CANCELLED;
	case RUN_FAILED:
		return STEP_FAILED;
	case RUN_EXPIRED:
		return STEP_EXPIRED;
	default:
		return STEP_IN_PROGRESS;
	}
}

static enum run_step_status
status_of(const char *word)
{
	int status = word_find(run_step_status_words, word);

	return status < 0 ? STEP_FAILED : (enum run_step_status)status;
}

static struct json_object *
json(struct db_stmt *row)
{
	struct run_step step = {
	    .id = db_text(row, ID),
	    .thread_id = db_text(row, THREAD_ID),
	    .run_id = db_text(row, RUN_ID),
	    .assistant_id = db_text(row, ASSISTANT_ID),
	    .status = status_of(db_text(row, STATUS)),
	    .created_at = db_int(row, CREATED_AT),
	    .ended_at = db_int(row, ENDED_AT),
	    .expires_at = db_int(row, RUN_EXPIRES_AT),
	    .last_error = record_json(row, LAST_ERROR),
	    .usage = record_json(row, USAGE),
	    .details = record_json(row, DETAILS),
	};
	struct json_object *object;

	if (step.status == STEP_IN_PROGRESS) {
		step.status = end_with_run(run_status_of(db_text(row, RUN_STATUS)));
		step.ended_at = db_int(row, RUN_ENDED_AT);
	}
	object = run_step_json(&step);
	json_object_put(step.last_error);
	json_object_put(step.usage);
	json_object_put(step.details);
	return object;
}

const struct record run_step_record = {
    .find = SELECT "WHERE s.id = ? AND s.run = ?",
    .list = {SELECT RANGE " LIMIT ?", SELECT RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM run_steps WHERE id = ? AND run = ?",
    .json = json,
};

int
run_step_insert(struct db_tx *tx, const struct run_step *step)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO run_steps (id, run, created_at, ended_at, status, last_error, usage, "
	    "details, items, thread, after_message, round, told) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");

	db_bind_text(stmt, 1, step->id);
	db_bind_int(stmt, 2, step->run);
	db_bind_int(stmt, 3, step->created_at);
	db_bind_time(stmt, 4, step->ended_at);
	db_bind_text(stmt, 5, run_step_status_words[step->status]);
	record_bind_json(stmt, 6, step->last_error);
	record_bind_json(stmt, 7, step->usage);
	record_bind_json(stmt, 8, step->details);
	record_bind_json(stmt, 9, step->items);
	if (step->thread) {
		db_bind_int(stmt, 10, step->thread);
		db_bind_int(stmt, 11, step->after);
	}
	if (step->round)
		db_bind_int(stmt, 12, step->round);
	record_bind_json(stmt, 13, step->told);
	return db_execute(stmt);
}

int
run_step_load_open(struct db_tx *tx, long long run, struct open_step *step)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT id, created_at, details, usage FROM run_steps "
	    "WHERE run = ? AND status = 'in_progress' ORDER BY seq DESC LIMIT 1");
	enum db_result result;

	*step = (struct open_step){.created_at = 0};
	db_bind_int(stmt, 1, run);
	result = db_step(stmt);
	if (result == DB_ROW) {
		snprintf(step->id, sizeof step->id, "%s", db_text(stmt, 0));
		step->created_at = db_int(stmt, 1);
		step->details = record_json(stmt, 2);
		step->usage = record_json(stmt, 3);
	}
	return db_finish(stmt, result);
}

int
run_step_end(struct db_tx *tx, const struct run_step *step)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE run_steps SET status = ?, ended_at = ?, last_error = ?, details = ?, told = ? "
	    "WHERE id = ?");

	db_bind_text(stmt, 1, run_step_status_words[step->status]);
	db_bind_int(stmt, 2, step->ended_at);
	record_bind_json(stmt, 3, step->last_error);
	record_bind_json(stmt, 4, step->details);
	record_bind_json(stmt, 5, step->told);
	db_bind_text(stmt, 6, step->id);
	return db_execute(stmt);
}

int
run_steps_round(struct db_tx *tx, long long run, long long *round)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT coalesce(max(round), 0) FROM run_steps WHERE run = ?");

	db_bind_int(stmt, 1, run);
	return record_number(stmt, round);
}

const char run_step_export_sql[] =
    "SELECT " COLUMNS
    ", t.tenant, s.items, s.thread, s.round, s.told, (SELECT m.id FROM messages m WHERE "
    "m.thread = s.thread AND m.seq <= s.after_message ORDER BY m.seq DESC LIMIT 1)" TABLES
    "WHERE t.tenant <> " REMOVED_TENANT " ORDER BY s.seq";

struct json_object *
run_step_exported(struct db_stmt *row)
{
	struct json_object *step = json(row), *stored = json_new_object();
	struct json_object *items = record_json(row, ITEMS), *told = record_json(row, TOLD);

	json_set(step, "usage", record_json(row, USAGE));
	json_set_string(step, "tenant", db_text(row, TENANT));
	if (items)
		json_set(stored, "items", items);
	if (!db_is_null(row, THREAD))
		json_set_string(stored, "after", db_text(row, AFTER_ID));
	if (!db_is_null(row, ROUND))
		json_set_int(stored, "round", db_int(row, ROUND));
	if (told)
		json_set(stored, "told", told);
	json_set(step, "stored", stored);
	return step;
}

/* The number that a query returns, 0 for none; -1: failed. */
static long long
number_or_none(struct db_stmt *stmt)
{
	long long number = 0;

	return record_number(stmt, &number) < 0 ? -1 : number;
}

long long
run_step_place(struct db_tx *tx, long long thread, const char *id)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT seq FROM messages WHERE id = ? AND thread = ?");

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	return number_or_none(stmt);
}

long long
run_step_guess_place(struct db_tx *tx, long long thread, long long run, long long created_at)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT m.seq FROM messages m JOIN runs r ON r.seq = ? WHERE m.thread = ? AND "
	    "((m.run = r.seq AND m.created_at < ?) OR "
	    "((m.run IS NULL OR m.run <> r.seq) AND m.created_at <= r.created_at)) "
	    "ORDER BY m.seq DESC LIMIT 1");

	db_bind_int(stmt, 1, run);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, created_at);
	return number_or_none(stmt);
}
