/*
 * An assistant: a definition under an id.
 */
#ifndef RECORDS_ASSISTANT_H
#define RECORDS_ASSISTANT_H

#include "records/record.h"

struct assistant {
	const char *id, *tenant;
	long long created_at;
	struct json_object *body; /* the members below, as they were asked; borrowed */
};

/* The members of a body, in the order of the API's object; NULL at the end. */
extern const char *const assistant_members[];

extern const struct record assistant_record;

/* 1 inserted, 0 its id is there already, -1 failed. */
int assistant_insert(struct db_tx *tx, const struct assistant *assistant);

/* All of them, and a row as an export has it. */
extern const char assistant_export_sql[];
struct json_object *assistant_exported(struct db_stmt *row);

#endif
