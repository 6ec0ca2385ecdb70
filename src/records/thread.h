/*
 * A thread: what holds a conversation's messages together.
 */
#ifndef RECORDS_THREAD_H
#define RECORDS_THREAD_H

#include "records/record.h"

struct thread {
	const char *id, *tenant;
	long long created_at;
	struct json_object *body; /* tool_resources, metadata; borrowed */
};

extern const struct record thread_record;

/* 1 inserted, with its *seq; 0 its id is there already; -1 failed. */
int thread_insert(struct db_tx *tx, const struct thread *thread, long long *seq);

/* The seq of a tenant's thread. 1 found, 0 not, -1 failed. */
int thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq);

/*
 * How many there are, all tenants' together; -1 when the database cannot be read, or not be
 * written: that has been logged.
 */
long long threads_count(struct db *db);

/* All of them, and a row as an export has it. */
extern const char thread_export_sql[];
struct json_object *thread_exported(struct db_stmt *row);

#endif
