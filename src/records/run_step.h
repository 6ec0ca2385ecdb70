/*
 * A run's step: it writes a message, or calls tools and waits for what they answer.
 */
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
	 * Of answered calls: the thread in whose conversation they stand, and behind which of its
	 * messages (0: before the first). Thread 0: they stand in none.
	 */
	long long thread, after;
	enum run_step_status status;
	long long created_at, ended_at; /* 0: not yet */
	long long expires_at;           /* with its run */
	struct json_object *details;    /* the API's step_details */
	struct json_object *last_error; /* NULL: none */
	struct json_object *usage;      /* NULL: unknown */
	struct json_object *items;      /* of calls, see model_request.context; NULL: none */
	/* Of calls: the answer of the model that made them, as its number in the run. 0: no other
	   step has calls of the same answer. */
	long long round;
	struct json_object *told; /* of a hosted tool's calls, see conversation.h; NULL: none */
};

/* The API's object; the caller's to put. */
struct json_object *run_step_json(const struct run_step *step);

extern const struct record run_step_record;

/* 1 inserted, 0 its id is there already, -1 failed. */
int run_step_insert(struct db_tx *tx, const struct run_step *step);

/* The step that a run waits with. */
struct open_step {
	char id[64];
	long long created_at;
	struct json_object *details, *usage; /* the caller's to put */
};

/* 1 found, 0 not, -1 failed. */
int run_step_load_open(struct db_tx *tx, long long run, struct open_step *step);

/* One that was stored in progress has ended: writes status, time, error and details. 1, or -1. */
int run_step_end(struct db_tx *tx, const struct run_step *step);

/* The highest round of a run's steps, 0 for none. 1, or -1 failed. */
int run_steps_round(struct db_tx *tx, long long run, long long *round);

/* All of them, and a row as an export has it. */
extern const char run_step_export_sql[];
struct json_object *run_step_exported(struct db_stmt *row);

/*
 * Where imported calls stand: behind the message `id` of the thread, or, where nothing says, behind
 * what was there when the run began and what it wrote before them. -1: the database failed.
 */
long long run_step_place(struct db_tx *tx, long long thread, const char *id);
long long run_step_guess_place(
    struct db_tx *tx, long long thread, long long run, long long created_at);

#endif
