#include "records/token_bucket.h"

#include "os/clock.h"

enum { SWEPT_AT_ONCE = 8, SET_BACK_S = 3600, DEBT_MAX_S = 50 * 365 * 86400 };

static const long long second_ns = 1000000000;

static long long
unit_ns(const struct bucket *bucket)
{
	return bucket->fill_s * second_ns / bucket->capacity;
}

/* A clock that goes back by more than this was set; less is jitter. */
static long long
set_back_ns(const struct bucket *bucket)
{
	return (bucket->fill_s < SET_BACK_S ? bucket->fill_s : SET_BACK_S) * second_ns;
}

/*
 * Reads when the bucket will be full again, which says how full it is now. If the clock was set
 * back, the debt would look larger, so that moment is moved back, too. A small step back is
 * ignored: clocks are adjusted to and fro, and each correction would reduce the debt.
 */
static bool
read_row(struct db_tx *tx, const struct bucket *bucket, long long now_ns, long long *full_at_ns,
    bool *set_back)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT full_at, seen_at FROM buckets WHERE name = ?");
	enum db_result result;

	*full_at_ns = now_ns;
	*set_back = false;
	db_bind_text(stmt, 1, bucket->name);
	result = db_step(stmt);
	if (result == DB_ROW) {
		long long full_at = db_int(stmt, 0), seen_at = db_int(stmt, 1);

		*set_back = seen_at - now_ns > set_back_ns(bucket);
		if (*set_back)
			full_at -= seen_at - now_ns;
		if (full_at > now_ns)
			*full_at_ns = full_at;
	}
	return db_finish(stmt, result) != DB_ERROR;
}

/* Deletes full buckets, more of them than one use adds. */
static bool
sweep(struct db_tx *tx, long long now_ns)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "DELETE FROM buckets WHERE name IN (SELECT name FROM buckets WHERE full_at < ? "
	    "ORDER BY full_at LIMIT ?)");

	db_bind_int(stmt, 1, now_ns);
	db_bind_int(stmt, 2, SWEPT_AT_ONCE);
	return db_execute(stmt) >= 0;
}

bool
bucket_read(
    struct db_tx *tx, const struct bucket *bucket, long long wanted, struct bucket_level *level)
{
	long long now_ns = clock_unix_ns(), full_at_ns, unit = unit_ns(bucket), wait_ns;

	if (!read_row(tx, bucket, now_ns, &full_at_ns, &level->set_back))
		return false;
	level->left = bucket->capacity - (full_at_ns - now_ns + unit - 1) / unit;
	wait_ns = full_at_ns - now_ns - (bucket->capacity - wanted) * unit;
	level->wait_s = wait_ns > 0 ? (wait_ns + second_ns - 1) / second_ns : 0;
	return true;
}

/* How long the bucket takes to fill by `units`, at most the longest debt. */
static long long
time_of(const struct bucket *bucket, long long units)
{
	const long long longest_ns = DEBT_MAX_S * second_ns;

	return units > longest_ns / unit_ns(bucket) ? longest_ns : units * unit_ns(bucket);
}

/*
 * One statement, so that no other writer comes between the check and the change. It keeps seen_at
 * if the clock was set back, so that this still shows. 1: taken. 0: the bucket would be full only
 * after `full_by_ns`. -1: failed.
 */
static int
take(struct db_tx *tx, const struct bucket *bucket, long long units, long long now_ns,
    long long full_by_ns)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO buckets (name, full_at, seen_at) VALUES (?, ?, ?) ON CONFLICT (name) "
	    "DO UPDATE SET full_at = CASE WHEN buckets.full_at < excluded.seen_at "
	    "THEN excluded.full_at ELSE buckets.full_at + excluded.full_at - excluded.seen_at END, "
	    "seen_at = CASE WHEN buckets.seen_at > ? THEN buckets.seen_at "
	    "ELSE excluded.seen_at END WHERE buckets.full_at <= ?");

	db_bind_text(stmt, 1, bucket->name);
	db_bind_int(stmt, 2, now_ns + time_of(bucket, units));
	db_bind_int(stmt, 3, now_ns);
	db_bind_int(stmt, 4, now_ns + set_back_ns(bucket));
	db_bind_int(stmt, 5, full_by_ns);
	return db_execute(stmt);
}

bool
bucket_take(struct db_tx *tx, const struct bucket *bucket, long long units)
{
	long long now_ns = clock_unix_ns();

	/* A bucket that owes the maximum is not charged more. */
	return take(tx, bucket, units, now_ns, now_ns + DEBT_MAX_S * second_ns) >= 0;
}

static bool
write_mended(struct db_tx *tx, void *arg)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE buckets SET full_at = full_at - (seen_at - ?), seen_at = ? "
	    "WHERE name = ? AND seen_at > ?");
	const struct bucket *bucket = arg;
	long long now_ns = clock_unix_ns();

	db_bind_int(stmt, 1, now_ns);
	db_bind_int(stmt, 2, now_ns);
	db_bind_text(stmt, 3, bucket->name);
	db_bind_int(stmt, 4, now_ns + set_back_ns(bucket));
	return db_execute(stmt) >= 0;
}

void
bucket_mend(struct db *db, const struct bucket *bucket)
{
	struct bucket mended = *bucket;

	db_write(db, DB_WRITE_RELAXED, write_mended, &mended);
}

struct taking {
	const struct bucket *bucket;
	struct bucket_level level;
};

static bool
read_one(struct db_tx *tx, void *arg)
{
	struct taking *taking = arg;

	return bucket_read(tx, taking->bucket, 1, &taking->level);
}

static bool
write_one(struct db_tx *tx, void *arg)
{
	struct taking *taking = arg;
	const struct bucket *bucket = taking->bucket;
	long long now_ns = clock_unix_ns();
	int taken = sweep(tx, now_ns)
	    ? take(tx, bucket, 1, now_ns, now_ns + (bucket->capacity - 1) * unit_ns(bucket))
	    : -1;

	/* Another writer was faster: how long is the wait now? */
	if (taken == 0)
		bucket_read(tx, bucket, 1, &taking->level);
	return taken == 1;
}

enum bucket_result
bucket_take_one(struct db *db, const struct bucket *bucket, long long *wait_s)
{
	struct taking taking = {.bucket = bucket};
	bool read = db_read(db, read_one, &taking) == 1;

	if (read && taking.level.set_back)
		bucket_mend(db, bucket);
	/* A request that is refused anyway must not block writers. */
	if (read && taking.level.wait_s == 0 &&
	    db_write(db, DB_WRITE_RELAXED, write_one, &taking) == 1)
		return BUCKET_TAKEN;
	*wait_s = taking.level.wait_s;
	return read && *wait_s > 0 ? BUCKET_EMPTY : BUCKET_FAILED;
}
