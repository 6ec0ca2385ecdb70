/*
 * A connection to the database file, with the journal that its file system supports. Only for
 * src/db/.
 *
 * A write-ahead log needs memory that all processes share: a file, mapped by mmap(2). Machines on a
 * network file system have no such memory, and SQLite cannot tell, so this file decides by the kind
 * of file system. Some other systems have no such memory either; there SQLite reports it. In both
 * cases the rollback journal is used. It is slower: readers and the writer wait for each other.
 */
#ifndef DB_SQLITE_CONNECT_H
#define DB_SQLITE_CONNECT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum { BUSY_TIMEOUT_MS = 10000, REASON_SIZE = 256 };

struct place {
	const char *path;
	bool durable;
	bool rollback; /* the rollback journal, not the write-ahead log */
};

/*
 * SQL that sets whether later commits survive loss of power. The database itself always survives
 * it.
 */
const char *connect_synchronous(const struct place *place, bool durable);

/*
 * Opens or creates the file. Sets `place->rollback` if the file is on a network file system, or
 * there is no shared memory, and logs that. NULL with one sentence in `error`.
 */
sqlite3 *connect_first(struct place *place, char *error, size_t error_size);

/*
 * The same for a place that connect_first() has filled in. A file that is gone is not created
 * again.
 */
sqlite3 *connect_again(const struct place *place, char *error, size_t error_size);

/*
 * Runs SQL that SQLite may refuse at once with SQLITE_BUSY, where its own wait could deadlock.
 * Repeats it for as long as that wait would last. Returns an SQLite code.
 */
int connect_exec(sqlite3 *handle, const char *sql);

/* Why the last call on `handle` failed, in words: SQLite's, and the system's if there are any. */
void connect_reason(sqlite3 *handle, char reason[REASON_SIZE]);

#endif
