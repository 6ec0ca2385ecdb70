/*
 * POSTs that come twice with the same Idempotency-Key, since their client did not get the first
 * answer: they take effect once. Remembered for a day, by tenant and path.
 *
 * The key is kept before the request is carried out, and its answer afterwards, in a transaction
 * each. A process that ends between leaves a request of which nobody knows whether it took effect:
 * it is not carried out again.
 */
#ifndef RECORDS_IDEMPOTENCY_H
#define RECORDS_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "db/db.h"

enum { IDEMPOTENCY_KEY_MAX = 255 };

/* Everything is borrowed. */
struct idempotent {
	const char *tenant, *path;
	const char *key; /* NULL: none came along, and nothing is remembered */
	const char *body;
	size_t body_len;
	bool streams; /* its answer shall be a stream, which is not remembered */
};

/* What the first request was answered; `answer` is the caller's to free. */
struct idempotency_found {
	int status;
	char *answer;
};

enum idempotency {
	IDEMPOTENCY_FIRST,    /* carry it out, and call idempotency_end() */
	IDEMPOTENCY_ANSWERED, /* the only one that fills `found` */
	IDEMPOTENCY_STREAMED, /* the answer is, or was, a stream */
	IDEMPOTENCY_OTHER,    /* it had another body */
	IDEMPOTENCY_BUSY,     /* it is being worked on */
	IDEMPOTENCY_LOST,     /* it was not finished, and may have taken effect */
	IDEMPOTENCY_FAILED,   /* the database is busy or broken; logged */
};

enum idempotency idempotency_begin(
    struct db *db, const struct idempotent *request, struct idempotency_found *found);

/*
 * It was answered; `answer` is NULL after a stream. From status 400 on it had no effect, and is
 * forgotten.
 */
void idempotency_end(
    struct db *db, const struct idempotent *request, int status, const char *answer);

#endif
