/*
 * Copies the write-ahead log into the database, in a thread of its own, beside the writers: who has
 * just committed would have to wait for the disk on behalf of all. Only for src/db/.
 */
#ifndef DB_SQLITE_CHECKPOINT_H
#define DB_SQLITE_CHECKPOINT_H

#include "db/sqlite_connect.h"

struct checkpointer;

/*
 * For the log that `writer` writes, instead of SQLite's own way; both are borrowed. The thread
 * starts when the log is long for the first time. NULL: no memory, and it stays SQLite's own way.
 */
struct checkpointer *checkpointer_new(const struct place *place, sqlite3 *writer);

/* Waits for the thread, and frees; before the writer is closed. NULL is none. */
void checkpointer_free(struct checkpointer *self);

#endif
