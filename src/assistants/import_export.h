/*
 * Moving in and out: all that the Assistants API keeps, as JSON, an object a line. A line is the
 * API's own object, and beside it `tenant`, whose it is, and `stored`, what the API does not show
 * and an import needs to make the same of it again. Objects of the API without these two are
 * imported as well.
 */
#ifndef ASSISTANTS_IMPORT_EXPORT_H
#define ASSISTANTS_IMPORT_EXPORT_H

#include <json.h>
#include <stdio.h>

#include "db/db.h"

/* In the order in which they need each other. */
enum transfer_kind {
	TRANSFER_ASSISTANT,
	TRANSFER_THREAD,
	TRANSFER_RUN,
	TRANSFER_MESSAGE,
	TRANSFER_STEP,
	TRANSFER__MAX
};

extern const char *const transfer_names[TRANSFER__MAX]; /* "assistants", … */

/* How many of each; of an export all are new. */
struct transfer_counts {
	long long added[TRANSFER__MAX], there[TRANSFER__MAX];
};

/* Writes everything of all tenants, as it is at one moment. -1 with a sentence in `error`. */
int transfer_export(
    struct db *db, FILE *out, struct transfer_counts *counts, char error[ERROR_SIZE]);

struct transfer_source {
	FILE *in;
	const char *tenant; /* whose everything becomes; NULL: as it says itself, else "gateway" */
	const char *folder; /* where what was read waits, in a file without a name */
	/* Brings an object that was saved from an older API up to date. */
	void (*mend)(struct json_object *object);
};

/*
 * Reads objects of the kinds above, lists and arrays of them, whether each is on one line or on
 * many. All of them are imported, or none: then -1 with a sentence in `error`. What is there
 * already is left as it is. Memory is taken for one object at a time, and some 80 bytes for each.
 */
int transfer_import(struct db *db, const struct transfer_source *source,
    struct transfer_counts *counts, char error[ERROR_SIZE]);

#endif
