/*
 * A POST may be repeated with the same Idempotency-Key, because its client did not receive the
 * first answer. It takes effect once. Requests are remembered for a day, by tenant and path.
 *
 * The key is stored before the request is carried out, and its answer afterwards, each in a
 * transaction. If the process is killed in between, it is unknown whether the request took effect,
 * so it is not carried out again.
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
	const char *key; /* NULL: the client sent none, and nothing is remembered */
	const char *body;
	size_t body_len;
	bool streams; /* it asks for a stream, which is not remembered */
};

/* The answer to the first request; `answer` is the caller's to free. */
struct idempotency_found {
	int status;
	char *answer;
};

enum idempotency {
	IDEMPOTENCY_FIRST,    /* carry it out, and call idempotency_end() */
	IDEMPOTENCY_ANSWERED, /* the only result that fills `found` */
	IDEMPOTENCY_STREAMED, /* the answer is, or was, a stream */
	IDEMPOTENCY_OTHER,    /* the first request had another body */
	IDEMPOTENCY_BUSY,     /* the first request is under way */
	IDEMPOTENCY_LOST,     /* the first was cut off, and may have taken effect */
	IDEMPOTENCY_FAILED,   /* the database is busy or broken; logged */
};

enum idempotency idempotency_begin(
    struct db *db, const struct idempotent *request, struct idempotency_found *found);

/*
 * Stores the answer. After a stream `answer` is NULL, and nothing is stored. A request with a
 * status from 400 on had no effect, and is forgotten.
 */
void idempotency_end(
    struct db *db, const struct idempotent *request, int status, const char *answer);

#endif
