#include "records/budget.h"

#include "os/clock.h"
#include "records/token_bucket.h"
#include "text/memory.h"

enum {
	DAY_S = 86400,
	SETTLED_AT_ONCE = 8,
	COST_MAX = 20000000, /* more than any model reads and writes for one question */
	SLACK_S = 60,        /* after which a question that should be over counts as lost */
	/* When other questions may have settled what they reserved. */
	RESERVED_WAIT_S = 10,
	NAME_SIZE = 128
};

static long long
bound_of(const struct budgets *budgets, const char *tenant)
{
	return strcmp(tenant, "gateway") == 0 ? budgets->gateway : budgets->names;
}

bool
budget_is_bounded(const struct budgets *budgets, const char *tenant)
{
	return bound_of(budgets, tenant) > 0;
}

/* The bucket of a tenant, named in `name`. Its capacity is 0 if the tenant has no bound. */
static struct bucket
bucket_of(const struct budgets *budgets, const char *tenant, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "tokens %s", tenant);
	return (struct bucket){
	    .name = name,
	    .capacity = bound_of(budgets, tenant),
	    .fill_s = DAY_S,
	};
}

/* --- reservations --- */

struct reservation {
	char bucket[NAME_SIZE];
	long long tokens, context; /* the part of them for what the model reads */
	long long asked_at;
};

/* 1: found. 0: not found. -1: failed. */
static int
find(struct db_tx *tx, const char *id, struct reservation *reservation)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "SELECT bucket, tokens, context, asked_at FROM reservations WHERE id = ?");
	enum db_result result;

	db_bind_text(stmt, 1, id);
	result = db_step(stmt);
	if (result == DB_ROW) {
		snprintf(reservation->bucket, sizeof reservation->bucket, "%s", db_text(stmt, 0));
		reservation->tokens = db_int(stmt, 1);
		reservation->context = db_int(stmt, 2);
		reservation->asked_at = db_int(stmt, 3);
	}
	return db_finish(stmt, result);
}

static bool
insert(
    struct db_tx *tx, const struct budget_question *question, const struct reservation *reservation)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO reservations (id, bucket, tokens, context, asked_at, overdue_at) "
	    "VALUES (?, ?, ?, ?, ?, ?)");

	db_bind_text(stmt, 1, question->id);
	db_bind_text(stmt, 2, reservation->bucket);
	db_bind_int(stmt, 3, reservation->tokens);
	db_bind_int(stmt, 4, reservation->context);
	db_bind_int(stmt, 5, reservation->asked_at);
	db_bind_int(stmt, 6, reservation->asked_at + question->timeout_s + SLACK_S);
	return db_execute(stmt) >= 0;
}

static bool
end(struct db_tx *tx, const struct budgets *budgets, const char *id,
    const struct reservation *reservation, long long cost)
{
	char name[NAME_SIZE];
	struct bucket bucket = bucket_of(budgets, reservation->bucket + strlen("tokens "), name);
	struct db_stmt *stmt = db_prepare(tx, "DELETE FROM reservations WHERE id = ?");

	/* The cost comes from a server and may be anything. */
	if (cost > COST_MAX)
		cost = COST_MAX;
	db_bind_text(stmt, 1, id);
	/* If the bound was lifted meanwhile, nothing is charged. */
	return db_execute(stmt) >= 0 &&
	    (bucket.capacity == 0 || bucket_take(tx, &bucket, cost - reservation->tokens));
}

bool
budget_settle(struct db_tx *tx, const struct budgets *budgets, const char *id, long long cost)
{
	struct reservation reservation = {0};
	int found = find(tx, id, &reservation);

	return found == 1 ? end(tx, budgets, id, &reservation, cost) : found == 0;
}

bool
budget_settle_unreported(struct db_tx *tx, const struct budgets *budgets, const char *id,
    long long said, long long seconds)
{
	struct reservation reservation = {0};
	int found = find(tx, id, &reservation);
	long long cost;

	if (found != 1)
		return found == 0;
	if (seconds < 0)
		seconds = clock_unix() - reservation.asked_at;
	/*
	 * After that many seconds the cost exceeds the reservation anyway. `seconds` is negative or
	 * huge if the clock was set.
	 */
	if (seconds < 0 || seconds > reservation.tokens)
		seconds = seconds < 0 ? 0 : reservation.tokens;
	cost = seconds * BUDGET_TOKENS_A_SECOND;
	cost = reservation.context + (cost > said ? cost : said);
	return end(
	    tx, budgets, id, &reservation, cost < reservation.tokens ? cost : reservation.tokens);
}

/* Settles questions whose process died, a few at each call. */
static bool
settle_overdue(struct db_tx *tx, const struct budgets *budgets)
{
	for (int i = 0; i < SETTLED_AT_ONCE; i++) {
		struct db_stmt *stmt = db_prepare(tx,
		    "SELECT id FROM reservations WHERE overdue_at < ? ORDER BY overdue_at LIMIT 1");
		enum db_result result;
		char id[NAME_SIZE];

		db_bind_int(stmt, 1, clock_unix());
		result = db_step(stmt);
		if (result == DB_ROW)
			snprintf(id, sizeof id, "%s", db_text(stmt, 0));
		if (db_finish(stmt, result) != DB_ROW)
			return result == DB_DONE;
		if (!budget_settle_unreported(tx, budgets, id, 0, -1))
			return false;
	}
	return true;
}

/*
 * Says the budget is empty, and how many seconds until it is worth asking again. What is missing
 * may be reserved by other questions, which will hardly spend all of it.
 */
static enum budget_result
say_empty(struct db_tx *tx, const struct bucket *bucket, const struct bucket_level *level,
    long long wanted, long long *wait_s)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT coalesce(sum(tokens), 0) FROM reservations WHERE bucket = ?");
	enum db_result result;
	bool held;

	*wait_s = level->wait_s;
	db_bind_text(stmt, 1, bucket->name);
	result = db_step(stmt);
	held = result == DB_ROW && level->left + db_int(stmt, 0) >= wanted;
	if (held && *wait_s > RESERVED_WAIT_S)
		*wait_s = RESERVED_WAIT_S;
	if (db_finish(stmt, result) != DB_ROW)
		return BUDGET_FAILED;
	return held ? BUDGET_HELD : BUDGET_EMPTY;
}

enum budget_result
budget_reserve(struct db_tx *tx, const struct budgets *budgets, const char *tenant,
    const struct budget_question *question, long long *wait_s)
{
	long long longest = question->answer_max ? question->answer_max : BUDGET_ANSWER;
	long long least = longest < BUDGET_ANSWER_MIN ? longest : BUDGET_ANSWER_MIN;
	struct reservation reservation = {
	    .context = question->bytes / BUDGET_BYTES_A_TOKEN + 1, .asked_at = clock_unix()};
	struct bucket bucket = bucket_of(budgets, tenant, reservation.bucket);
	struct bucket_level level;

	*wait_s = 0;
	if (bucket.capacity == 0)
		return BUDGET_RESERVED;
	/*
	 * A question larger than a day's tokens could never be asked; it waits for a full day's
	 * tokens.
	 */
	if (reservation.context > bucket.capacity - least)
		reservation.context = bucket.capacity > least ? bucket.capacity - least : 0;
	if (!settle_overdue(tx, budgets) ||
	    !bucket_read(tx, &bucket, reservation.context + least, &level))
		return BUDGET_FAILED;
	if (level.wait_s > 0)
		return say_empty(tx, &bucket, &level, reservation.context + least, wait_s);
	reservation.tokens = reservation.context + longest;
	if (reservation.tokens > level.left)
		reservation.tokens = level.left;
	return insert(tx, question, &reservation) && bucket_take(tx, &bucket, reservation.tokens)
	    ? BUDGET_RESERVED
	    : BUDGET_FAILED;
}

long long
budget_answer_max(struct db_tx *tx, const char *id)
{
	struct reservation reservation = {0};
	int found = find(tx, id, &reservation);

	return found == 1 ? reservation.tokens - reservation.context : found;
}

void
budget_print_empty(long long wait_s, char sentence[BUDGET_SENTENCE_SIZE])
{
	snprintf(sentence, BUDGET_SENTENCE_SIZE,
	    "This key's tokens for the day are used up (the server's setting "
	    "ASSISTANTS_KEY_DAILY_TOKENS). Try again in %lld seconds.",
	    wait_s);
}

/* --- transactions of their own --- */

static bool
write_settled(struct db_tx *tx, void *arg)
{
	return settle_overdue(tx, arg);
}

struct look {
	const struct bucket *bucket;
	long long *wait_s;
	enum budget_result result;
	struct bucket_level level;
	bool overdue; /* some reservations have to be settled */
};

static bool
read_level(struct db_tx *tx, void *arg)
{
	struct look *look = arg;
	struct db_stmt *stmt;

	look->overdue = false;
	if (!bucket_read(tx, look->bucket, BUDGET_ANSWER_MIN, &look->level))
		return false;
	look->result = BUDGET_RESERVED;
	if (look->level.wait_s > 0)
		look->result =
		    say_empty(tx, look->bucket, &look->level, BUDGET_ANSWER_MIN, look->wait_s);
	if (look->result == BUDGET_HELD) {
		stmt = db_prepare(tx, "SELECT 1 FROM reservations WHERE overdue_at < ? LIMIT 1");
		db_bind_int(stmt, 1, clock_unix());
		look->overdue = db_finish(stmt, db_step(stmt)) == DB_ROW;
	}
	return true;
}

enum budget_result
budget_look(const struct budgets *budgets, const char *tenant, long long *wait_s)
{
	struct budgets own = *budgets;
	char name[NAME_SIZE];
	struct bucket bucket = bucket_of(budgets, tenant, name);
	struct look look = {.bucket = &bucket, .wait_s = wait_s, .result = BUDGET_RESERVED};

	*wait_s = 0;
	if (bucket.capacity == 0)
		return BUDGET_RESERVED;
	do {
		if (db_read(budgets->db, read_level, &look) != 1)
			return BUDGET_FAILED;
		if (look.level.set_back)
			bucket_mend(budgets->db, &bucket);
		if (look.overdue &&
		    db_write(budgets->db, DB_WRITE_RELAXED, write_settled, &own) != 1)
			return BUDGET_FAILED;
	} while (look.overdue);
	return look.result;
}

struct taking {
	const struct budgets *budgets;
	const char *tenant;
	const struct budget_question *question;
	long long *answer_max, *wait_s;
	enum budget_result result;
};

static bool
write_taken(struct db_tx *tx, void *arg)
{
	struct taking *taking = arg;

	taking->result =
	    budget_reserve(tx, taking->budgets, taking->tenant, taking->question, taking->wait_s);
	if (taking->result == BUDGET_RESERVED)
		*taking->answer_max = budget_answer_max(tx, taking->question->id);
	return taking->result == BUDGET_RESERVED && *taking->answer_max >= 0;
}

enum budget_result
budget_take(const struct budgets *budgets, const char *tenant,
    const struct budget_question *question, long long *answer_max, long long *wait_s)
{
	struct taking taking = {budgets, tenant, question, answer_max, wait_s, BUDGET_FAILED};
	long long longest = question->answer_max ? question->answer_max : BUDGET_ANSWER;
	enum budget_result looked = budget_look(budgets, tenant, wait_s);

	*answer_max = 0;
	if (looked != BUDGET_RESERVED || !budget_is_bounded(budgets, tenant))
		return looked;
	if (db_write(budgets->db, DB_WRITE_RELAXED, write_taken, &taking) != 1)
		return taking.result == BUDGET_RESERVED ? BUDGET_FAILED : taking.result;
	if (*answer_max >= longest)
		*answer_max = 0;
	return BUDGET_RESERVED;
}

struct giving {
	const struct budgets *budgets;
	const char *id;
	long long cost, said, seconds;
};

static bool
write_given(struct db_tx *tx, void *arg)
{
	const struct giving *giving = arg;

	return giving->cost >= 0 ? budget_settle(tx, giving->budgets, giving->id, giving->cost)
				 : budget_settle_unreported(tx, giving->budgets, giving->id,
				       giving->said, giving->seconds);
}

void
budget_give(const struct budgets *budgets, const char *id, long long cost, long long said,
    long long seconds)
{
	struct giving giving = {budgets, id, cost, said, seconds};
	bool out_of_memory = memory_begin();

	if (budgets->db && (budgets->gateway || budgets->names))
		db_write(budgets->db, DB_WRITE_RELAXED, write_given, &giving);
	memory_end(out_of_memory);
}
