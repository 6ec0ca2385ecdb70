/*
 * Brings a database to this program's version of the schema (schema.sql). Only for src/db/.
 */
#ifndef DB_SQLITE_MIGRATE_H
#define DB_SQLITE_MIGRATE_H

#include <sqlite3.h>

/*
 * Migrates in one transaction. -1 with one sentence in `error`, of ERROR_SIZE: it is another
 * program's database, a newer program's, or cannot be written.
 */
int migrate(sqlite3 *handle, const char *path, char *error);

#endif
