/*
 * Run steps: what a run did, in order.
 */
#include "assistants/runs.h"
#include "assistants/thread_delete.h"

#define COLUMNS                                                                                    \
	"s.id, s.created_at, s.ended_at, s.status, s.last_error, s.usage, s.details, r.id, "       \
	"r.assistant_id, r.status, r.ended_at, r.expires_at"
#define SELECT_STEP "SELECT " COLUMNS " FROM run_steps s JOIN runs r ON r.seq = s.run WHERE "
#define RANGE "s.run = ? AND s.seq > ? AND s.seq < ? ORDER BY s.seq"

/* What a step is made of, wherever it comes from; all borrowed. */
struct parts {
	const char *id, *status, *run_id, *assistant_id, *thread_id;
	long long created_at, ended_at, expires_at;
	struct json_object *last_error, *usage, *details;
};

static struct json_object *
time_if(const struct parts *parts, const char *status)
{
	return strcmp(parts->status, status) == 0 ? json_object_new_int64(parts->ended_at) : NULL;
}

static struct json_object *
compose_parts(const struct parts *parts)
{
	struct json_object *object = json_object_new_object();
	bool open = strcmp(parts->status, "in_progress") == 0;

	json_set_string(object, "id", parts->id);
	json_set_string(object, "object", "thread.run.step");
	json_set_int(object, "created_at", parts->created_at);
	json_set_string(object, "run_id", parts->run_id);
	json_set_string(object, "assistant_id", parts->assistant_id);
	json_set_string(object, "thread_id", parts->thread_id);
	json_set_string(object, "type", json_get_string(parts->details, "type"));
	json_set_string(object, "status", parts->status);
	json_set(object, "cancelled_at", time_if(parts, "cancelled"));
	json_set(object, "completed_at", time_if(parts, "completed"));
	/* The schema says expired_at, OpenAI's examples expires_at. */
	json_set(object, "expired_at", time_if(parts, "expired"));
	json_set(object, "expires_at", open ? json_object_new_int64(parts->expires_at) : NULL);
	json_set(object, "failed_at", time_if(parts, "failed"));
	json_set(object, "last_error", json_object_get(parts->last_error));
	json_set(object, "step_details", json_object_get(parts->details));
	json_set(object, "usage", open ? NULL : json_object_get(parts->usage));
	json_set(object, "metadata", json_object_new_object());
	return object;
}

struct json_object *
run_step_compose(const struct run *run, const struct run_step *step)
{
	return compose_parts(&(struct parts){
	    .id = step->id,
	    .status = step->status,
	    .run_id = run->id,
	    .assistant_id = run->assistant_id,
	    .thread_id = run->thread_id,
	    .created_at = step->created_at,
	    .ended_at = step->ended_at,
	    .expires_at = run->expires_at,
	    .last_error = step->last_error,
	    .usage = step->usage,
	    .details = step->details,
	});
}

/* A step that its run left open ended with it, and as it did. Without an id the row has it. */
static struct json_object *
compose(struct db_stmt *row, void *thread_id)
{
	const char *status = db_text(row, 3), *run_status = db_text(row, 9);
	bool left_open = strcmp(status, "in_progress") == 0 &&
	    (strcmp(run_status, "cancelled") == 0 || strcmp(run_status, "failed") == 0 ||
		strcmp(run_status, "expired") == 0);
	struct parts parts = {
	    .id = db_text(row, 0),
	    .status = left_open ? run_status : status,
	    .run_id = db_text(row, 7),
	    .assistant_id = db_text(row, 8),
	    .thread_id = thread_id ? thread_id : db_text(row, 12),
	    .created_at = db_int(row, 1),
	    .ended_at = db_int(row, left_open ? 10 : 2),
	    .expires_at = db_int(row, 11),
	    .last_error = json_column(row, 4),
	    .usage = json_column(row, 5),
	    .details = json_column(row, 6),
	};
	struct json_object *step = compose_parts(&parts);

	json_object_put(parts.last_error);
	json_object_put(parts.usage);
	json_object_put(parts.details);
	return step;
}

/* Behind which message of its thread a call of tools stands. */
static long long
last_message(struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT seq FROM messages WHERE thread = ? ORDER BY seq DESC LIMIT 1");
	enum db_result result;
	long long seq = 0;

	db_bind_int(stmt, 1, thread);
	result = db_step(stmt);
	if (result == DB_ROW)
		seq = db_int(stmt, 0);
	return db_finish(stmt, result) < 0 ? -1 : seq;
}

/* Calls that stand in their `thread`'s conversation, behind the message `after`; 0: in none. */
struct place {
	long long thread, after;
};

static enum db_result
insert(struct db_tx *tx, long long run, const char *id, const struct run_step *step,
    const struct place *place)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO run_steps (id, run, created_at, ended_at, status, last_error, usage, "
	    "details, items, thread, after_message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, run);
	db_bind_int(stmt, 3, step->created_at);
	db_bind_time(stmt, 4, step->ended_at);
	db_bind_text(stmt, 5, step->status);
	db_bind_text(stmt, 6, step->last_error ? json_text(step->last_error) : NULL);
	db_bind_text(stmt, 7, step->usage ? json_text(step->usage) : NULL);
	db_bind_text(stmt, 8, json_text(step->details));
	db_bind_text(stmt, 9, step->items ? json_text(step->items) : NULL);
	if (place->thread) {
		db_bind_int(stmt, 10, place->thread);
		db_bind_int(stmt, 11, place->after);
	}
	return db_finish(stmt, db_step(stmt));
}

enum db_result
run_step_insert(struct db_tx *tx, const struct run *run, const struct run_step *step)
{
	bool calls = strcmp(json_get_string(step->details, "type"), "tool_calls") == 0;
	struct place place = {0};

	if (calls) {
		place.thread = run->thread;
		place.after = last_message(tx, run->thread);
	}
	return place.after < 0 ? DB_ERROR : insert(tx, run->seq, step->id, step, &place);
}

int
run_step_load_open(struct db_tx *tx, const struct run *run, struct run_step *step)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT id, created_at, details, usage FROM run_steps "
	    "WHERE run = ? AND status = 'in_progress' ORDER BY seq DESC LIMIT 1");
	enum db_result result;

	*step = (struct run_step){.status = "in_progress"};
	db_bind_int(stmt, 1, run->seq);
	result = db_step(stmt);
	if (result == DB_ROW) {
		snprintf(step->id, sizeof step->id, "%s", db_text(stmt, 0));
		step->created_at = db_int(stmt, 1);
		step->details = json_column(stmt, 2);
		step->usage = json_column(stmt, 3);
	}
	return db_finish(stmt, result);
}

enum db_result
run_step_end(struct db_tx *tx, const struct run_step *step)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "UPDATE run_steps SET status = ?, ended_at = ?, details = ? WHERE id = ?");

	db_bind_text(stmt, 1, step->status);
	db_bind_int(stmt, 2, step->ended_at);
	db_bind_text(stmt, 3, json_text(step->details));
	db_bind_text(stmt, 4, step->id);
	return db_finish(stmt, db_step(stmt));
}

void
run_step_free(struct run_step *step)
{
	json_object_put(step->details);
	json_object_put(step->usage);
	json_object_put(step->items);
	*step = (struct run_step){0};
}

void
run_steps_list(struct call *call)
{
	struct list list = {
	    .sql_ascending = SELECT_STEP RANGE " LIMIT ?",
	    .sql_descending = SELECT_STEP RANGE " DESC LIMIT ?",
	    .cursor_sql = "SELECT seq FROM run_steps WHERE id = ? AND run = ?",
	    .kind = "run step",
	    .prefix = "step",
	    .compose = compose,
	    .arg = call->params[0],
	};
	struct page page;

	if (!page_read(call, &page, false))
		return;
	list.tx = db_begin(call->api->db, DB_READ);
	if (call_run(call, list.tx, &list.owner))
		list_answer(call, &page, &list);
	else
		db_rollback(list.tx);
	page_free(&page);
}

void
run_steps_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	enum db_result result;
	struct db_stmt *stmt;
	long long run;

	if (!call_run(call, tx, &run)) {
		db_rollback(tx);
		return;
	}
	stmt = db_prepare(tx, SELECT_STEP "s.id = ? AND s.run = ?");
	db_bind_text(stmt, 1, call->params[2]);
	db_bind_int(stmt, 2, run);
	result = db_step(stmt);
	if (result == DB_ROW)
		answer(call, 200, compose(stmt, call->params[0]));
	else if (result == DB_DONE)
		refuse_unknown(call, "run step", "step", call->params[2]);
	else
		fail(call);
	db_finish(stmt, result);
	db_rollback(tx);
}

/* --- moving in and out --- */

const char run_steps_export_sql[] =
    "SELECT " COLUMNS ", t.id, t.tenant, s.items, s.thread, (SELECT m.id FROM messages m WHERE "
    "m.thread = s.thread AND m.seq <= s.after_message ORDER BY m.seq DESC LIMIT 1) "
    "FROM run_steps s JOIN runs r ON r.seq = s.run JOIN threads t ON t.seq = r.thread "
    "WHERE t.tenant <> " REMOVAL_TENANT " ORDER BY s.seq";

struct json_object *
run_step_export(struct db_stmt *row)
{
	struct json_object *step = compose(row, NULL), *stored = json_object_new_object();
	struct json_object *items = json_column(row, 14);

	json_set(step, "usage", json_column(row, 5));
	json_set_string(step, "tenant", db_text(row, 13));
	if (items)
		json_set(stored, "items", items);
	if (!db_is_null(row, 15))
		json_set_string(stored, "after", db_text(row, 16));
	json_set(step, "stored", stored);
	return step;
}

/* Whether a model can be told of them: a thing of functions, and answered. */
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

/* The number that a query answers, 0 for none; -1 failed. */
static long long
finish_number(struct db_stmt *stmt)
{
	enum db_result result = db_step(stmt);
	long long number = result == DB_ROW ? db_int(stmt, 0) : 0;

	return db_finish(stmt, result) < 0 ? -1 : number;
}

static long long
seq_of_message(struct db_tx *tx, long long thread, const char *id)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT seq FROM messages WHERE id = ? AND thread = ?");

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	return finish_number(stmt);
}

/* Behind what was there when the run began, and behind what it wrote before the step. */
static long long
guess_message(struct db_tx *tx, long long thread, long long run, long long created_at)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT m.seq FROM messages m JOIN runs r ON r.seq = ? WHERE m.thread = ? AND "
	    "((m.run = r.seq AND m.created_at < ?) OR "
	    "((m.run IS NULL OR m.run <> r.seq) AND m.created_at <= r.created_at)) "
	    "ORDER BY m.seq DESC LIMIT 1");

	db_bind_int(stmt, 1, run);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, created_at);
	return finish_number(stmt);
}

static void
find_place(struct import *import, long long thread, long long run, const struct run_step *step,
    struct place *place)
{
	bool said = json_object_object_get_ex(import->stored, "after", NULL);

	if (strcmp(step->status, "completed") == 0 && !calls_are_answered(step->details))
		return;
	if (!said && import->stored)
		return;
	place->thread = thread;
	if (!said)
		place->after = guess_message(import->tx, thread, run, step->created_at);
	else
		place->after =
		    seq_of_message(import->tx, thread, json_get_string(import->stored, "after"));
}

/* When it ended, as its status says. */
static long long
shown_end(struct json_object *step, const char *status)
{
	char member[32];

	snprintf(member, sizeof member, "%s_at", status);
	return json_get_int(step, member, 0);
}

int
run_step_import(struct import *import)
{
	static const char *const statuses[] = {
	    "in_progress", "completed", "failed", "cancelled", "expired", NULL};
	static const char *const types[] = {"message_creation", "tool_calls", NULL};
	static const struct field details_fields[] = {
	    {"type", FIELD_STRING, true, .words = types},
	    {"message_creation", FIELD_OBJECT},
	    {"tool_calls", FIELD_ARRAY},
	};
	static const struct shape details = {NULL, details_fields, 3};
	static const struct field fields[] = {
	    {"status", FIELD_STRING, true, .words = statuses},
	    {"step_details", FIELD_OBJECT, true, .shapes = &details},
	};
	struct json_object *object = import->object, *saved = import_checked(import, fields, 2);
	struct run_step step = {
	    .created_at = json_get_int(object, "created_at", 0),
	    .status = json_get_string(saved, "status"),
	    .details = json_get(saved, "step_details"),
	    .last_error = json_get_object(object, "last_error"),
	    .usage = json_get_object(object, "usage"),
	    .items = json_get(import->stored, "items"),
	};
	struct place place = {0};
	long long thread, run;
	int result = -1;

	if (saved && import_owner(import, &thread, &run)) {
		step.ended_at = shown_end(object, step.status);
		find_place(import, thread, run, &step, &place);
		result = import_result(import,
		    place.after < 0
			? DB_ERROR
			: insert(import->tx, run, json_get_string(object, "id"), &step, &place));
	}
	json_object_put(saved);
	return result;
}
