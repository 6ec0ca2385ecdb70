/*
 * A connection to the database file, with the journal that its file system bears. Only for src/db/.
 *
 * A write-ahead log needs memory that all processes share. On one machine a file has it, mapped by
 * mmap(2); across machines there is none, and SQLite cannot tell: so it is decided here, by the
 * kind of file system. Some others have none either, and there SQLite says so. In both cases the
 * rollback journal does the work, more slowly: readers and the writer then wait for each other.
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
 * SQL: whether what is committed from now on survives loss of power. The database itself always
 * does.
 */
const char *connect_synchronous(const struct place *place, bool durable);

/*
 * Opens, or creates, the file. Where there is no shared memory it sets `place->rollback`, if it is
 * not set, and says so in the log. NULL with one sentence in `error`.
 */
sqlite3 *connect_first(struct place *place, char *error, size_t error_size);

/* The same once the place is known; a file that is gone is not made again. */
sqlite3 *connect_again(const struct place *place, char *error, size_t error_size);

/*
 * Runs SQL that may be refused at once with "busy", where SQLite's own wait could deadlock: again
 * and again, as long as that waits. An SQLite code.
 */
int connect_exec(sqlite3 *handle, const char *sql);

/* Why the last call on `handle` failed, in words: SQLite's, with the system's if it had any. */
void connect_reason(sqlite3 *handle, char reason[REASON_SIZE]);

#endif
