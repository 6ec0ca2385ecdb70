/*
 * A run: an assistant at work on a thread.
 */
#ifndef RECORDS_RUN_H
#define RECORDS_RUN_H

#include "records/budget.h"
#include "records/record.h"

/* Up to RUN_CANCELLING they are active: the run is not over, and its thread accepts no other. */
enum run_status {
	RUN_QUEUED,
	RUN_IN_PROGRESS,
	RUN_REQUIRES_ACTION,
	RUN_CANCELLING,
	RUN_CANCELLED,
	RUN_FAILED,
	RUN_COMPLETED,
	RUN_INCOMPLETE,
	RUN_EXPIRED,
	RUN_STATUS__MAX
};
extern const char *const run_status_words[];
/* RUN_STATUS__MAX: unknown word. */
enum run_status run_status_of(const char *word);

bool run_status_is_active(enum run_status status);
/* Whether a run with this status is being executed. */
bool run_status_is_at_work(enum run_status status);

/* Why a run is incomplete. */
enum run_reason { RUN_REASON_NONE, RUN_MAX_COMPLETION_TOKENS, RUN_MAX_PROMPT_TOKENS };
/* The first word is RUN_MAX_COMPLETION_TOKENS'. */
extern const char *const run_reason_words[];
enum run_reason run_reason_of(const char *word);

/* Why a run failed. */
enum run_error { RUN_ERROR_NONE, RUN_SERVER_ERROR, RUN_RATE_LIMIT_EXCEEDED };
/* {code, message}; the caller releases it. */
struct json_object *run_error_json(enum run_error error, const char *message);
/* Unknown codes count as RUN_SERVER_ERROR, NULL as RUN_ERROR_NONE. */
enum run_error run_error_of(struct json_object *last_error);

/* Texts are borrowed; JSON belongs to the run. */
struct run {
	long long seq, thread;
	const char *id, *thread_id, *assistant_id, *tenant;
	enum run_status status;
	long long created_at, expires_at;
	long long started_at, ended_at; /* 0: not yet */
	enum run_reason reason;
	struct json_object *last_error;      /* NULL: none */
	struct json_object *usage;           /* NULL: unknown yet */
	struct json_object *required_action; /* NULL: none */
	struct json_object *body; /* model, instructions, tools, … as the client sent them */
	const char *holder;       /* the process that executes it; NULL: none */
	long long lease_until;
	char *texts; /* memory of a loaded run's texts */
};

/* Frees what the run owns. */
void run_free(struct run *run);

/* The API's object; the caller releases it. */
struct json_object *run_json(const struct run *run);

/*
 * Reads the API's object from another server. Texts are borrowed from it, JSON is referenced: call
 * run_free(). False: its status is unknown.
 */
bool run_of_json(struct json_object *object, struct run *run);

/* The calls whose outputs the run waits for, as the API shows them, borrowed; NULL: none. */
struct json_object *run_required_calls(const struct run *run);

/* The members of the body that the API shows, in its object's order, then NULL. */
extern const char *const run_members[];

extern const struct record run_record;

/* The seq of a thread's run. 1: found. 0: not found. -1: failed. */
int run_find(struct db_tx *tx, long long thread, const char *id, long long *seq);

/* 1: found. 0: not found. -1: failed. Call run_free() in each case. */
int run_load(struct db_tx *tx, long long seq, struct run *run);

/* The same for the active run of a thread. */
int run_load_active(struct db_tx *tx, long long thread, struct run *run);

/*
 * Stores a new run, and sets its seq. 1; 0: the id exists already, or the thread has an active run;
 * -1: failed.
 */
int run_insert(struct db_tx *tx, struct run *run);

/*
 * Puts a run in progress, held by `holder`, or queues it if that is NULL. It must be in progress or
 * wait for outputs. 1; 0: it no longer does; -1: failed.
 */
int run_begin(struct db_tx *tx, struct run *run, const char *holder);

/*
 * Takes the oldest queued run: it is in progress now, and the caller must execute it. 1 with *run;
 * 0: nothing is queued; -1: failed.
 */
int run_claim(struct db_tx *tx, const char *holder, struct run *run);

/*
 * Writes status, times, error and usage of an executed run. `held`: it waits for outputs, and its
 * holder produces them. 1; 0: it is no longer held, because it was deleted with its thread, or a
 * process that found it overdue ended it; -1: failed.
 */
int run_end(struct db_tx *tx, const struct run *run, bool held);

/* Reads the current status. 1 with *status; 0: it was deleted with its thread; -1: failed. */
int run_look_up_status(struct db_tx *tx, long long seq, enum run_status *status);

/*
 * Sets an active run to cancelling, or, if not `at_work`, to cancelled. 1; 0: it is no longer
 * active; -1: failed.
 */
int run_cancel(struct db_tx *tx, struct run *run, bool at_work);

/* Stores the cost so far of a run that continues. 1; 0: there is no such run; -1: failed. */
int run_store_usage(struct db_tx *tx, const struct run *run);

/* Stores the metadata of the body. 1; 0: there is no such run; -1: failed. */
int run_store_metadata(struct db_tx *tx, const struct run *run);

/*
 * Ends the active run of a thread if its time is over: as cancelled if that was asked for, else as
 * expired. Settles its reservation. 0; -1: failed.
 */
int run_end_overdue(struct db_tx *tx, const struct budgets *budgets, long long thread);

/*
 * Ends the active runs of `holder`, which died: as cancelled if that was asked for, expired if
 * their time is over, else failed. Returns how many; -1: failed.
 */
int runs_end_abandoned(struct db_tx *tx, const struct budgets *budgets, const char *holder);

/* Settles the run's reservation, if its cost will never be reported. False: the database failed. */
bool run_settle_lost(struct db_tx *tx, const struct budgets *budgets, const struct run *run);

/*
 * For an export: the SQL that selects all runs, except those of threads being deleted, and one of
 * its rows as JSON; the caller releases it.
 */
extern const char run_export_sql[];
struct json_object *run_exported(struct db_stmt *row);

/* For SQL: whether a run is active, in the words of the index runs_active. `r`: "", or "table.". */
#define RUN_ACTIVE(r)                                                                              \
	"(" r "status = 'queued' OR " r "status = 'in_progress' OR " r                             \
	"status = 'requires_action' OR " r "status = 'cancelling')"

#endif
