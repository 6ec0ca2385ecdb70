#include "records/file.h"

#include "text/json.h"

enum { ID, CREATED_AT, EXPIRES_AT, BYTES, PURPOSE, FILENAME };
#define SELECT "SELECT id, created_at, expires_at, bytes, purpose, filename FROM files "
#define OWNED "WHERE id = ? AND tenant = ?"
#define RANGE "WHERE tenant = ? AND seq > ? AND seq < ? ORDER BY seq"
#define RANGE_OF_PURPOSE "WHERE tenant = ? AND purpose = ? AND seq > ? AND seq < ? ORDER BY seq"

static struct json_object *
json(struct db_stmt *row)
{
	struct json_object *file = json_new_object();

	json_set_string(file, "id", db_text(row, ID));
	json_set_string(file, "object", "file");
	json_set_int(file, "bytes", db_int(row, BYTES));
	json_set_int(file, "created_at", db_int(row, CREATED_AT));
	if (db_int(row, EXPIRES_AT))
		json_set_int(file, "expires_at", db_int(row, EXPIRES_AT));
	json_set_string(file, "filename", db_text(row, FILENAME));
	json_set_string(file, "purpose", db_text(row, PURPOSE));
	json_set_string(file, "status", "processed");
	return file;
}

const struct record file_record = {
    .find = SELECT OWNED,
    .list = {SELECT RANGE " LIMIT ?", SELECT RANGE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM files " OWNED,
    .remove = "DELETE FROM files " OWNED,
    .json = json,
};

const struct record file_of_purpose_record = {
    .list = {SELECT RANGE_OF_PURPOSE " LIMIT ?", SELECT RANGE_OF_PURPOSE " DESC LIMIT ?"},
    .cursor = "SELECT seq FROM files " OWNED,
    .json = json,
};

int
file_insert(struct db_tx *tx, const struct file *file)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO files (id, tenant, created_at, expires_at, bytes, purpose, filename, "
	    "blob) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");

	db_bind_text(stmt, 1, file->id);
	db_bind_text(stmt, 2, file->tenant);
	db_bind_int(stmt, 3, file->created_at);
	if (file->expires_at)
		db_bind_int(stmt, 4, file->expires_at);
	else
		db_bind_text(stmt, 4, NULL);
	db_bind_int(stmt, 5, file->bytes);
	db_bind_text(stmt, 6, file->purpose);
	db_bind_text(stmt, 7, file->filename);
	db_bind_text(stmt, 8, file->blob);
	return db_execute(stmt);
}

int
file_bytes_of(struct db_tx *tx, const char *tenant, long long *bytes)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "SELECT coalesce(sum(bytes), 0) FROM files WHERE tenant = ?");

	db_bind_text(stmt, 1, tenant);
	return record_number(stmt, bytes);
}

/* Reads a blob's name and a number. */
static int
read_blob(struct db_stmt *stmt, char blob[ID_SIZE], long long *number)
{
	enum db_result result = db_step(stmt);

	if (result == DB_ROW) {
		const char *name = db_text(stmt, 0);

		snprintf(blob, ID_SIZE, "%s", name ? name : "");
		*number = db_int(stmt, 1);
	}
	return db_finish(stmt, result);
}

int
file_blob(
    struct db_tx *tx, const char *id, const char *tenant, char blob[ID_SIZE], long long *bytes)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT blob, bytes FROM files " OWNED);

	db_bind_text(stmt, 1, id);
	db_bind_text(stmt, 2, tenant);
	return read_blob(stmt, blob, bytes);
}

int
file_has_blob(struct db_tx *tx, const char *blob)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT count(*) FROM files WHERE blob = ?");
	long long count = 0;

	db_bind_text(stmt, 1, blob);
	return record_number(stmt, &count) < 0 ? -1 : count > 0;
}

int
file_remove_expired(struct db_tx *tx, long long now, char blob[ID_SIZE])
{
	struct db_stmt *stmt = db_prepare(
	    tx, "SELECT blob, seq FROM files WHERE expires_at <= ? ORDER BY expires_at LIMIT 1");
	long long seq = 0;
	int found;

	db_bind_int(stmt, 1, now);
	found = read_blob(stmt, blob, &seq);
	if (found != 1)
		return found;
	stmt = db_prepare(tx, "DELETE FROM files WHERE seq = ?");
	db_bind_int(stmt, 1, seq);
	return db_execute(stmt);
}
