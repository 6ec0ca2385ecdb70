/*
 * How runs are kept: their rows, and what ends those that nobody carries out any more.
 */
#include "assistants/context.h"
#include "assistants/leases.h"
#include "assistants/runs.h"
#include "assistants/thread_delete.h"
#include "obs/log.h"
#include "os/clock.h"

#define CARRIED_OUT "status IN ('in_progress', 'cancelling')"
/* Of a holder: also what waits for outputs that the holder itself makes. */
#define HELD RUN_ACTIVE("") " AND status <> 'queued' AND lease_holder = ?"
#define LEN(array) (sizeof(array) / sizeof *(array))

/*
 * Statuses come from the database as text, and live on as literals. The first four are active ones.
 */
static const char *const statuses[] = {"queued", "in_progress", "requires_action", "cancelling",
    "cancelled", "failed", "completed", "incomplete", "expired", NULL};
enum { STATUSES_LEN = LEN(statuses) - 1, DAY_S = 86400 };

static const char *const reasons[] = {"max_completion_tokens", "max_prompt_tokens"};

static const char *
literal(const char *const *literals, size_t len, const char *text)
{
	for (size_t i = 0; text && i < len; i++)
		if (strcmp(literals[i], text) == 0)
			return literals[i];
	return NULL;
}

bool
run_is_active(const struct run *run)
{
	return literal(statuses, 4, run->status) != NULL;
}

bool
run_is_carried_out(const struct run *run)
{
	return strcmp(run->status, "in_progress") == 0 || strcmp(run->status, "cancelling") == 0;
}

void
run_free(struct run *run)
{
	if (!run)
		return;
	free(run->id);
	free(run->thread_id);
	free(run->assistant_id);
	free(run->tenant);
	json_object_put(run->last_error);
	json_object_put(run->usage);
	json_object_put(run->required_action);
	json_object_put(run->body);
	free(run->lease_holder);
	free(run);
}

static char *
copy_text(struct db_stmt *row, int column)
{
	const char *text = db_text(row, column);

	return strdup(text ? text : "");
}

struct run *
run_of_row(struct db_stmt *row)
{
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return NULL;
	run->seq = db_int(row, 0);
	run->thread = db_int(row, 1);
	run->id = copy_text(row, 2);
	run->thread_id = copy_text(row, 3);
	run->assistant_id = copy_text(row, 4);
	run->status = literal(statuses, STATUSES_LEN, db_text(row, 5));
	run->created_at = db_int(row, 6);
	run->expires_at = db_int(row, 7);
	run->started_at = db_int(row, 8);
	run->ended_at = db_int(row, 9);
	run->last_error = json_column(row, 10);
	run->incomplete_reason = literal(reasons, LEN(reasons), db_text(row, 11));
	run->usage = json_column(row, 12);
	run->body = json_column(row, 13);
	run->lease_holder = db_is_null(row, 14) ? NULL : copy_text(row, 14);
	run->lease_until = db_int(row, 15);
	run->required_action = json_column(row, 16);
	run->tenant = copy_text(row, 17);
	if (run->id && run->thread_id && run->assistant_id && run->tenant && run->status)
		return run;
	run_free(run);
	return NULL;
}

/* Sets a member that the API shows with a value where nothing was asked; takes `value` over. */
static void
set_default(struct json_object *object, const char *name, struct json_object *value)
{
	if (json_get(object, name))
		json_object_put(value);
	else
		json_set(object, name, value);
}

static const char *const options[] = {"model", "instructions", "tools", "temperature", "top_p",
    "response_format", "reasoning_effort", "metadata", "max_prompt_tokens", "max_completion_tokens",
    "truncation_strategy", "tool_choice", "parallel_tool_calls"};

static void
compose_options(struct json_object *object, const struct run *run)
{
	struct json_object *truncation = json_object_new_object();

	for (size_t i = 0; i < LEN(options); i++)
		copy_member(object, run->body, options[i]);
	json_set(object, "tools", tools_shown(run->body));
	json_set(object, "tool_resources", tool_resources_shown(run->body));
	json_set(object, "response_format", response_format_shown(run->body));
	set_default(object, "instructions", json_object_new_string(""));
	set_default(object, "metadata", json_object_new_object());
	set_default(object, "temperature", json_object_new_double(1.0));
	set_default(object, "top_p", json_object_new_double(1.0));
	set_default(object, "tool_choice", json_object_new_string("auto"));
	set_default(object, "parallel_tool_calls", json_object_new_boolean(1));
	json_set_string(truncation, "type", "auto");
	json_set(truncation, "last_messages", NULL);
	set_default(object, "truncation_strategy", truncation);
}

static struct json_object *
time_if(bool shown, long long at)
{
	return shown && at ? json_object_new_int64(at) : NULL;
}

struct json_object *
run_compose(const struct run *run)
{
	struct json_object *object = json_object_new_object(), *details = NULL;
	bool incomplete = strcmp(run->status, "incomplete") == 0;
	bool completed = incomplete || strcmp(run->status, "completed") == 0;

	if (incomplete) {
		details = json_object_new_object();
		/* The API has no word for a content filter here: the message tells. */
		if (run->incomplete_reason)
			json_set_string(details, "reason", run->incomplete_reason);
	}
	json_set_string(object, "id", run->id);
	json_set_string(object, "object", "thread.run");
	json_set_int(object, "created_at", run->created_at);
	json_set_string(object, "assistant_id", run->assistant_id);
	json_set_string(object, "thread_id", run->thread_id);
	json_set_string(object, "status", run->status);
	json_set(object, "started_at", time_if(true, run->started_at));
	json_set(object, "expires_at",
	    time_if(run_is_active(run) || strcmp(run->status, "expired") == 0, run->expires_at));
	json_set(
	    object, "cancelled_at", time_if(strcmp(run->status, "cancelled") == 0, run->ended_at));
	json_set(object, "failed_at", time_if(strcmp(run->status, "failed") == 0, run->ended_at));
	json_set(object, "completed_at", time_if(completed, run->ended_at));
	json_set(object, "required_action", json_object_get(run->required_action));
	json_set(object, "last_error", json_object_get(run->last_error));
	json_set(object, "incomplete_details", details);
	/* Counted in every round, and shown when there will be no more. */
	json_set(object, "usage", run_is_active(run) ? NULL : json_object_get(run->usage));
	compose_options(object, run);
	return object;
}

int
run_find(struct db_tx *tx, long long thread, const char *id, long long *seq)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT seq FROM runs WHERE id = ? AND thread = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, thread);
	result = db_step(stmt);
	if (result == DB_ROW)
		*seq = db_int(stmt, 0);
	return db_finish(stmt, result);
}

struct run *
run_load(struct db_tx *tx, long long seq)
{
	struct db_stmt *stmt = db_prepare(tx, RUN_SELECT "r.seq = ?");
	enum db_result result;
	struct run *run = NULL;

	db_bind_int(stmt, 1, seq);
	result = db_step(stmt);
	if (result == DB_ROW)
		run = run_of_row(stmt);
	db_finish(stmt, result);
	return run;
}

/*
 * Nobody will ever say what the run's question cost. One that nobody had taken up has asked
 * nothing.
 */
static bool
settle_lost(struct api *api, struct db_tx *tx, const char *id, bool taken_up)
{
	return taken_up ? budget_settle_unreported(tx, &api->budgets, id, 0, -1)
			: budget_settle(tx, &api->budgets, id, 0);
}

/*
 * Runs a bound statement that ends runs, and returns of each its status, its id, and whether
 * a holder had taken it up: each is counted and settled, and *ended of them there were.
 */
static enum db_result
end_and_count(struct api *api, struct db_tx *tx, struct db_stmt *stmt, long long *ended)
{
	enum db_result result;
	bool settled = true;

	*ended = 0;

	while (settled && (result = db_step(stmt)) == DB_ROW) {
		const char *status = literal(statuses, STATUSES_LEN, db_text(stmt, 0));

		if (status)
			db_count(tx, METRIC_RUNS, status);
		settled = settle_lost(api, tx, db_text(stmt, 1), db_int(stmt, 2));
		++*ended;
	}
	result = db_finish(stmt, result);
	return settled ? result : DB_ERROR;
}

/* Ends what should have ended: whoever carried it out will find that it is too late. */
static enum db_result
end_overdue(struct api *api, struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE status WHEN 'cancelling' THEN "
	    "'cancelled' ELSE 'expired' END, required_action = NULL, "
	    "ended_at = ? WHERE thread = ? AND " RUN_ACTIVE(
		"") " AND expires_at < ? RETURNING status, id, lease_holder IS NOT NULL");
	long long now = clock_unix(), ended;

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, now);
	return end_and_count(api, tx, stmt, &ended);
}

/* Ends all the runs of a process that died. */
static enum db_result
end_abandoned(struct api *api, struct db_tx *tx, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' "
	    "WHEN expires_at < ? THEN 'expired' ELSE 'failed' END, ended_at = ?, "
	    "last_error = CASE WHEN status <> 'cancelling' AND expires_at >= ? THEN ? END, "
	    "required_action = NULL WHERE " HELD " RETURNING status, id, lease_holder IS NOT NULL");
	long long now = clock_unix(), ended;
	enum db_result result;

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, now);
	db_bind_int(stmt, 3, now);
	db_bind_text(stmt, 4,
	    "{\"code\": \"server_error\", \"message\": \"The server stopped while it carried "
	    "this run out.\"}");
	db_bind_text(stmt, 5, holder);
	result = end_and_count(api, tx, stmt, &ended);
	if (result == DB_DONE && ended > 0)
		log_info("a program died: %lld runs that it carried out were ended", ended);
	return result;
}

static int
on_dead(void *arg, const char *holder)
{
	struct api *api = arg;
	struct db_tx *tx = db_begin(api->db, DB_WRITE);

	if (tx && end_abandoned(api, tx, holder) == DB_DONE)
		return db_commit(tx);
	db_rollback(tx);
	return -1;
}

void
runs_bury(struct api *api)
{
	leases_bury(api->leases, on_dead, api);
}

const char *
run_holder(struct api *api)
{
	return leases_holder(api->leases, on_dead, api);
}

void
runs_renew(struct api *api)
{
	struct db_tx *tx = leases_renewal_due(api->leases) ? db_begin(api->db, DB_WRITE) : NULL;
	struct db_stmt *stmt;

	if (!tx)
		return;
	stmt = db_prepare(tx, "UPDATE runs SET lease_until = ? WHERE " HELD);
	db_bind_int(stmt, 1, clock_unix() + LEASE_S);
	db_bind_text(stmt, 2, run_holder(api));
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		db_commit(tx);
	else
		db_rollback(tx);
}

static bool
is_abandoned(struct api *api, const struct run *run)
{
	return run->lease_holder && run_is_active(run) && strcmp(run->status, "queued") != 0 &&
	    leases_are_over(api->leases, run->lease_holder, run->lease_until);
}

bool
run_is_overdue(struct api *api, const struct run *run)
{
	long long late_s = clock_unix() - run->expires_at;

	if (late_s <= 0 || !run->lease_holder)
		return late_s > 0;
	if (leases_are_ours(api->leases, run->lease_holder))
		return !leases_are_at_hand(api->leases, run->seq);
	/* One that lives may have given it up without a word. */
	return late_s > DAY_S || leases_are_over(api->leases, run->lease_holder, run->lease_until);
}

/* The thread's active run; NULL with *failed when the database did. */
static struct run *
load_active(struct db_tx *tx, long long thread, bool *failed)
{
	struct db_stmt *stmt = db_prepare(tx, RUN_SELECT "r.thread = ? AND " RUN_ACTIVE("r."));
	enum db_result result;
	struct run *run = NULL;

	db_bind_int(stmt, 1, thread);
	result = db_step(stmt);
	if (result == DB_ROW)
		run = run_of_row(stmt);
	*failed = result != DB_DONE && !run;
	db_finish(stmt, result);
	return run;
}

int
run_active(struct api *api, struct db_tx *tx, long long thread, char id[ID_SIZE])
{
	bool failed;
	struct run *run = load_active(tx, thread, &failed);
	int result = failed ? -1 : run != NULL;

	if (run && run_is_overdue(api, run))
		result = end_overdue(api, tx, thread) == DB_DONE ? 0 : -1;
	else if (run && is_abandoned(api, run))
		result = end_abandoned(api, tx, run->lease_holder) == DB_DONE ? 0 : -1;
	else if (run)
		snprintf(id, ID_SIZE, "%s", run->id);
	run_free(run);
	return result;
}

int
run_claim(struct db_tx *tx, const char *holder, struct run **run)
{
	struct db_stmt *stmt =
	    db_prepare(tx, RUN_SELECT "r.status = 'queued' ORDER BY r.seq LIMIT 1");
	enum db_result result = db_step(stmt);

	*run = result == DB_ROW ? run_of_row(stmt) : NULL;
	db_finish(stmt, result);
	if (result != DB_ROW)
		return result;
	if (*run && run_begin(tx, *run, holder) == DB_DONE)
		return 1;
	run_free(*run);
	*run = NULL;
	return -1;
}

enum db_result
run_begin(struct db_tx *tx, struct run *run, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, started_at = ?, required_action = NULL, "
	    "lease_holder = ?, lease_until = ? WHERE seq = ?");
	long long now = clock_unix();

	run->status = holder ? "in_progress" : "queued";
	if (holder && !run->started_at)
		run->started_at = now;
	json_object_put(run->required_action);
	run->required_action = NULL;
	db_bind_text(stmt, 1, run->status);
	db_bind_time(stmt, 2, run->started_at);
	db_bind_text(stmt, 3, holder);
	db_bind_time(stmt, 4, holder ? now + LEASE_S : 0);
	db_bind_int(stmt, 5, run->seq);
	return db_finish(stmt, db_step(stmt));
}

int
run_end(struct db_tx *tx, const struct run *run, bool held)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, ended_at = ?, last_error = ?, incomplete_reason = ?, "
	    "usage = ?, required_action = ?, lease_holder = CASE WHEN ? THEN lease_holder END "
	    "WHERE seq = ? AND " CARRIED_OUT);

	db_bind_text(stmt, 1, run->status);
	db_bind_time(stmt, 2, run->ended_at);
	db_bind_text(stmt, 3, run->last_error ? json_text(run->last_error) : NULL);
	db_bind_text(stmt, 4, run->incomplete_reason);
	db_bind_text(stmt, 5, run->usage ? json_text(run->usage) : NULL);
	db_bind_text(stmt, 6, run->required_action ? json_text(run->required_action) : NULL);
	db_bind_int(stmt, 7, held);
	db_bind_int(stmt, 8, run->seq);
	if (db_finish(stmt, db_step(stmt)) != DB_DONE)
		return -1;
	if (db_changes(tx) == 0)
		return 0;
	if (!run_is_active(run))
		db_count(tx, METRIC_RUNS, run->status);
	return 1;
}

int
run_renew(struct db_tx *tx, const struct run *run)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "UPDATE runs SET lease_until = ? WHERE seq = ? AND " CARRIED_OUT);

	db_bind_int(stmt, 1, clock_unix() + LEASE_S);
	db_bind_int(stmt, 2, run->seq);
	if (db_finish(stmt, db_step(stmt)) != DB_DONE)
		return -1;
	return db_changes(tx) > 0;
}

bool
run_wanted(struct db *db, long long seq)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	enum db_result result;
	struct db_stmt *stmt;

	/* A database that fails for a moment is no reason to throw an answer away. */
	if (!tx)
		return true;
	stmt = db_prepare(tx, "SELECT 1 FROM runs WHERE seq = ? AND status = 'in_progress'");
	db_bind_int(stmt, 1, seq);
	result = db_finish(stmt, db_step(stmt));
	db_rollback(tx);
	return result != DB_DONE;
}

enum db_result
run_insert(struct db_tx *tx, struct run *run)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO runs (id, thread, assistant_id, "
	    "created_at, expires_at, started_at, status, body, lease_holder, lease_until, "
	    "ended_at, last_error, incomplete_reason, usage) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	enum db_result result;

	db_bind_text(stmt, 1, run->id);
	db_bind_int(stmt, 2, run->thread);
	db_bind_text(stmt, 3, run->assistant_id);
	db_bind_int(stmt, 4, run->created_at);
	db_bind_int(stmt, 5, run->expires_at);
	db_bind_time(stmt, 6, run->started_at);
	db_bind_text(stmt, 7, run->status);
	db_bind_text(stmt, 8, json_text(run->body));
	db_bind_text(stmt, 9, run->lease_holder);
	db_bind_time(stmt, 10, run->lease_until);
	db_bind_time(stmt, 11, run->ended_at);
	db_bind_text(stmt, 12, run->last_error ? json_text(run->last_error) : NULL);
	db_bind_text(stmt, 13, run->incomplete_reason);
	db_bind_text(stmt, 14, run->usage ? json_text(run->usage) : NULL);
	result = db_finish(stmt, db_step(stmt));
	run->seq = db_insert_seq(tx);
	return result;
}

struct run *
run_settle(struct api *api, struct run *run)
{
	struct run *settled = NULL;
	char active_id[ID_SIZE];
	struct db_tx *tx;

	if (!run_is_active(run) || (!run_is_overdue(api, run) && !is_abandoned(api, run)))
		return run;
	tx = db_begin(api->db, DB_WRITE);
	if (tx && run_active(api, tx, run->thread, active_id) >= 0)
		settled = run_load(tx, run->seq);
	if (settled && db_commit(tx) < 0) {
		run_free(settled);
		settled = NULL;
	} else if (!settled) {
		db_rollback(tx);
	}
	run_free(run);
	return settled;
}

enum db_result
run_cancel(struct api *api, struct db_tx *tx, struct run *run)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "UPDATE runs SET status = ?, ended_at = ?, required_action = NULL WHERE seq = ?");
	bool carried_out = run_is_carried_out(run) && !is_abandoned(api, run);

	run->status = carried_out ? "cancelling" : "cancelled";
	run->ended_at = carried_out ? 0 : clock_unix();
	json_object_put(run->required_action);
	run->required_action = NULL;
	db_bind_text(stmt, 1, run->status);
	db_bind_time(stmt, 2, run->ended_at);
	db_bind_int(stmt, 3, run->seq);
	if (carried_out)
		return db_finish(stmt, db_step(stmt));
	db_count(tx, METRIC_RUNS, run->status);
	if (db_finish(stmt, db_step(stmt)) != DB_DONE)
		return DB_ERROR;
	return settle_lost(api, tx, run->id, run->lease_holder) ? DB_DONE : DB_ERROR;
}

enum budget_result
run_reserve(struct api *api, struct db_tx *tx, const struct run *run, long long *wait_s)
{
	long long max = json_get_int(run->body, "max_completion_tokens", 0);
	struct budget_question question = {
	    .id = run->id,
	    .answer_max = max ? max - json_get_int(run->usage, "completion_tokens", 0) : 0,
	    .timeout_s = api->run_timeout_s,
	};

	if (!budget_is_bounded(&api->budgets, run->tenant))
		return BUDGET_RESERVED;
	question.bytes = context_estimate(tx, run->thread, run->body, api->context_tokens);
	if (question.bytes < 0)
		return BUDGET_FAILED;
	/* Too little for an answer: the run will end without asking. */
	if (max && question.answer_max <= 0)
		question.answer_max = 1;
	return budget_reserve(tx, &api->budgets, run->tenant, &question, wait_s);
}

/* --- moving in and out --- */

const char runs_export_sql[] = "SELECT " RUN_COLUMNS " FROM " RUN_TABLES
			       " WHERE t.tenant <> " REMOVAL_TENANT " ORDER BY r.seq";

struct json_object *
run_export(struct db_stmt *row)
{
	struct run *run = run_of_row(row);
	struct json_object *object, *stored;

	if (!run)
		return NULL;
	object = run_compose(run);
	/* Also of one that is not over: it will be, where it is imported. */
	json_set(object, "usage", json_object_get(run->usage));
	stored = json_object_new_object();
	json_set(stored, "body", json_object_get(run->body));
	json_set_int(stored, "expires_at", run->expires_at);
	json_set_int(stored, "ended_at", run->ended_at);
	json_set_string(object, "tenant", run->tenant);
	json_set(object, "stored", stored);
	run_free(run);
	return object;
}

/* A run that was still active is over: who carried it out is elsewhere. */
static void
set_saved_end(struct run *run, struct import *import)
{
	static const char *const times[] = {
	    "completed_at", "failed_at", "cancelled_at", "expires_at"};

	run->expires_at = json_get_int(import->object, "expires_at", run->created_at);
	for (size_t i = 0; i < LEN(times) && !run->ended_at; i++)
		run->ended_at = json_get_int(import->object, times[i], 0);
	run->expires_at = json_get_int(import->stored, "expires_at", run->expires_at);
	run->ended_at = json_get_int(import->stored, "ended_at", run->ended_at);
	if (run_is_active(run)) {
		run->status = strcmp(run->status, "cancelling") == 0 ? "cancelled" : "expired";
		run->ended_at = clock_unix();
	}
}

/* The options that the API shows. */
static struct json_object *
body_of_shown(struct json_object *shown)
{
	struct json_object *body = json_object_new_object();

	for (size_t i = 0; i < LEN(options); i++)
		copy_member(body, shown, options[i]);
	copy_member(body, shown, "tool_resources");
	return body;
}

static struct run *
run_of_saved(struct import *import)
{
	struct json_object *object = import->object, *body;
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return NULL;
	run->id = strdup(json_get_string(object, "id"));
	run->assistant_id = strdup(json_get_string(object, "assistant_id"));
	run->status = literal(statuses, STATUSES_LEN, json_get_string(object, "status"));
	run->created_at = json_get_int(object, "created_at", 0);
	run->started_at = json_get_int(object, "started_at", 0);
	run->last_error = json_object_get(json_get_object(object, "last_error"));
	run->usage = json_object_get(json_get_object(object, "usage"));
	run->incomplete_reason = literal(reasons, LEN(reasons),
	    json_get_string(json_get(object, "incomplete_details"), "reason"));
	body = json_get_object(import->stored, "body");
	run->body = body ? json_object_get(body) : body_of_shown(object);
	set_saved_end(run, import);
	if (run->id && run->assistant_id)
		return run;
	run_free(run);
	return NULL;
}

int
run_import(struct import *import)
{
	static const struct field fields[] = {
	    {"status", FIELD_STRING, true, .words = statuses},
	    {"assistant_id", FIELD_STRING, true},
	};
	struct json_object *saved = import_checked(import, fields, LEN(fields));
	enum db_result stored = DB_ERROR;
	struct run *run;
	long long thread;

	json_object_put(saved);
	if (!saved || !import_owner(import, &thread, NULL))
		return -1;
	run = run_of_saved(import);
	if (run) {
		run->thread = thread;
		stored = run_insert(import->tx, run);
	}
	run_free(run);
	return import_result(import, stored);
}

void
run_settle_thread(struct api *api, long long thread)
{
	struct db_tx *tx = db_begin(api->db, DB_READ);
	bool failed;
	struct run *run = tx ? load_active(tx, thread, &failed) : NULL;

	db_rollback(tx);
	run_free(run ? run_settle(api, run) : NULL);
}
