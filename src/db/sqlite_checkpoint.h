/*
 * Copies the write-ahead log into the database, in a thread of its own. Otherwise the thread that
 * has just committed would wait for the disk on behalf of all. Only for src/db/.
 */
#ifndef DB_SQLITE_CHECKPOINT_H
#define DB_SQLITE_CHECKPOINT_H

#include "db/sqlite_connect.h"

struct checkpointer;

/*
 * Takes over from SQLite the checkpoints of the log that `writer` writes. Both arguments are
 * borrowed. The thread starts when the log is long for the first time. NULL: out of memory, and
 * SQLite goes on by itself.
 */
struct checkpointer *checkpointer_new(const struct place *place, sqlite3 *writer);

/* Waits for the thread and frees. Call it before the writer is closed. Takes NULL, too. */
void checkpointer_free(struct checkpointer *self);

#endif
