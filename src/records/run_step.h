/* A step of a run: it writes a message, or calls tools and waits for their outputs. */
#ifndef RECORDS_RUN_STEP_H
#define RECORDS_RUN_STEP_H

#include "records/record.h"

enum run_step_status {
	STEP_IN_PROGRESS,
	STEP_COMPLETED,
	STEP_FAILED,
	STEP_CANCELLED,
	STEP_EXPIRED,
	STEP_STATUS__MAX
};
extern const char *const run_step_status_words[];

enum run_step_type { STEP_MESSAGE, STEP_CALLS };
/* "message_creation" and "tool_calls", the details' `type`. */
extern const char *const run_step_type_words[];

/* Texts and JSON are borrowed. */
struct run_step {
	const char *id, *thread_id, *run_id, *assistant_id;
	long long run; /* its seq */
	/*
	 * Of answered calls: the thread in whose conversation they appear, and the message that
	 * they follow (0: they come before the first). Thread 0: they appear in none.
	 */
	long long thread, after;
	enum run_step_status status;
	long long created_at, ended_at; /* 0: not yet */
	long long expires_at;           /* when its run expires */
	struct json_object *details;    /* the API's step_details */
	struct json_object *last_error; /* NULL: none */
	struct json_object *usage;      /* NULL: unknown */
	struct json_object *items;      /* of calls, see model_entry.items; NULL: none */
	/*
	 * Of calls: the number, in the run, of the model's answer that made them. 0: no other step
	 * has calls of that answer.
	 */
	long long round;
	struct json_object *told; /* of hosted calls, see conversation.h; NULL: none */
};

/* The API's object; the caller releases it. */
struct json_object *run_step_json(const struct run_step *step);

extern const struct record run_step_record;

/* 1: inserted. 0: the id exists already. -1: failed. */
int run_step_insert(struct db_tx *tx, const struct run_step *step);

/* The step whose outputs a run waits for. */
struct open_step {
	char id[64];
	long long created_at;
	struct json_object *details, *usage; /* the caller releases both */
};

/* 1: found. 0: not found. -1: failed. */
int run_step_load_open(struct db_tx *tx, long long run, struct open_step *step);

/*
 * Ends a step that was stored as in progress: writes status, time, error, details and `told`. 1; 0:
 * there is no such step; -1: failed.
 */
int run_step_end(struct db_tx *tx, const struct run_step *step);

/* Reads the highest round of a run's steps into *round; 0: none. Returns 1; -1: failed. */
int run_steps_round(struct db_tx *tx, long long run, long long *round);

/*
 * For an export: the SQL that selects all steps, except those of threads being deleted, and one of
 * its rows as JSON; the caller releases it.
 */
extern const char run_step_export_sql[];
struct json_object *run_step_exported(struct db_stmt *row);

/*
 * The `after` of imported calls: the seq of the thread's message `id`. Without an id: the last
 * message that was there when the run was created, or that the run wrote before `created_at`. 0:
 * none. -1: the database failed.
 */
long long run_step_place(struct db_tx *tx, long long thread, const char *id);
long long run_step_guess_place(
    struct db_tx *tx, long long thread, long long run, long long created_at);

#endif
