/*
 * An assistant: a definition under an id.
 */
#ifndef RECORDS_ASSISTANT_H
#define RECORDS_ASSISTANT_H

#include "records/record.h"

struct assistant {
	const char *id, *tenant;
	long long created_at;
	struct json_object *body; /* the members below, as the client sent them; borrowed */
};

/* The members of a body in the order of the API's object, then NULL. */
extern const char *const assistant_members[];

extern const struct record assistant_record;

/* 1: inserted. 0: the id exists already. -1: failed. */
int assistant_insert(struct db_tx *tx, const struct assistant *assistant);

/*
 * For an export: the SQL that selects all assistants, and one of its rows as JSON, the caller's to
 * put.
 */
extern const char assistant_export_sql[];
struct json_object *assistant_exported(struct db_stmt *row);

#endif
