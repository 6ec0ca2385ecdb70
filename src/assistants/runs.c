/*
 * Runs: an assistant at work on a thread. Created, retrieved and cancelled here; carried out in
 * runner.c.
 */
#include "assistants/runs.h"

#include "assistants/leases.h"
#include "assistants/runner.h"
#include "util/clock.h"
#include "util/log.h"

#define COLUMNS                                                                                    \
	"r.seq, r.thread, r.id, t.id, r.assistant_id, r.status, r.created_at, r.expires_at, "      \
	"r.started_at, r.ended_at, r.last_error, r.incomplete_reason, r.usage, r.body, "           \
	"r.lease_holder, r.lease_until"
#define SELECT_RUN "SELECT " COLUMNS " FROM runs r JOIN threads t ON t.seq = r.thread WHERE "
#define ACTIVE "status IN ('queued', 'in_progress', 'requires_action', 'cancelling')"
#define CARRIED_OUT "status IN ('in_progress', 'cancelling')"
#define LEN(array) (sizeof(array) / sizeof *(array))

/* Of the API's options, those that are applied. */
static const struct field fields[] = {
    {"assistant_id", FIELD_STRING, true, 0, 0, NULL},
    {"additional_messages", FIELD_ARRAY, false, 0, 0, NULL},
    {"stream", FIELD_BOOLEAN, false, 0, 0, NULL},
    {"model", FIELD_STRING, false, 1, 256, NULL},
    {"instructions", FIELD_STRING, false, 0, 256000, NULL},
    {"tools", FIELD_ARRAY, false, 0, 20, NULL},
    {"metadata", FIELD_METADATA, false, 0, 0, NULL},
    {"temperature", FIELD_NUMBER, false, 0, 2, NULL},
    {"top_p", FIELD_NUMBER, false, 0, 1, NULL},
    {"max_completion_tokens", FIELD_INTEGER, false, 256, 1e9, NULL},
    {"tool_choice", FIELD_STRING | FIELD_OBJECT, false, 0, 0, NULL},
    {"parallel_tool_calls", FIELD_BOOLEAN, false, 0, 0, NULL},
    {"response_format", FIELD_STRING | FIELD_OBJECT, false, 0, 0, NULL},
    {"reasoning_effort", FIELD_STRING, false, 0, 0, reasoning_efforts},
};

/*
 * Statuses come from the database as text, and live on as literals. The first four are active ones.
 */
static const char *const statuses[] = {"queued", "in_progress", "requires_action", "cancelling",
    "cancelled", "failed", "completed", "incomplete", "expired"};

/* What a run takes from its assistant unless it says otherwise, and what it has of its own. */
static const char *const inherited[] = {"model", "instructions", "tools", "temperature", "top_p",
    "response_format", "reasoning_effort"};
static const char *const own[] = {
    "metadata", "max_completion_tokens", "tool_choice", "parallel_tool_calls"};

static const char *
literal(const char *const *literals, size_t len, const char *text)
{
	for (size_t i = 0; text && i < len; i++)
		if (strcmp(literals[i], text) == 0)
			return literals[i];
	return NULL;
}

static bool
is_active(const struct run *run)
{
	return literal(statuses, 4, run->status) != NULL;
}

static bool
is_carried_out(const struct run *run)
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
	json_object_put(run->last_error);
	json_object_put(run->usage);
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

static struct run *
run_of_row(struct db_stmt *row)
{
	static const char *const reasons[] = {"max_completion_tokens", "max_prompt_tokens"};
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return NULL;
	run->seq = db_int(row, 0);
	run->thread = db_int(row, 1);
	run->id = copy_text(row, 2);
	run->thread_id = copy_text(row, 3);
	run->assistant_id = copy_text(row, 4);
	run->status = literal(statuses, LEN(statuses), db_text(row, 5));
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
	if (run->id && run->thread_id && run->assistant_id && run->status)
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

static void
compose_options(struct json_object *object, const struct run *run)
{
	struct json_object *truncation = json_object_new_object();

	for (size_t i = 0; i < LEN(inherited); i++)
		copy_member(object, run->body, inherited[i]);
	for (size_t i = 0; i < LEN(own); i++)
		copy_member(object, run->body, own[i]);
	set_default(object, "instructions", json_object_new_string(""));
	set_default(object, "tools", json_object_new_array());
	set_default(object, "metadata", json_object_new_object());
	set_default(object, "temperature", json_object_new_double(1.0));
	set_default(object, "top_p", json_object_new_double(1.0));
	set_default(object, "tool_choice", json_object_new_string("auto"));
	set_default(object, "response_format", json_object_new_string("auto"));
	set_default(object, "parallel_tool_calls", json_object_new_boolean(1));
	json_set(object, "max_prompt_tokens", NULL);
	json_set_string(truncation, "type", "auto");
	json_set(truncation, "last_messages", NULL);
	json_set(object, "truncation_strategy", truncation);
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
	    time_if(is_active(run) || strcmp(run->status, "expired") == 0, run->expires_at));
	json_set(
	    object, "cancelled_at", time_if(strcmp(run->status, "cancelled") == 0, run->ended_at));
	json_set(object, "failed_at", time_if(strcmp(run->status, "failed") == 0, run->ended_at));
	json_set(object, "completed_at", time_if(completed, run->ended_at));
	json_set(object, "required_action", NULL);
	json_set(object, "last_error", json_object_get(run->last_error));
	json_set(object, "incomplete_details", details);
	json_set(object, "usage", json_object_get(run->usage));
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
	struct db_stmt *stmt = db_prepare(tx, SELECT_RUN "r.seq = ?");
	enum db_result result;
	struct run *run = NULL;

	db_bind_int(stmt, 1, seq);
	result = db_step(stmt);
	if (result == DB_ROW)
		run = run_of_row(stmt);
	db_finish(stmt, result);
	return run;
}

/* Ends what should have ended: whoever carried it out will find that it is too late. */
static enum db_result
end_overdue(struct db_tx *tx, long long thread)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE status WHEN 'cancelling' THEN "
	    "'cancelled' ELSE 'expired' END, "
	    "ended_at = ? WHERE thread = ? AND " ACTIVE " AND expires_at < ?");
	long long now = clock_unix();

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, thread);
	db_bind_int(stmt, 3, now);
	return db_finish(stmt, db_step(stmt));
}

/* Ends all the runs of a process that died. */
static enum db_result
end_abandoned(struct db_tx *tx, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' "
	    "WHEN expires_at < ? THEN 'expired' ELSE 'failed' END, ended_at = ?, "
	    "last_error = CASE WHEN status = 'in_progress' AND expires_at >= ? THEN ? END "
	    "WHERE lease_holder = ? AND " CARRIED_OUT);
	long long now = clock_unix();
	enum db_result result;

	db_bind_int(stmt, 1, now);
	db_bind_int(stmt, 2, now);
	db_bind_int(stmt, 3, now);
	db_bind_text(stmt, 4,
	    "{\"code\": \"server_error\", \"message\": \"The server stopped while it carried "
	    "this run out.\"}");
	db_bind_text(stmt, 5, holder);
	result = db_finish(stmt, db_step(stmt));
	if (result == DB_DONE && db_changes(tx) > 0)
		log_info(
		    "a program died: %lld runs that it carried out were ended", db_changes(tx));
	return result;
}

static int
on_dead(void *arg, const char *holder)
{
	struct api *api = arg;
	struct db_tx *tx = db_begin(api->db, DB_WRITE);

	if (tx && end_abandoned(tx, holder) == DB_DONE)
		return db_commit(tx);
	db_rollback(tx);
	return -1;
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
	stmt = db_prepare(
	    tx, "UPDATE runs SET lease_until = ? WHERE lease_holder = ? AND " CARRIED_OUT);
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
	return run->lease_holder && is_carried_out(run) &&
	    leases_are_over(api->leases, run->lease_holder, run->lease_until);
}

/* The thread's active run; NULL with *failed when the database did. */
static struct run *
load_active(struct db_tx *tx, long long thread, bool *failed)
{
	struct db_stmt *stmt = db_prepare(tx, SELECT_RUN "r.thread = ? AND r." ACTIVE);
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
	struct run *run = NULL;
	bool failed = end_overdue(tx, thread) != DB_DONE;
	int result;

	if (!failed)
		run = load_active(tx, thread, &failed);
	result = failed ? -1 : run != NULL;
	if (run && is_abandoned(api, run))
		result = end_abandoned(tx, run->lease_holder) == DB_DONE ? 0 : -1;
	else if (run)
		snprintf(id, ID_SIZE, "%s", run->id);
	run_free(run);
	return result;
}

int
run_claim(struct db_tx *tx, const char *holder, struct run **run)
{
	struct db_stmt *stmt =
	    db_prepare(tx, SELECT_RUN "r.status = 'queued' ORDER BY r.seq LIMIT 1");
	enum db_result result = db_step(stmt);

	*run = result == DB_ROW ? run_of_row(stmt) : NULL;
	db_finish(stmt, result);
	if (result != DB_ROW)
		return result;
	if (!*run)
		return -1;
	(*run)->status = "in_progress";
	(*run)->started_at = clock_unix();
	stmt = db_prepare(tx,
	    "UPDATE runs SET status = 'in_progress', started_at = ?, lease_holder = ?, "
	    "lease_until = ? WHERE seq = ?");
	db_bind_int(stmt, 1, (*run)->started_at);
	db_bind_text(stmt, 2, holder);
	db_bind_int(stmt, 3, (*run)->started_at + LEASE_S);
	db_bind_int(stmt, 4, (*run)->seq);
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		return 1;
	run_free(*run);
	*run = NULL;
	return -1;
}

int
run_end(struct db_tx *tx, const struct run *run)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE runs SET status = ?, ended_at = ?, last_error = ?, "
	    "incomplete_reason = ?, usage = ? "
	    "WHERE seq = ? AND " CARRIED_OUT);

	db_bind_text(stmt, 1, run->status);
	db_bind_int(stmt, 2, run->ended_at);
	db_bind_text(stmt, 3, run->last_error ? json_text(run->last_error) : NULL);
	db_bind_text(stmt, 4, run->incomplete_reason);
	db_bind_text(stmt, 5, run->usage ? json_text(run->usage) : NULL);
	db_bind_int(stmt, 6, run->seq);
	if (db_finish(stmt, db_step(stmt)) != DB_DONE)
		return -1;
	return db_changes(tx) > 0;
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

/* What the run will be carried out with: its own words, or else its assistant's. */
static struct json_object *
options_of(struct json_object *body, struct json_object *assistant)
{
	struct json_object *options = json_object_new_object();

	for (size_t i = 0; i < LEN(inherited); i++)
		copy_member(options, json_get(body, inherited[i]) ? body : assistant, inherited[i]);
	for (size_t i = 0; i < LEN(own); i++)
		copy_member(options, body, own[i]);
	return options;
}

static enum db_result
insert(struct db_tx *tx, struct run *run)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO runs (id, thread, assistant_id, "
	    "created_at, expires_at, started_at, status, body, lease_holder, lease_until) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
	result = db_finish(stmt, db_step(stmt));
	run->seq = db_insert_seq(tx);
	return result;
}

/*
 * The new run, not yet stored. With a holder it is in_progress at once, carried out by who creates
 * it.
 */
static struct run *
run_new(struct call *call, long long thread, struct json_object *body,
    struct json_object *assistant, const char *holder)
{
	struct run *run = calloc(1, sizeof *run);
	char id[ID_SIZE];

	if (!run)
		return NULL;
	id_new(id, "run_");
	run->id = strdup(id);
	run->thread = thread;
	run->thread_id = strdup(call->params[0]);
	run->assistant_id = strdup(json_get_string(body, "assistant_id"));
	run->created_at = clock_unix();
	run->expires_at = run->created_at + call->api->run_timeout_s;
	run->started_at = holder ? run->created_at : 0;
	run->status = holder ? "in_progress" : "queued";
	run->body = options_of(body, assistant);
	run->lease_holder = holder ? strdup(holder) : NULL;
	run->lease_until = holder ? run->created_at + LEASE_S : 0;
	if (run->id && run->thread_id && run->assistant_id && (run->lease_holder || !holder))
		return run;
	run_free(run);
	return NULL;
}

/* Thread and assistant as the call names them. False when it was answered. */
static bool
find_owners(struct call *call, struct db_tx *tx, const char *assistant_id, long long *thread,
    struct json_object **assistant)
{
	const char *tenant = call->request->tenant;
	int found = thread_find(tx, tenant, call->params[0], thread);

	if (found == 0)
		refuse_unknown(call, "thread", "thread", call->params[0]);
	if (found == 1) {
		found = assistant_load(tx, tenant, assistant_id, assistant);
		if (found == 0)
			refuse_unknown(call, "assistant", "asst", assistant_id);
	}
	if (found < 0)
		fail(call);
	return found == 1;
}

/* One transaction: the messages, and the run that locks the thread. NULL when it was answered. */
static struct run *
store_run(struct call *call, struct json_object *body, bool streams)
{
	const char *holder = streams ? run_holder(call->api) : NULL;
	struct db_tx *tx = streams && !holder ? NULL : db_begin(call->api->db, DB_WRITE);
	struct json_object *assistant = NULL;
	struct run *run = NULL;
	char active_id[ID_SIZE];
	long long thread;
	int active, result = -1;

	if (!tx) {
		fail(call);
		return NULL;
	}
	if (!find_owners(call, tx, json_get_string(body, "assistant_id"), &thread, &assistant))
		goto out;
	active = run_active(call->api, tx, thread, active_id);
	if (active == 1) {
		refuse(call, NULL, "Thread %s already has an active run %s.", call->params[0],
		    active_id);
		goto out;
	}
	run = run_new(call, thread, body, assistant, holder);
	if (active == 0 && run &&
	    messages_insert(tx, thread, json_get(body, "additional_messages")) == DB_DONE &&
	    insert(tx, run) == DB_DONE) {
		result = db_commit(tx);
		tx = NULL;
	}
	if (result < 0)
		fail(call);
out:
	db_rollback(tx);
	json_object_put(assistant);
	if (result == 0)
		return run;
	run_free(run);
	return NULL;
}

void
runs_create(struct call *call)
{
	struct json_object *body = body_object(call);
	struct run *run = NULL;
	bool streams;

	if (!body || !check_fields(call, body, fields, LEN(fields), "") ||
	    !check_tools(call, json_get(body, "tools")) ||
	    !messages_check(call, json_get(body, "additional_messages"), "additional_messages"))
		goto out;
	streams = json_object_get_boolean(json_get(body, "stream"));
	if (streams && !call->request->on_event) {
		refuse(call, "stream", "Streams are not served here.");
		goto out;
	}
	run = store_run(call, body, streams);
	if (run && streams) {
		call->response->retry_after_s = runner_stream(call->api, run, call->request);
		answer(call, 200, NULL);
	} else if (run) {
		answer(call, 200, run_compose(run));
		runner_wake(call->api->runner);
	}
out:
	run_free(run);
	json_object_put(body);
}

/* The call's run. NULL when it was answered. */
static struct run *
find_run(struct call *call, struct db_tx *tx)
{
	long long thread, seq = 0;
	struct run *run = NULL;
	int found = thread_find(tx, call->request->tenant, call->params[0], &thread);

	if (found == 0) {
		refuse_unknown(call, "thread", "thread", call->params[0]);
		return NULL;
	}
	if (found == 1)
		found = run_find(tx, thread, call->params[1], &seq);
	if (found == 0) {
		refuse_unknown(call, "run", "run", call->params[1]);
		return NULL;
	}
	if (found == 1)
		run = run_load(tx, seq);
	if (!run)
		fail(call);
	return run;
}

/*
 * Ends the run if it should have ended: polling must not go on for ever. What it is then; NULL
 * failed.
 */
static struct run *
settle(struct api *api, struct run *run)
{
	struct run *settled = NULL;
	char active_id[ID_SIZE];
	struct db_tx *tx;

	if (!is_active(run) || (run->expires_at >= clock_unix() && !is_abandoned(api, run)))
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

void
runs_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	struct run *run;

	if (!tx) {
		fail(call);
		return;
	}
	run = find_run(call, tx);
	db_rollback(tx);
	if (!run)
		return;
	run = settle(call->api, run);
	if (run)
		answer(call, 200, run_compose(run));
	else
		fail(call);
	run_free(run);
}

/* A run that is carried out notices within a second; others are ended right here. */
static enum db_result
update_cancelled(struct api *api, struct db_tx *tx, struct run *run)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "UPDATE runs SET status = ?, ended_at = ? WHERE seq = ?");
	bool carried_out = is_carried_out(run) && !is_abandoned(api, run);

	run->status = carried_out ? "cancelling" : "cancelled";
	run->ended_at = carried_out ? 0 : clock_unix();
	db_bind_text(stmt, 1, run->status);
	db_bind_time(stmt, 2, run->ended_at);
	db_bind_int(stmt, 3, run->seq);
	return db_finish(stmt, db_step(stmt));
}

void
runs_cancel(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	struct run *run;

	if (!tx) {
		fail(call);
		return;
	}
	run = find_run(call, tx);
	if (run && !is_active(run)) {
		refuse(call, NULL, "Cannot cancel run with status '%s'.", run->status);
	} else if (run) {
		int result = -1;

		if (update_cancelled(call->api, tx, run) == DB_DONE) {
			result = db_commit(tx);
			tx = NULL;
		}
		if (result == 0)
			answer(call, 200, run_compose(run));
		else
			fail(call);
	}
	db_rollback(tx);
	run_free(run);
}
