/*
 * Token buckets: how much of something may be used in a time, across threads and processes, because
 * they are in the database. A full bucket holds `capacity` units; an empty one is full again after
 * `fill_s` seconds. A caller may take more than there is. The bucket then owes the difference, and
 * nothing can be taken until it is made up for. A debt is never forgiven, even if the clock is set
 * back.
 *
 * A full bucket has no row. A power cut may forget the latest uses.
 */
#ifndef RECORDS_TOKEN_BUCKET_H
#define RECORDS_TOKEN_BUCKET_H

#include "db/db.h"

struct bucket {
	const char *name;
	long long capacity; /* units, 1 to 1,000,000,000 */
	long long fill_s;
};

/* The state of a bucket, for a use of a number of units. */
struct bucket_level {
	long long left;   /* units; negative: it owes */
	long long wait_s; /* seconds until there are enough; 0: there are */
	bool set_back;    /* the clock was set back: it does not fill before bucket_mend() */
};

/* False: the database failed. */
bool bucket_read(
    struct db_tx *tx, const struct bucket *bucket, long long wanted, struct bucket_level *level);

/* Takes units out, or, if `units` is negative, puts some back. False: the database failed. */
bool bucket_take(struct db_tx *tx, const struct bucket *bucket, long long units);

/* Makes a bucket fill again that was last written before the clock was set back. */
void bucket_mend(struct db *db, const struct bucket *bucket);

enum bucket_result {
	BUCKET_FAILED = -1, /* logged */
	BUCKET_EMPTY = 0,
	BUCKET_TAKEN = 1,
};

/* Takes one unit, if there is one. Otherwise *wait_s is the seconds until there is. */
enum bucket_result bucket_take_one(struct db *db, const struct bucket *bucket, long long *wait_s);

#endif
