/*
 * A run, its messages and its steps, between runs.c, which answers for them, run_store.c, which
 * keeps them, and runner.c, which carries them out. Only for src/assistants/.
 */
#ifndef ASSISTANTS_RUNS_H
#define ASSISTANTS_RUNS_H

#include "assistants/internal.h"

/* Statements that read whole runs. */
#define RUN_COLUMNS                                                                                \
	"r.seq, r.thread, r.id, t.id, r.assistant_id, r.status, r.created_at, "                    \
	"r.expires_at, r.started_at, r.ended_at, r.last_error, r.incomplete_reason, r.usage, "     \
	"r.body, r.lease_holder, r.lease_until, r.required_action, t.tenant"
#define RUN_TABLES "runs r JOIN threads t ON t.seq = r.thread"
#define RUN_SELECT "SELECT " RUN_COLUMNS " FROM " RUN_TABLES " WHERE "
/* As the index runs_active says it, which is found by that. `r`: "", or the table's name with its
 * dot. */
#define RUN_ACTIVE(r)                                                                              \
	"(" r "status = 'queued' OR " r "status = 'in_progress' OR " r                             \
	"status = 'requires_action' OR " r "status = 'cancelling')"

struct run {
	long long seq, thread;
	char *id, *thread_id, *assistant_id, *tenant;
	const char *status; /* a literal */
	long long created_at, expires_at;
	long long started_at, ended_at;      /* 0: not yet */
	struct json_object *last_error;      /* NULL: none */
	const char *incomplete_reason;       /* a literal; NULL: none */
	struct json_object *usage;           /* NULL until it is known */
	struct json_object *required_action; /* NULL: none */
	struct json_object *body; /* model, instructions, tools, … as they were asked */
	char *lease_holder;       /* who carries it out; NULL: nobody */
	long long lease_until;
};

void run_free(struct run *run);

/* The API's run object; the caller's to put. */
struct json_object *run_compose(const struct run *run);

/* The seq of a thread's run. 1 found, 0 not, -1 failed. */
int run_find(struct db_tx *tx, long long thread, const char *id, long long *seq);

/* NULL when there is none, or the database failed. */
struct run *run_load(struct db_tx *tx, long long seq);

/* The run of a row of RUN_SELECT. NULL: out of memory, or a row that no program of ours made. */
struct run *run_of_row(struct db_stmt *row);

/* Whether it is not over yet; whether a model is at work on it. */
bool run_is_active(const struct run *run);
bool run_is_carried_out(const struct run *run);

/*
 * Whether it should be over by now. One that a living process carries out never is: that knows by
 * itself, and a clock that was set tells it nothing.
 */
bool run_is_overdue(struct api *api, const struct run *run);

/* Reserves what the run's next question to the model may cost, as budget_reserve() does. */
enum budget_result run_reserve(
    struct api *api, struct db_tx *tx, const struct run *run, long long *wait_s);

/* Stores a new run, and sets its seq. */
enum db_result run_insert(struct db_tx *tx, struct run *run);

/* It is in_progress from now on, carried out by `holder`; with NULL it is queued. */
enum db_result run_begin(struct db_tx *tx, struct run *run, const char *holder);

/*
 * Cancels an active run. One that is carried out is `cancelling`, and notices within a second;
 * others are over.
 */
enum db_result run_cancel(struct api *api, struct db_tx *tx, struct run *run);

/*
 * Ends the run if it should have ended: polling must not go on for ever. What it is then, in place
 * of `run`; NULL failed. No transaction may be open.
 */
struct run *run_settle(struct api *api, struct run *run);

/* The same for the active run of a thread, before its runs are listed. */
void run_settle_thread(struct api *api, long long thread);

/*
 * This process as one that carries runs out; those of processes that died are ended the first time.
 * NULL: failed, logged. No transaction may be open.
 */
const char *run_holder(struct api *api);

/* Ends the runs of processes of this machine that died. No transaction may be open. */
void runs_bury(struct api *api);

/*
 * Takes the oldest queued run: it is in_progress from now on, and the caller's to carry out. 1 with
 * *run, 0 when none is queued, -1 failed.
 */
int run_claim(struct db_tx *tx, const char *holder, struct run **run);

/* To be called about once a second while a run is carried out: renews the process's leases. */
void runs_renew(struct api *api);

/*
 * Writes status, times, error and usage of a run that was being carried out. `held`: it waits for
 * outputs of its calls, and its holder makes them. 1 done; 0 when it no longer is carried out:
 * deleted with its thread, or ended by somebody who found it overdue; -1 failed.
 */
int run_end(struct db_tx *tx, const struct run *run, bool held);

/*
 * Whether a run that is being carried out still is, as the transaction sees it: 1, which renews its
 * lease; 0 when it was deleted or ended; -1 failed.
 */
int run_renew(struct db_tx *tx, const struct run *run);

/* Whether the run is still to be carried out: nobody cancelled, deleted or ended it. */
bool run_wanted(struct db *db, long long seq);

/* A run's message, also while it is being written. */
struct run_message {
	char id[ID_SIZE];
	long long created_at;
	long long completed_at, incomplete_at; /* 0: not */
	const char *incomplete_reason;         /* NULL: none */
	struct json_object *content;           /* array of content parts; NULL: none yet */
	struct json_object *items;             /* see model_request.context; NULL: none */
};

struct json_object *run_message_compose(const struct run *run, const struct run_message *message);
enum db_result run_message_insert(
    struct db_tx *tx, const struct run *run, const struct run_message *message);

/* A run's step: it writes a message, or waits for what tools answer. */
struct run_step {
	char id[ID_SIZE];
	long long created_at, ended_at; /* 0: not yet */
	const char *status;             /* a literal */
	struct json_object *details;    /* the API's step_details */
	struct json_object *last_error; /* borrowed; NULL: none */
	struct json_object *usage;      /* NULL: unknown */
	struct json_object *items;      /* of calls, see model_request.context; NULL: none */
};

/* Puts what the step owns. */
void run_step_free(struct run_step *step);

struct json_object *run_step_compose(const struct run *run, const struct run_step *step);
enum db_result run_step_insert(
    struct db_tx *tx, const struct run *run, const struct run_step *step);

/* The step that the run waits with. 1 found, 0 not, -1 failed; run_step_free whatever it is. */
int run_step_load_open(struct db_tx *tx, const struct run *run, struct run_step *step);

/* Writes status, end and details. */
enum db_result run_step_end(struct db_tx *tx, const struct run_step *step);

/* The seq of the run that the call's path names. False when there is none: answered. */
bool call_run(struct call *call, struct db_tx *tx, long long *run);

#endif
