/*
 * Budgets: how many tokens of the model server's a tenant may spend in a day, the gateway or one
 * name under /v1. All of it is in the database, so that threads, processes and CGI requests count
 * together.
 *
 * Before the model is asked, the most that the question may cost is reserved: what the model reads,
 * a token for 2 bytes, and the longest answer. When it is over the reservation is settled, and the
 * budget has paid what it cost. A reservation that nobody settles, since its process died, is
 * settled by whoever finds it overdue.
 */
#ifndef RECORDS_BUDGET_H
#define RECORDS_BUDGET_H

#include "db/db.h"

enum {
	BUDGET_BYTES_A_TOKEN = 2,
	BUDGET_ANSWER = 16384,    /* tokens that an answer may have, where nothing limits it */
	BUDGET_ANSWER_MIN = 2000, /* with less a model that reasons would say nothing */
	/* What an answer is charged that was left before its server said what it cost. */
	BUDGET_TOKENS_A_SECOND = 200
};

struct budgets {
	struct db *db;
	long long gateway,
	    names; /* tokens a day, for the gateway, and for each name; 0: no bound */
};

/* Whether anything bounds what the tenant spends. */
bool budget_is_bounded(const struct budgets *budgets, const char *tenant);

/* A question to the model. */
struct budget_question {
	const char *id;       /* names the reservation; no other has it */
	long long bytes;      /* that the model reads */
	long long answer_max; /* tokens that the answer may have; 0: nothing limits it */
	long long timeout_s;  /* until it is over, whatever happens */
};

enum budget_result {
	BUDGET_FAILED = -1, /* the database did; logged */
	BUDGET_EMPTY = 0,
	BUDGET_HELD = 1, /* empty now, for others have reserved what is missing */
	BUDGET_RESERVED = 2,
};

/*
 * Reserves for a question of the tenant's. *wait_s are the seconds until it is worth asking again
 * where the budget is empty. A tenant without a bound reserves nothing.
 */
enum budget_result budget_reserve(struct db_tx *tx, const struct budgets *budgets,
    const char *tenant, const struct budget_question *question, long long *wait_s);

/* What the answer may have of what was reserved; 0: nothing is reserved by that id. -1 failed. */
long long budget_answer_max(struct db_tx *tx, const char *id);

/* The question cost so many tokens. Nothing, if there is no such reservation. */
bool budget_settle(struct db_tx *tx, const struct budgets *budgets, const char *id, long long cost);

/*
 * The same where nobody said what it cost: what the model read, and the larger of what it has said
 * and BUDGET_TOKENS_A_SECOND for the time that it had; no more than was reserved. `seconds` -1:
 * since it was reserved.
 */
bool budget_settle_unreported(struct db_tx *tx, const struct budgets *budgets, const char *id,
    long long said, long long seconds);

/* A sentence for a name under /v1 whose budget is empty. */
enum { BUDGET_SENTENCE_SIZE = 256 };
void budget_print_empty(long long wait_s, char sentence[BUDGET_SENTENCE_SIZE]);

/* --- the same as transactions of their own --- */

/*
 * Whether a tenant has anything left. Nothing is reserved, but what is overdue is settled. To be
 * asked first, so that a request that is refused anyway does not hold up writers.
 */
enum budget_result budget_look(
    const struct budgets *budgets, const char *tenant, long long *wait_s);

/* Reserves, and sets *answer_max to what the answer may have; 0: nothing new limits it. */
enum budget_result budget_take(const struct budgets *budgets, const char *tenant,
    const struct budget_question *question, long long *answer_max, long long *wait_s);

/* Settles; with `cost` -1 as unreported. A failure has been logged. */
void budget_give(const struct budgets *budgets, const char *id, long long cost, long long said,
    long long seconds);

#endif
