/* The conversation in the form that a model is sent. */
#ifndef RUNS_CONTEXT_H
#define RUNS_CONTEXT_H

#include "db/db.h"
#include "model/model.h"

enum { BYTES_A_TOKEN = 4 }; /* where no server has counted them */

/*
 * Reads the thread's messages and answered calls, in order. Beyond `tokens_max` (BYTES_A_TOKEN
 * each) the middle is left out, but never the last message. Beyond `messages_max` messages (0: no
 * limit) the oldest are left out; with that limit they are left out for `tokens_max`, too. 0, or
 * -1: the database failed, or there is no memory. Call model_context_free() in both cases.
 */
int context_load(struct db_tx *tx, long long thread, long long tokens_max, long long messages_max,
    struct model_context *context);

/*
 * About how many bytes a model would be sent for the thread, at most `tokens_max` tokens of it, and
 * for these options. -1: the database failed.
 */
long long context_estimate(
    struct db_tx *tx, long long thread, struct json_object *options, long long tokens_max);

/* How many bytes a model is sent: a run's instructions and tools, and a context's text. */
size_t context_size(struct json_object *options, const struct model_context *context);

#endif
