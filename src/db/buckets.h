/*
 * Token buckets: what may be used of something in a time, right across threads and processes, since
 * it is kept in the database. A full bucket holds `capacity` units, an empty one is full again
 * after `fill_s` seconds; who finds at least one unit in it may take, even more than there is: the
 * bucket then owes, and nothing is taken until that is made up for.
 *
 * A bucket that is full is not kept. Loss of power may forget what was taken last. A bucket never
 * owes more than it holds, so a single use that was huge closes it for twice the time at most; a
 * clock that was set back by more than that makes it full.
 */
#ifndef DB_BUCKETS_H
#define DB_BUCKETS_H

#include "db/db.h"

struct bucket {
	const char *name;
	long long capacity; /* units, 1 to 1,000,000,000 */
	long long fill_s;
	/*
	 * What is taken. Where a use's cost is known only afterwards, at least what it was in the
	 * mean of those that were settled, and bucket_settle() then puts it right: so many who come
	 * at once do not take much more than there is.
	 */
	long long units;
	bool settled;
	/* What this use has taken before, which does not count against it. */
	long long taken_before;
	long long taken; /* set by buckets_take() */
};

enum buckets_result {
	BUCKETS_FAILED = -1, /* logged */
	BUCKETS_EMPTY = 0,
	BUCKETS_TAKEN = 1,
};

/*
 * Takes from all of them or, if one has nothing, from none: that one's index in *empty, and the
 * seconds until it has something in *wait_s.
 */
enum buckets_result buckets_take(
    struct db *db, struct bucket *buckets, int len, int *empty, long long *wait_s);

/*
 * The use of a taken bucket is over: it cost so many units; 0: it came to nothing. A failure has
 * been logged.
 */
void bucket_settle(struct db *db, const struct bucket *bucket, long long units);

#endif
