/*
 * Export and import of everything that the Assistants API stores, as JSON, one object a line. A
 * line is the API's own object, and has `tenant`, its owner, and `stored`, what the API does not
 * show but an import needs. Objects of the API without these two can be imported as well.
 */
#ifndef ASSISTANTS_IMPORT_EXPORT_H
#define ASSISTANTS_IMPORT_EXPORT_H

#include <json.h>
#include <stdio.h>

#include "db/db.h"

/* In an order in which each kind comes after those that it needs. */
enum transfer_kind {
	TRANSFER_ASSISTANT,
	TRANSFER_THREAD,
	TRANSFER_RUN,
	TRANSFER_MESSAGE,
	TRANSFER_STEP,
	TRANSFER__MAX
};

extern const char *const transfer_names[TRANSFER__MAX]; /* "assistants", … */

/* How many of each kind; in an export all are new. */
struct transfer_counts {
	long long added[TRANSFER__MAX], there[TRANSFER__MAX];
};

/* Writes everything of all tenants, as of one moment. -1 with a sentence in `error`. */
int transfer_export(
    struct db *db, FILE *out, struct transfer_counts *counts, char error[ERROR_SIZE]);

struct transfer_source {
	FILE *in;
	const char *tenant; /* of all objects; NULL: as each object says, else "gateway" */
	const char *folder; /* for a temporary file */
	/* Converts an object that was saved from an older API. Not NULL. */
	void (*mend)(struct json_object *object);
};

/*
 * Reads objects of these kinds, lists and arrays of them, on one line or on many. All of them are
 * imported, or none: then -1 with a sentence in `error`. Existing objects are left as they are.
 * Needs memory for one object at a time, and some 80 bytes for each.
 */
int transfer_import(struct db *db, const struct transfer_source *source,
    struct transfer_counts *counts, char error[ERROR_SIZE]);

#endif
