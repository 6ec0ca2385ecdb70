/* A thread, which messages and runs belong to. */
#ifndef RECORDS_THREAD_H
#define RECORDS_THREAD_H

#include "records/record.h"

struct thread {
	const char *id, *tenant;
	long long created_at;
	struct json_object *body; /* tool_resources, metadata; borrowed */
};

extern const struct record thread_record;

/* 1: inserted, with its *seq. 0: the id exists already. -1: failed. */
int thread_insert(struct db_tx *tx, const struct thread *thread, long long *seq);

/* The seq of a tenant's thread. 1: found. 0: not found. -1: failed. */
int thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq);

/*
 * How many threads all tenants have together. Counted in a writing transaction, which tests
 * writing, too. -1: the database cannot be read or written, which has been logged.
 */
long long threads_count(struct db *db);

/*
 * For an export: the SQL that selects all threads, except those being deleted, and one of its rows
 * as JSON; the caller releases it.
 */
extern const char thread_export_sql[];
struct json_object *thread_exported(struct db_stmt *row);

#endif
