/*
 * What runs are asked with: model, instructions, tools. Most runs are asked alike, so it is stored
 * once for all that are.
 */
#ifndef RECORDS_RUN_OPTIONS_H
#define RECORDS_RUN_OPTIONS_H

#include "records/record.h"

/* Stores a run's options, without its metadata. 1 with their *seq, -1 failed. */
int run_options_store(struct db_tx *tx, struct json_object *body, long long *seq);

/* A run is gone that had them: deletes them if no other has. 0, or -1 failed. */
int run_options_release(struct db_tx *tx, long long seq);

#endif
