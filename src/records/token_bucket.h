/*
 * Token buckets: what may be used of something in a time, right across threads and processes, since
 * it is kept in the database. A full bucket holds `capacity` units, and an empty one is full again
 * after `fill_s` seconds. More than there is can be taken, if the caller wants that: then the
 * bucket owes, and nothing can be taken until that is made up for. A debt is never forgiven, also
 * when the clock is set back.
 *
 * A bucket that is full is not kept. Loss of power may forget what was taken last.
 */
#ifndef RECORDS_TOKEN_BUCKET_H
#define RECORDS_TOKEN_BUCKET_H

#include "db/db.h"

struct bucket {
	const char *name;
	long long capacity; /* units, 1 to 1,000,000,000 */
	long long fill_s;
};

/* What is in a bucket now, for a use of so many units. */
struct bucket_level {
	long long left;   /* units; below 0 when it owes some */
	long long wait_s; /* until there are as many as are wanted; 0: they are there */
	bool set_back;    /* the clock was: nothing is added before bucket_mend() */
};

/* False: the database failed. */
bool bucket_read(
    struct db_tx *tx, const struct bucket *bucket, long long wanted, struct bucket_level *level);

/* Takes units out, or with a number below 0 puts some back. False: the database failed. */
bool bucket_take(struct db_tx *tx, const struct bucket *bucket, long long units);

/* Counts on from now in a bucket that was last written by a clock that was set back since. */
void bucket_mend(struct db *db, const struct bucket *bucket);

enum bucket_result {
	BUCKET_FAILED = -1, /* logged */
	BUCKET_EMPTY = 0,
	BUCKET_TAKEN = 1,
};

/* Takes one unit, if there is one; else *wait_s are the seconds until there is. */
enum bucket_result bucket_take_one(struct db *db, const struct bucket *bucket, long long *wait_s);

#endif
