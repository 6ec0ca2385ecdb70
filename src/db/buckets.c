#include "db/buckets.h"

#include "util/clock.h"

enum { SWEPT_AT_ONCE = 8, MEAN_OF = 8 };

static const long long second_ns = 1000000000;

/* A row: when the bucket is full again says how full it is. */
struct row {
	long long full_at_ns;
	long long usual;
};

static long long
unit_ns(const struct bucket *bucket)
{
	return bucket->fill_s * second_ns / bucket->capacity;
}

/* When it owes as much as it holds, and more than that it never does. */
static long long
latest_ns(const struct bucket *bucket, long long now_ns)
{
	return now_ns + 2 * bucket->fill_s * second_ns;
}

/* When it is full again after `units`, which may be below 0, have been taken from it. */
static long long
after(const struct bucket *bucket, long long full_at_ns, long long units, long long now_ns)
{
	long long most = 2 * bucket->capacity, latest = latest_ns(bucket, now_ns);

	if (units > most)
		units = most;
	if (units < -most)
		units = -most;
	full_at_ns += units * unit_ns(bucket);
	if (full_at_ns < now_ns)
		return now_ns;
	return full_at_ns < latest ? full_at_ns : latest;
}

static enum db_result
load(struct db_tx *tx, const struct bucket *bucket, long long now_ns, struct row *row)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT full_at, usual FROM buckets WHERE name = ?");
	enum db_result result;

	*row = (struct row){.full_at_ns = now_ns};
	db_bind_text(stmt, 1, bucket->name);
	result = db_step(stmt);
	if (result == DB_ROW) {
		row->usual = db_int(stmt, 1);
		/* Later than the latest: the clock was set back, and nobody knows what was used. */
		if (db_int(stmt, 0) > now_ns && db_int(stmt, 0) <= latest_ns(bucket, now_ns))
			row->full_at_ns = db_int(stmt, 0);
	}
	return db_finish(stmt, result);
}

static enum db_result
store(struct db_tx *tx, const struct bucket *bucket, const struct row *row)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO buckets (name, full_at, usual) VALUES (?, ?, ?) ON CONFLICT (name) "
	    "DO UPDATE SET full_at = excluded.full_at, usual = excluded.usual");

	db_bind_text(stmt, 1, bucket->name);
	db_bind_int(stmt, 2, row->full_at_ns);
	db_bind_int(stmt, 3, row->usual);
	return db_finish(stmt, db_step(stmt));
}

/* Of those that are full again, more than one use adds. */
static enum db_result
sweep(struct db_tx *tx, long long now_ns)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "DELETE FROM buckets WHERE name IN (SELECT name FROM buckets "
	    "WHERE usual = 0 AND full_at < ? ORDER BY full_at LIMIT ?)");

	db_bind_int(stmt, 1, now_ns);
	db_bind_int(stmt, 2, SWEPT_AT_ONCE);
	return db_finish(stmt, db_step(stmt));
}

/* 1 it has something, 0 it is empty, -1 failed. */
static int
look(struct db_tx *tx, const struct bucket *bucket, long long now_ns, struct row *row,
    long long *wait_s)
{
	long long one_left_ns = now_ns + (bucket->capacity - 1) * unit_ns(bucket);

	if (load(tx, bucket, now_ns, row) == DB_ERROR)
		return -1;
	one_left_ns += bucket->taken_before * unit_ns(bucket);
	if (row->full_at_ns <= one_left_ns)
		return 1;
	*wait_s = (row->full_at_ns - one_left_ns + second_ns - 1) / second_ns;
	return 0;
}

/* The same, and takes. */
static int
take(struct db_tx *tx, struct bucket *bucket, long long now_ns, long long *wait_s)
{
	struct row row;
	int found = look(tx, bucket, now_ns, &row, wait_s);
	long long full_at_ns;

	if (found != 1)
		return found;
	bucket->taken = bucket->settled && row.usual > bucket->units ? row.usual : bucket->units;
	/* More would be beyond what it can owe, and would be paid back all the same. */
	if (bucket->taken > bucket->capacity)
		bucket->taken = bucket->capacity;
	full_at_ns = after(bucket, row.full_at_ns, bucket->taken, now_ns);
	/* Nor has been taken what is beyond that with what others owe. */
	bucket->taken = (full_at_ns - row.full_at_ns) / unit_ns(bucket);
	row.full_at_ns = full_at_ns;
	return store(tx, bucket, &row) == DB_DONE ? 1 : -1;
}

/* Who would be refused anyway does not hold up those who write. */
static int
look_first(struct db *db, struct bucket *buckets, int len, int *empty, long long *wait_s)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	long long now_ns = clock_unix_ns();
	int found = tx ? 1 : -1;
	struct row row;

	for (int i = 0; i < len && found == 1; i++) {
		found = look(tx, &buckets[i], now_ns, &row, wait_s);
		*empty = i;
	}
	db_rollback(tx);
	return found;
}

struct taking {
	struct bucket *buckets;
	int len;
	int *empty;
	long long *wait_s;
	int taken; /* 1 from all, 0 one is empty, -1 failed */
};

static bool
write_taken(struct db_tx *tx, void *arg)
{
	struct taking *taking = arg;
	long long now_ns = clock_unix_ns();

	taking->taken = sweep(tx, now_ns) == DB_ERROR ? -1 : 1;
	for (int i = 0; i < taking->len && taking->taken == 1; i++) {
		taking->taken = take(tx, &taking->buckets[i], now_ns, taking->wait_s);
		*taking->empty = i;
	}
	return taking->taken == 1;
}

enum buckets_result
buckets_take(struct db *db, struct bucket *buckets, int len, int *empty, long long *wait_s)
{
	struct taking taking = {buckets, len, empty, wait_s, -1};
	int found = look_first(db, buckets, len, empty, wait_s);

	if (found != 1)
		return found == 0 ? BUCKETS_EMPTY : BUCKETS_FAILED;
	if (db_write(db, DB_WRITE_SOON, write_taken, &taking) == 1)
		return BUCKETS_TAKEN;
	return taking.taken == 0 ? BUCKETS_EMPTY : BUCKETS_FAILED;
}

struct settling {
	const struct bucket *bucket;
	long long units;
};

static bool
write_settled(struct db_tx *tx, void *arg)
{
	const struct settling *settling = arg;
	const struct bucket *bucket = settling->bucket;
	long long now_ns = clock_unix_ns(), units = settling->units;
	struct row row;

	if (load(tx, bucket, now_ns, &row) == DB_ERROR)
		return false;
	row.full_at_ns = after(bucket, row.full_at_ns, units - bucket->taken, now_ns);
	if (units > 0)
		row.usual = row.usual ? (row.usual * (MEAN_OF - 1) + units) / MEAN_OF : units;
	return store(tx, bucket, &row) == DB_DONE;
}

void
bucket_settle(struct db *db, const struct bucket *bucket, long long units)
{
	struct settling settling = {bucket, units};

	/* A server's word, which may be anything. */
	if (units < 0)
		settling.units = 0;
	if (units > 2 * bucket->capacity)
		settling.units = 2 * bucket->capacity;
	db_write(db, DB_WRITE_SOON, write_settled, &settling);
}
