#include "records/token_bucket.h"

#include "os/clock.h"

enum { SWEPT_AT_ONCE = 8, SET_BACK_S = 3600, DEBT_MAX_S = 50 * 365 * 86400 };

static const long long second_ns = 1000000000;

static long long
unit_ns(const struct bucket *bucket)
{
	return bucket->fill_s * second_ns / bucket->capacity;
}

/*
 * When the bucket is full again: that says how full it is. A clock that was set back would make its
 * debt longer, which is put right; a little is left as it is, for clocks are set to and fro, and
 * would bring something each time.
 */
static bool
read_row(struct db_tx *tx, const struct bucket *bucket, long long now_ns, long long *full_at_ns,
    bool *set_back)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT full_at, seen_at FROM buckets WHERE name = ?");
	long long set_back_s = bucket->fill_s < SET_BACK_S ? bucket->fill_s : SET_BACK_S;
	enum db_result result;

	*full_at_ns = now_ns;
	*set_back = false;
	db_bind_text(stmt, 1, bucket->name);
	result = db_step(stmt);
	if (result == DB_ROW) {
		long long full_at = db_int(stmt, 0), seen_at = db_int(stmt, 1);

		*set_back = seen_at - now_ns > set_back_s * second_ns;
		if (*set_back)
			full_at -= seen_at - now_ns;
		if (full_at > now_ns)
			*full_at_ns = full_at;
	}
	return db_finish(stmt, result) != DB_ERROR;
}

static bool
write_row(struct db_tx *tx, const struct bucket *bucket, long long now_ns, long long full_at_ns)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO buckets (name, full_at, seen_at) VALUES (?, ?, ?) ON CONFLICT (name) "
	    "DO UPDATE SET full_at = excluded.full_at, seen_at = excluded.seen_at");

	db_bind_text(stmt, 1, bucket->name);
	db_bind_int(stmt, 2, full_at_ns);
	db_bind_int(stmt, 3, now_ns);
	return db_execute(stmt) >= 0;
}

/* Of those that are full again, more than one use adds. */
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

bool
bucket_take(struct db_tx *tx, const struct bucket *bucket, long long units)
{
	long long now_ns = clock_unix_ns(), full_at_ns;
	long long latest_ns = now_ns + DEBT_MAX_S * second_ns;
	bool set_back;

	if (!sweep(tx, now_ns) || !read_row(tx, bucket, now_ns, &full_at_ns, &set_back))
		return false;
	if (units > (latest_ns - full_at_ns) / unit_ns(bucket))
		full_at_ns = latest_ns;
	else if (units < (now_ns - full_at_ns) / unit_ns(bucket))
		full_at_ns = now_ns;
	else
		full_at_ns += units * unit_ns(bucket);
	return write_row(tx, bucket, now_ns, full_at_ns);
}

static bool
write_mended(struct db_tx *tx, void *arg)
{
	return bucket_take(tx, arg, 0);
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

	return bucket_read(tx, taking->bucket, 1, &taking->level) && taking->level.wait_s == 0 &&
	    bucket_take(tx, taking->bucket, 1);
}

enum bucket_result
bucket_take_one(struct db *db, const struct bucket *bucket, long long *wait_s)
{
	struct taking taking = {.bucket = bucket};
	bool read = db_read(db, read_one, &taking) == 1;

	if (read && taking.level.set_back)
		bucket_mend(db, bucket);
	/* A request that is refused anyway does not hold up writers. */
	if (read && taking.level.wait_s == 0 &&
	    db_write(db, DB_WRITE_RELAXED, write_one, &taking) == 1)
		return BUCKET_TAKEN;
	*wait_s = taking.level.wait_s;
	return read && *wait_s > 0 ? BUCKET_EMPTY : BUCKET_FAILED;
}
