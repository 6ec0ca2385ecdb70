#include "records/run.h"

#include "obs/metrics.h"
#include "os/clock.h"
#include "records/options.h"
#include "records/run_options.h"
#include "records/thread_delete.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"
#include "work/work.h"

enum {
	SEQ,
	THREAD,
	ID,
	THREAD_ID,
	ASSISTANT_ID,
	TENANT,
	HOLDER,
	STATUS,
	CREATED_AT,
	EXPIRES_AT,
	STARTED_AT,
	ENDED_AT,
	LAST_ERROR,
	REASON,
	USAGE,
	BODY,
	LEASE_UNTIL,
	REQUIRED_ACTION,
	METADATA
};
#define SELECT                                                                                     \
	"SELECT r.seq, r.thread, r.id, t.id, r.assistant_id, t.tenant, w.holder, r.status, "       \
	"r.created_at, r.expires_at, r.started_at, r.ended_at, r.last_error, "                     \
	"r.incomplete_reason, r.usage, o.body, w.lease_until, r.required_action, r.metadata "      \
	"FROM runs r JOIN threads t ON t.seq = r.thread "                                          \
	"JOIN run_options o ON o.seq = r.options" WORK_JOIN("run", "r.seq")
#define RANGE "WHERE r.thread = ? AND r.seq > ? AND r.seq < ? ORDER BY r.seq"
#define AT_WORK "status IN ('in_progress', 'cancelling')"

const char *const run_status_words[] = {"queued", "in_progress", "requires_action", "cancelling",
    "cancelled", "failed", "completed", "incomplete", "expired", NULL};
const char *const run_reason_words[] = {"max_completion_tokens", "max_prompt_tokens", NULL};
static const char *const error_words[] = {"server_error", "rate_limit_exceeded", NULL};

enum run_status
run_status_of(const char *word)
{
	int status = word_find(run_status_words, word);

	return status < 0 ? RUN_STATUS__MAX : (enum run_status)status;
}

bool
run_status_is_active(enum run_status status)
{
	return status <= RUN_CANCELLING;
}

bool
run_status_is_at_work(enum run_status status)
{
	return status == RUN_IN_PROGRESS || status == RUN_CANCELLING;
}

enum run_reason
run_reason_of(const char *word)
{
	return (enum run_reason)(1 + word_find(run_reason_words, word));
}

static const char *
reason_word(enum run_reason reason)
{
	return reason == RUN_REASON_NONE ? NULL : run_reason_words[reason - 1];
}

struct json_object *
run_error_json(enum run_error error, const char *message)
{
	struct json_object *object = json_new_object();

	json_set_string(object, "code", error_words[error - 1]);
	json_set_string(object, "message", message);
	return object;
}

enum run_error
run_error_of(struct json_object *last_error)
{
	int error = word_find(error_words, json_get_string(last_error, "code"));

	if (!last_error)
		return RUN_ERROR_NONE;
	return error < 0 ? RUN_SERVER_ERROR : (enum run_error)(1 + error);
}

void
run_free(struct run *run)
{
	json_object_put(run->last_error);
	json_object_put(run->usage);
	json_object_put(run->required_action);
	json_object_put(run->body);
	free(run->texts);
	*run = (struct run){0};
}

/* Appends a column's text to the run's texts; NULL for SQL's NULL. */
static const char *
keep_text(struct db_stmt *row, int column, char **at)
{
	const char *text = db_text(row, column);
	size_t size = text ? strlen(text) + 1 : 0;

	if (!text)
		return NULL;
	memcpy(*at, text, size);
	*at += size;
	return *at - size;
}

/* False: no memory, or a row that this program did not write. */
static bool
read_row(struct db_stmt *row, struct run *run)
{
	static const int texts[] = {ID, THREAD_ID, ASSISTANT_ID, TENANT, HOLDER};
	size_t size = 1;
	char *at;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		size += db_is_null(row, texts[i]) ? 0 : strlen(db_text(row, texts[i])) + 1;
	*run = (struct run){
	    .seq = db_int(row, SEQ),
	    .thread = db_int(row, THREAD),
	    .status = run_status_of(db_text(row, STATUS)),
	    .created_at = db_int(row, CREATED_AT),
	    .expires_at = db_int(row, EXPIRES_AT),
	    .started_at = db_int(row, STARTED_AT),
	    .ended_at = db_int(row, ENDED_AT),
	    .reason = run_reason_of(db_text(row, REASON)),
	    .lease_until = db_int(row, LEASE_UNTIL),
	    .texts = malloc(size),
	};
	if (!run->texts)
		memory_fail();
	if (!run->texts || run->status == RUN_STATUS__MAX)
		return false;
	at = run->texts;
	run->id = keep_text(row, ID, &at);
	run->thread_id = keep_text(row, THREAD_ID, &at);
	run->assistant_id = keep_text(row, ASSISTANT_ID, &at);
	run->tenant = keep_text(row, TENANT, &at);
	run->holder = keep_text(row, HOLDER, &at);
	run->last_error = record_json(row, LAST_ERROR);
	run->usage = record_json(row, USAGE);
	run->body = record_json(row, BODY);
	if (!db_is_null(row, METADATA))
		json_set(run->body, "metadata", record_json(row, METADATA));
	run->required_action = record_json(row, REQUIRED_ACTION);
	return true;
}

/* --- as JSON --- */

const char *const run_members[] = {"model", "instructions", "tools", "temperature", "top_p",
    "response_format", "reasoning_effort", "metadata", "max_prompt_tokens", "max_completion_tokens",
    "truncation_strategy", "tool_choice", "parallel_tool_calls", NULL};

static void
set_options(struct json_object *object, const struct run *run)
{
	struct json_object *truncation = json_new_object();

	for (size_t i = 0; run_members[i]; i++)
		json_copy(object, run->body, run_members[i]);
	json_set(object, "tools", tools_shown(run->body));
	json_set(object, "tool_resources", tool_resources_shown(run->body));
	json_set(object, "response_format", response_format_shown(run->body));
	json_default(object, "instructions", json_new_string(""));
	json_default(object, "metadata", json_new_object());
	json_default(object, "temperature", json_new_double(1.0));
	json_default(object, "top_p", json_new_double(1.0));
	json_default(object, "tool_choice", json_new_string("auto"));
	json_default(object, "parallel_tool_calls", json_new_bool(1));
	json_set_string(truncation, "type", "auto");
	json_set(truncation, "last_messages", NULL);
	json_default(object, "truncation_strategy", truncation);
}

static struct json_object *
time_if(bool shown, long long at)
{
	return record_time(shown ? at : 0);
}

struct json_object *
run_json(const struct run *run)
{
	struct json_object *object = json_new_object(), *details = NULL;
	bool incomplete = run->status == RUN_INCOMPLETE;
	bool active = run_status_is_active(run->status);

	if (incomplete) {
		details = json_new_object();
		/* The API has no reason here for a content filter; the message has it. */
		if (run->reason != RUN_REASON_NONE)
			json_set_string(details, "reason", reason_word(run->reason));
	}
	json_set_string(object, "id", run->id);
	json_set_string(object, "object", "thread.run");
	json_set_int(object, "created_at", run->created_at);
	json_set_string(object, "assistant_id", run->assistant_id);
	json_set_string(object, "thread_id", run->thread_id);
	json_set_string(object, "status", run_status_words[run->status]);
	json_set(object, "started_at", record_time(run->started_at));
	json_set(
	    object, "expires_at", time_if(active || run->status == RUN_EXPIRED, run->expires_at));
	json_set(object, "cancelled_at", time_if(run->status == RUN_CANCELLED, run->ended_at));
	json_set(object, "failed_at", time_if(run->status == RUN_FAILED, run->ended_at));
	json_set(object, "completed_at",
	    time_if(incomplete || run->status == RUN_COMPLETED, run->ended_at));
	json_set(object, "required_action", json_object_get(run->required_action));
	json_set(object, "last_error", json_object_get(run->last_error));
	json_set(object, "incomplete_details", details);
	/* It is counted each round, but shown only when the run is over. */
	json_set(object, "usage", active ? NULL : json_object_get(run->usage));
	set_options(object, run);
	return object;
}

bool
run_of_json(struct json_object *object, struct run *run)
{
	struct json_object *details = json_get(object, "incomplete_details");

	*run = (struct run){
	    .id = json_get_string(object, "id"),
	    .thread_id = json_get_string(object, "thread_id"),
	    .status = run_status_of(json_get_string(object, "status")),
	    .reason = run_reason_of(json_get_string(details, "reason")),
	    .last_error = json_object_get(json_get_object(object, "last_error")),
	    .usage = json_object_get(json_get_object(object, "usage")),
	    .required_action = json_object_get(json_get_object(object, "required_action")),
	};
	return run->status != RUN_STATUS__MAX;
}

struct json_object *
run_required_calls(const struct run *run)
{
	return json_get_array(
	    json_get_object(run->required_action, "submit_tool_outputs"), "tool_calls");
}

static struct json_object *
json(struct db_stmt *row)
{
	struct json_object *object;
	struct run run;

	object = read_row(row, &run) ? run_json(&run) : NULL;
	run_free(&run);
	return object;
}

/* --- in the database --- */

const struct record run_record = {
    .list = {SELECT RANGE " LIMIT ?", SELECT RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM runs WHERE id = ? AND thread = ?",
    .json = json,
};

int
run_find(struct db_tx *tx, long long thread, const char *id, long long *seq)
{
	return record_cursor(tx, &run_record, id, &(struct owner){.seq = thread}, seq);
}

static int
load(struct db_stmt *stmt, long long key, struct run *run)
{
	enum db_result result;

	*run = (struct run){0};
	db_bind_int(stmt, 1, key);
	result = db_step(stmt);
	if (result == DB_ROW && !read_row(stmt, run))
		result = DB_ERROR;
	return db_finish(stmt, result);
}

int
run_load(struct db_tx *tx, long long seq, struct run *run)
{
	return load(db_prepare(tx, SELECT "WHERE r.seq = ?"), seq, run);
}

int
run_load_active(struct db_tx *tx, long long thread, struct run *run)
{
	return load(db_prepare(tx, SELECT "WHERE r.thread = ? AND " RUN_ACTIVE("r.")), thread, run);
}

/* Whether the run is work: held by a process, or queued. */
static bool
is_work(const struct run *run)
{
	return run->status == RUN_QUEUED || run_status_is_at_work(run->status);
}

int
run_insert(struct db_tx *tx, struct run *run)
{
	struct db_stmt *stmt;
	long long options;
	int inserted;

	if (run_options_store(tx, run->body, &options) < 0)
		return -1;
	stmt = db_prepare(tx,
	    "INSERT INTO runs (id, thread, assistant_id, created_at, expires_at, started_at, "
	    "status, options, metadata, ended_at, last_error, incomplete_reason, usage) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq");
	db_bind_text(stmt, 1, run->id);
	db_bind_int(stmt, 2, run->thread);
	db_bind_text(stmt, 3, run->assistant_id);
	db_bind_int(stmt, 4, run->created_at);
	db_bind_int(stmt, 5, run->expires_at);
	db_bind_time(stmt, 6, run->started_at);
	db_bind_text(stmt, 7, run_status_words[run->status]);
	db_bind_int(stmt, 8, options);
	record_bind_json(stmt, 9, json_get(run->body, "metadata"));
	db_bind_time(stmt, 10, run->ended_at);
	record_bind_json(stmt, 11, run->last_error);
	db_bind_text(stmt, 12, reason_word(run->reason));
	record_bind_json(stmt, 13, run->usage);
	inserted = record_number(stmt, &run->seq);
	if (inserted == 0 && run_options_release(tx, options) < 0)
		return -1;
	return inserted == 1 && is_work(run) ? work_put(tx, WORK_RUN, run->seq, run->holder)
					     : inserted;
}

int
run_begin(struct db_tx *tx, struct run *run, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, started_at = ?, required_action = NULL WHERE seq = ? AND "
	    "(status = 'in_progress' OR status = 'requires_action')");
	int begun;

	run->status = holder ? RUN_IN_PROGRESS : RUN_QUEUED;
	if (holder && !run->started_at)
		run->started_at = clock_unix();
	json_object_put(run->required_action);
	run->required_action = NULL;
	run->holder = holder;
	db_bind_text(stmt, 1, run_status_words[run->status]);
	db_bind_time(stmt, 2, run->started_at);
	db_bind_int(stmt, 3, run->seq);
	begun = db_execute(stmt);
	return begun == 1 ? work_put(tx, WORK_RUN, run->seq, holder) : begun;
}

/* 1; 0: the run is no longer queued; -1: failed. */
static int
take_up(struct db_tx *tx, long long seq)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = 'in_progress', started_at = coalesce(started_at, ?) "
	    "WHERE seq = ? AND status = 'queued'");

	db_bind_int(stmt, 1, clock_unix());
	db_bind_int(stmt, 2, seq);
	return db_execute(stmt);
}

int
run_claim(struct db_tx *tx, const char *holder, struct run *run)
{
	long long seq;
	int found, taken = 0;

	while ((found = work_claim(tx, WORK_RUN, holder, &seq)) == 1 &&
	    (taken = take_up(tx, seq)) == 0)
		if (work_drop(tx, WORK_RUN, seq) < 0)
			return -1;
	if (found != 1)
		return found;
	return taken == 1 ? run_load(tx, seq, run) : -1;
}

int
run_end(struct db_tx *tx, const struct run *run, bool held)
{
	struct db_stmt *stmt;
	int ended = held ? work_keep(tx, WORK_RUN, run->seq, run->holder)
			 : work_done(tx, WORK_RUN, run->seq, run->holder);

	if (ended != 1)
		return ended;
	stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, ended_at = ?, last_error = ?, incomplete_reason = ?, "
	    "usage = ?, required_action = ? WHERE seq = ? AND " AT_WORK);
	db_bind_text(stmt, 1, run_status_words[run->status]);
	db_bind_time(stmt, 2, run->ended_at);
	record_bind_json(stmt, 3, run->last_error);
	db_bind_text(stmt, 4, reason_word(run->reason));
	record_bind_json(stmt, 5, run->usage);
	record_bind_json(stmt, 6, run->required_action);
	db_bind_int(stmt, 7, run->seq);
	ended = db_execute(stmt);
	if (ended == 1 && !run_status_is_active(run->status))
		db_count(tx, METRIC_RUNS, run_status_words[run->status]);
	return ended;
}

int
run_look_up_status(struct db_tx *tx, long long seq, enum run_status *status)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT status FROM runs WHERE seq = ?");
	enum db_result result;

	db_bind_int(stmt, 1, seq);
	result = db_step(stmt);
	if (result == DB_ROW)
		*status = run_status_of(db_text(stmt, 0));
	return db_finish(stmt, result);
}

int
run_cancel(struct db_tx *tx, struct run *run, bool at_work)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, ended_at = ?, required_action = NULL "
	    "WHERE seq = ? AND " RUN_ACTIVE(""));
	int cancelled;

	run->status = at_work ? RUN_CANCELLING : RUN_CANCELLED;
	run->ended_at = at_work ? 0 : clock_unix();
	json_object_put(run->required_action);
	run->required_action = NULL;
	db_bind_text(stmt, 1, run_status_words[run->status]);
	db_bind_time(stmt, 2, run->ended_at);
	db_bind_int(stmt, 3, run->seq);
	cancelled = db_execute(stmt);
	if (cancelled != 1 || at_work)
		return cancelled;
	db_count(tx, METRIC_RUNS, run_status_words[run->status]);
	return work_drop(tx, WORK_RUN, run->seq) < 0 ? -1 : 1;
}

static int
store_json(struct db_tx *tx, const char *sql, const struct run *run, struct json_object *value)
{
	struct db_stmt *stmt = db_prepare(tx, sql);

	record_bind_json(stmt, 1, value);
	db_bind_int(stmt, 2, run->seq);
	return db_execute(stmt);
}

int
run_store_usage(struct db_tx *tx, const struct run *run)
{
	return store_json(tx, "UPDATE runs SET usage = ? WHERE seq = ?", run, run->usage);
}

int
run_store_metadata(struct db_tx *tx, const struct run *run)
{
	return store_json(
	    tx, "UPDATE runs SET metadata = ? WHERE seq = ?", run, json_get(run->body, "metadata"));
}

/* --- runs that no process executes any more --- */

/* A question that was never asked costs nothing. */
static bool
settle_lost(struct db_tx *tx, const struct budgets *budgets, const char *id, bool taken_up)
{
	return taken_up ? budget_settle_unreported(tx, budgets, id, 0, -1)
			: budget_settle(tx, budgets, id, 0);
}

bool
run_settle_lost(struct db_tx *tx, const struct budgets *budgets, const struct run *run)
{
	return settle_lost(tx, budgets, run->id, run->holder != NULL);
}

/* The columns of a statement that ends runs; the last says whether a holder had begun the run. */
#define ENDED                                                                                      \
	" RETURNING status, seq, id, EXISTS (SELECT 1 FROM work WHERE kind = 'run' "               \
	"AND subject = runs.seq AND holder IS NOT NULL)"

/* Runs such a statement; counts and settles each run. Returns how many; -1: failed. */
static int
end_runs(struct db_tx *tx, const struct budgets *budgets, struct db_stmt *stmt)
{
	enum db_result result;
	bool settled = true;
	int ended = 0;

	while (settled && (result = db_step(stmt)) == DB_ROW) {
		enum run_status status = run_status_of(db_text(stmt, 0));

		if (status != RUN_STATUS__MAX)
			db_count(tx, METRIC_RUNS, run_status_words[status]);
		settled = settle_lost(tx, budgets, db_text(stmt, 2), db_int(stmt, 3)) &&
		    work_drop(tx, WORK_RUN, db_int(stmt, 1)) >= 0;
		ended++;
	}
	return db_finish(stmt, settled ? result : DB_ERROR) == DB_DONE ? ended : -1;
}

int
run_end_overdue(struct db_tx *tx, const struct budgets *budgets, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE status WHEN 'cancelling' THEN 'cancelled' "
	    "ELSE 'expired' END, required_action = NULL, ended_at = ? WHERE thread = ? "
	    "AND " RUN_ACTIVE("") " AND expires_at < ?" ENDED);
	long long now = clock_unix();

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, now);
	return end_runs(tx, budgets, stmt) < 0 ? -1 : 0;
}

int
runs_end_abandoned(struct db_tx *tx, const struct budgets *budgets, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' "
	    "WHEN expires_at < ? THEN 'expired' ELSE 'failed' END, ended_at = ?, "
	    "last_error = CASE WHEN status <> 'cancelling' AND expires_at >= ? THEN ? END, "
	    "required_action = NULL WHERE " RUN_ACTIVE("") " AND seq IN " WORK_HELD("run") ENDED);
	struct json_object *error =
	    run_error_json(RUN_SERVER_ERROR, "The server stopped while it carried this run out.");
	long long now = clock_unix();

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, now);
	db_bind_int(stmt, 3, now);
	record_bind_json(stmt, 4, error);
	db_bind_text(stmt, 5, holder);
	json_object_put(error);
	return end_runs(tx, budgets, stmt);
}

/* --- export --- */

const char run_export_sql[] = SELECT "WHERE t.tenant <> " REMOVED_TENANT " ORDER BY r.seq";

struct json_object *
run_exported(struct db_stmt *row)
{
	struct json_object *object = NULL, *stored;
	struct run run;

	if (read_row(row, &run)) {
		object = run_json(&run);
		/* Also for a run that is not over: it will be, once it is imported. */
		json_set(object, "usage", json_object_get(run.usage));
		stored = json_new_object();
		json_set(stored, "body", json_object_get(run.body));
		json_set_int(stored, "expires_at", run.expires_at);
		json_set_int(stored, "ended_at", run.ended_at);
		json_set_string(object, "tenant", run.tenant);
		json_set(object, "stored", stored);
	}
	run_free(&run);
	return object;
}
