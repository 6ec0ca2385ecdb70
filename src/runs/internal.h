/*
 * A run on its way, as the files that carry it out share it. Only for src/runs/.
 */
#ifndef RUNS_INTERNAL_H
#define RUNS_INTERNAL_H

#include "runs/runs.h"
#include "text/buf.h"

/* At most one step is open: one that writes a message, or one of calls. */
struct execution {
	struct runs *runs;
	struct run *run;
	const struct listener *listener; /* NULL: nobody */
	struct interrupt interrupt;      /* what the model is asked with */
	long long begun_us;              /* metrics_clock()'s */
	long long checked_ms; /* when the database was last asked whether the run is still wanted */
	long long deadline_ms; /* when the run expires, by clock_ms() */
	bool answers_calls;    /* the listener does */
	bool interrupted;      /* the interrupt was raised */
	/* The open message. */
	bool open;
	bool written; /* it is whole, and waits to be stored */
	bool first_delta;
	bool step_stored; /* the open step of calls is, as in progress */
	char message_id[ID_SIZE], step_id[ID_SIZE];
	struct message message;
	struct buf partial; /* what came so far of it, if it stays unfinished */
	/* The open step. */
	struct run_step step;
	struct json_object *calls;   /* the API's tool_calls, when they are the step; NULL: none */
	struct json_object *options; /* the run's, as the model is told them */
	/* Where some of its tools are hosted. */
	struct json_object *called; /* the answer's calls, as functions, not told; NULL: none */
	long long round;            /* of the answer that comes next, from 1; from the database */
	bool hosts;
	/* What was said, and what it costs. */
	bool spoken;        /* the model has said its first word */
	bool stored;        /* a message is: the run cannot begin anew */
	bool limited;       /* the model was sent what is left as its limit, and that is much */
	bool cautious;      /* it is sent the least instead */
	bool counted;       /* what the last answer cost is in the run's usage */
	size_t told, said;  /* bytes that the model was told the last time, and said then */
	long long asked_ms; /* when the model was, by clock_ms(); 0: it was not */
	long long cost;     /* tokens; -1: nobody has said */
	long long written_tokens; /* by the model, as far as it is known */
};

/* --- answer.c: what the model says, told as it comes --- */

/* Fills in the request's callbacks. */
void answer_listen(struct execution *execution, struct model_request *request);

/* Stores the open message, and its step, as they are. 1, or -1 failed. */
int answer_store_message(struct execution *execution, struct db_tx *tx);

/* Opens a step of these calls; takes them over. */
void answer_open_calls(struct execution *execution, struct json_object *calls);

/* Opens a step of calls that came whole, and tells them. */
void answer_tell_calls(struct execution *execution, struct json_object *calls);

/* Tells that a hosted tool's call, one of the open step's, begins. */
void answer_tell_hosted_call(struct execution *execution, int index, struct json_object *call);

/* Tells how the open message, or the open step of calls, ended, and forgets it. */
void answer_close_message(struct execution *execution);
void answer_close_calls(struct execution *execution);

/* Tells the run's status. */
void answer_tell_run(struct execution *execution, enum event_kind kind);
void answer_tell_step(struct execution *execution, enum event_kind kind);

/* --- hosted_calls.c: calls of hosted tools --- */

/*
 * Runs those of a completed answer's calls that are. True: all were, and the model is to be asked
 * again. False: the run ends, or waits for the rest, as the result says.
 */
bool hosted_calls_run(struct execution *execution, struct model_result *result);

/* --- end.c: how a round ends --- */

/* Counts what the model's answer cost, for the run, its open step, and the budget; once. */
void end_add_usage(struct execution *execution, struct model_result *result);

/* The budget pays that. */
bool end_pay(const struct execution *execution, struct db_tx *tx);

/*
 * Writes something of a run, with patience: an answer that was paid for, and a thread that nobody
 * else could free, are worth waiting for a busy database, until the run would be over anyway.
 * `work` gets a struct storing, and is tried again while it answers false. 1 stored, 0 the run is
 * no more, -1 failed.
 */
struct storing {
	struct execution *execution;
	int stored; /* 1, 0, -1, as above: the work's to set */
};
int end_store(struct execution *execution, db_work_fn *work);

/* Ends the run, or lets it wait for outputs of its calls, as the model's answer says. */
void end_round(struct execution *execution, struct model_result *result);

/*
 * The program ends before the answer is there: the run is queued again, for the next program, if
 * nobody listens and nothing of it is stored. False: it must end here.
 */
bool end_put_back(struct execution *execution);

/* Whether the run is still to be carried out: nobody cancelled, deleted or ended it. */
bool end_is_wanted(const struct execution *execution);

/* What others made of the run meanwhile; RUN_STATUS__MAX: it was deleted, or nobody knows. */
enum run_status end_status_now(const struct execution *execution);

#endif
