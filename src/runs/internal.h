/* The state of a run while it is executed. Only for src/runs/. */
#ifndef RUNS_INTERNAL_H
#define RUNS_INTERNAL_H

#include "runs/runs.h"
#include "text/buf.h"

/* At most one step is open: one that writes a message, or one with calls. */
struct execution {
	struct runs *runs;
	struct run *run;
	const struct listener *listener; /* NULL: none */
	struct interrupt interrupt;      /* passed to the model */
	long long begun_us;              /* by metrics_clock() */
	long long checked_ms;  /* when the database was last asked whether it is still wanted */
	long long deadline_ms; /* when the run expires, by clock_ms() */
	bool answers_calls;    /* the listener does */
	bool interrupted;      /* the interrupt was raised */
	/* The open message. */
	bool open;
	bool written; /* it is complete, and waits to be stored */
	bool first_delta;
	bool step_stored; /* the open step of calls is stored, as in progress */
	char message_id[ID_SIZE], step_id[ID_SIZE];
	struct message message;
	struct buf partial; /* its text so far, in case it stays incomplete */
	/* The open step. */
	struct run_step step;
	struct json_object
	    *calls; /* the API's tool_calls, if the step is one of calls; NULL: none */
	struct json_object *options; /* the run's, as the model is sent them */
	/* For runs with hosted tools. */
	struct json_object
	    *called;     /* the answer's calls, as functions, not reported yet; NULL: none */
	long long round; /* number of the next answer, from 1; from the database */
	bool hosts;
	/* What the model has said, and what that costs. */
	bool spoken;        /* the model has begun to answer */
	bool stored;        /* a message or hosted calls are stored: the run cannot start over */
	bool limited;       /* the model was sent a limit above BUDGET_ANSWER_MIN */
	bool cautious;      /* BUDGET_ANSWER_MIN is sent as the limit */
	bool counted;       /* the last answer's cost is in the run's usage */
	size_t told, said;  /* bytes sent to the model in the last question, and received */
	long long asked_ms; /* when the model was asked, by clock_ms(); 0: it was not */
	long long cost;     /* tokens; -1: unknown */
	long long written_tokens; /* by the model, as far as it is known */
};

/* --- answer.c: what the model says, reported and stored --- */

/* Fills in the request's callbacks. */
void answer_listen(struct execution *execution, struct model_request *request);

/* Stores the open message and its step as they are. 1; -1: failed. */
int answer_store_message(struct execution *execution, struct db_tx *tx);

/* Opens a step with these calls; takes them over. */
void answer_open_calls(struct execution *execution, struct json_object *calls);

/* Opens a step with calls that arrived whole, and reports them; borrows `calls`. */
void answer_tell_calls(struct execution *execution, struct json_object *calls);

/* Reports that a hosted call of the open step begins. */
void answer_tell_hosted_call(struct execution *execution, int index, struct json_object *call);

/* Reports how the open message or step ended, and closes it. */
void answer_close_message(struct execution *execution);
void answer_close_calls(struct execution *execution);

/* Report the run, or the open step. */
void answer_tell_run(struct execution *execution, enum event_kind kind);
void answer_tell_step(struct execution *execution, enum event_kind kind);

/* --- hosted_calls.c: calls of hosted tools --- */

/*
 * Runs the hosted ones among a completed answer's calls. True: all calls were hosted, and the model
 * is to be asked again. False: the run ends, or waits for the other calls, as `result` says.
 */
bool hosted_calls_run(struct execution *execution, struct model_result *result);

/* --- end.c: how a round ends --- */

/* Adds the cost of the model's answer to the run, its open step and the budget; only once. */
void end_add_usage(struct execution *execution, struct model_result *result);

/* Settles the budget with that cost. False: the database failed. */
bool end_pay(const struct execution *execution, struct db_tx *tx);

/*
 * Stores something of a run. While the database is busy it tries again, until the run expires or
 * the program ends: the answer was paid for, and only this process can free the thread. `work` gets
 * a struct storing, and is repeated while it returns false. 1: stored. 0: this process no longer
 * holds the run. -1: failed.
 */
struct storing {
	struct execution *execution;
	int stored; /* 1, 0, -1, as above; set by `work` */
};
int end_store(struct execution *execution, db_work_fn *work);

/* Ends the run, or lets it wait for outputs of its calls, as the model's answer says. */
void end_round(struct execution *execution, struct model_result *result);

/*
 * The program is ending before the answer is there. Queues the run again if it has no listener and
 * nothing of it is stored. False: it must end here.
 */
bool end_put_back(struct execution *execution);

/*
 * Whether the run is still wanted: it was not cancelled, deleted or ended elsewhere. True if the
 * database failed.
 */
bool end_is_wanted(const struct execution *execution);

/* The run's status in the database; RUN_STATUS__MAX: it was deleted, or the database failed. */
enum run_status end_status_now(const struct execution *execution);

#endif
