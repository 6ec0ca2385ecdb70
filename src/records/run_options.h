/*
 * The options of runs: model, instructions, tools. Most runs have the same ones, so each set is
 * stored once.
 */
#ifndef RECORDS_RUN_OPTIONS_H
#define RECORDS_RUN_OPTIONS_H

#include "records/record.h"

/* Stores a run's options without its metadata. 1 with their *seq; -1: failed. */
int run_options_store(struct db_tx *tx, struct json_object *body, long long *seq);

/*
 * Call it when a run with these options was deleted: deletes them if no other run has them. 0; -1:
 * failed.
 */
int run_options_release(struct db_tx *tx, long long seq);

#endif
