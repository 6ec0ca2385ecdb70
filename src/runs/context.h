/*
 * The conversation as a model is told it.
 */
#ifndef RUNS_CONTEXT_H
#define RUNS_CONTEXT_H

#include "db/db.h"
#include "model/model.h"

enum { BYTES_A_TOKEN = 4 }; /* where nobody has counted them */

/*
 * The thread's messages and answered calls in order. Of more than `tokens_max` (BYTES_A_TOKEN each)
 * the middle is left out, but never the last message; of more than `messages_max` messages (0: no
 * limit) the oldest are. 0, or -1: the database failed, or there is no memory.
 * model_context_free() in any case.
 */
int context_load(struct db_tx *tx, long long thread, long long tokens_max, long long messages_max,
    struct model_context *context);

/*
 * About how many bytes a model would be told of the thread and of these options, at most
 * `tokens_max` tokens of the thread; -1: the database failed.
 */
long long context_estimate(
    struct db_tx *tx, long long thread, struct json_object *options, long long tokens_max);

/* Bytes that a model is told: a run's instructions and tools, and a context's words. */
size_t context_size(struct json_object *options, const struct model_context *context);

#endif
