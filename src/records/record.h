/*
 * What the kinds of objects have in common: statements to find, list, change and delete them, and
 * how to show a row. The file of each kind has its struct and its SQL.
 */
#ifndef RECORDS_RECORD_H
#define RECORDS_RECORD_H

#include <json.h>

#include "db/db.h"

/* What an object belongs to: a tenant, or a thread or run, by its seq. */
struct owner {
	const char *tenant;
	long long seq;    /* 0: it belongs to the tenant */
	const char *word; /* a second condition of a list; NULL: none */
};

struct record {
	const char *find;    /* (id, owner) → a row for `json` */
	const char *list[2]; /* (owner, its word, after seq, before seq, limit) → such rows; [1]:
				newest first */
	const char *cursor;  /* (id, owner) → seq */
	const char *body;    /* (id, owner) → body; NULL: it cannot be changed */
	const char *store_body; /* (body, id, owner) */
	const char *remove;     /* (id, owner) */
	/* The API's object; the caller releases it. NULL: no memory. */
	struct json_object *(*json)(struct db_stmt *row);
};

/* These return 1: found, 0: not found, -1: failed. The caller releases objects. */
int record_find(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object **object);
int record_cursor(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, long long *seq);
int record_body(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object **body);
int record_store_body(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object *body);
int record_remove(
    struct db_tx *tx, const struct record *record, const char *id, const struct owner *owner);

/* The objects of `owner` with a seq above `low` and below `high`. */
struct record_range {
	long long low, high, limit;
	bool newest_first;
};

/*
 * Reads up to `limit` objects, or until their rows exceed `bytes_max` bytes. The caller
 * releases the array. *more: there are more. -1: the database failed.
 */
int record_list(struct db_tx *tx, const struct record *record, const struct owner *owner,
    const struct record_range *range, size_t bytes_max, struct json_object **array, bool *more);

/* Whether the database can be read. */
bool records_answer(struct db *db);

/* --- columns --- */

/* A column with JSON; the caller releases it; NULL for SQL's NULL. */
struct json_object *record_json(struct db_stmt *row, int column);

/* A time as JSON; null for 0. */
struct json_object *record_time(long long at);

/* Binds JSON as text; NULL becomes SQL's NULL. */
void record_bind_json(struct db_stmt *stmt, int index, struct json_object *value);

/* Runs and finishes a statement that returns one number. 1: found. 0: not found. -1: failed. */
int record_number(struct db_stmt *stmt, long long *number);

#endif
