/*
 * Budgets: how many of the model server's tokens a tenant may spend in a day. A tenant is the
 * gateway, or one name under /v1. Everything is in the database, so threads, processes and CGI
 * requests count together.
 *
 * Before the model is asked, the most that the question may cost is reserved: one token for each 2
 * bytes that the model reads, and the longest answer. When the question is over, the reservation is
 * settled: the budget has then paid the real cost. If the process of a question died, the next
 * process that finds the reservation overdue settles it.
 */
#ifndef RECORDS_BUDGET_H
#define RECORDS_BUDGET_H

#include "db/db.h"

enum {
	BUDGET_BYTES_A_TOKEN = 2,
	BUDGET_ANSWER = 16384,    /* tokens for an answer that nothing else limits */
	BUDGET_ANSWER_MIN = 2000, /* with less, a model that reasons would answer nothing */
	/* The charge for an answer that was cut off before its server reported the cost. */
	BUDGET_TOKENS_A_SECOND = 200
};

struct budgets {
	struct db *db;
	long long gateway, names; /* tokens a day, for the gateway and for each name; 0: no bound */
};

/* Whether the tenant has a budget. */
bool budget_is_bounded(const struct budgets *budgets, const char *tenant);

/* A question to the model. */
struct budget_question {
	const char *id;       /* names the reservation; unique */
	long long bytes;      /* that the model reads */
	long long answer_max; /* the most tokens for the answer; 0: no limit */
	long long timeout_s;  /* after which it is over in any case */
};

enum budget_result {
	BUDGET_FAILED = -1, /* the database failed; logged */
	BUDGET_EMPTY = 0,
	BUDGET_HELD = 1, /* empty now, because other questions have reserved what is missing */
	BUDGET_RESERVED = 2,
};

/*
 * Reserves tokens for a tenant's question. If the budget is empty, *wait_s is the seconds until it
 * is worth asking again. For a tenant without a bound, nothing is reserved.
 */
enum budget_result budget_reserve(struct db_tx *tx, const struct budgets *budgets,
    const char *tenant, const struct budget_question *question, long long *wait_s);

/*
 * How many of the reserved tokens the answer may use; 0: there is no such reservation; -1: failed.
 */
long long budget_answer_max(struct db_tx *tx, const char *id);

/*
 * Settles the reservation: the question has cost this many tokens. Does nothing if there is none.
 */
bool budget_settle(struct db_tx *tx, const struct budgets *budgets, const char *id, long long cost);

/*
 * The same if the cost was not reported. Charges what the model read, and `said`, the tokens that
 * it wrote, or BUDGET_TOKENS_A_SECOND for `seconds`, whichever is more, up to the reservation.
 * `seconds` -1: since it was reserved. False: the database failed.
 */
bool budget_settle_unreported(struct db_tx *tx, const struct budgets *budgets, const char *id,
    long long said, long long seconds);

/* Writes a sentence for a name under /v1 whose budget is empty. */
enum { BUDGET_SENTENCE_SIZE = 256 };
void budget_print_empty(long long wait_s, char sentence[BUDGET_SENTENCE_SIZE]);

/* --- the same, each in a transaction of its own --- */

/*
 * Whether the tenant has any tokens left: BUDGET_RESERVED, although nothing is reserved. Overdue
 * reservations that hold what is missing are settled. Call it first, so that a request that is
 * refused anyway does not block writers.
 */
enum budget_result budget_look(
    const struct budgets *budgets, const char *tenant, long long *wait_s);

/*
 * Reserves, and sets *answer_max to the most tokens for the answer; 0: the budget sets no new
 * limit.
 */
enum budget_result budget_take(const struct budgets *budgets, const char *tenant,
    const struct budget_question *question, long long *answer_max, long long *wait_s);

/* Settles; `cost` -1: not reported. A failure is logged. */
void budget_give(const struct budgets *budgets, const char *id, long long cost, long long said,
    long long seconds);

#endif
