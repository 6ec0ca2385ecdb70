#include "records/run_options.h"

#include "os/hash.h"
#include "text/json.h"

/* 1 with *seq; 0: not found; -1: failed. */
static int
find(struct db_tx *tx, const char *hash, long long *seq)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT seq FROM run_options WHERE hash = ?");

	db_bind_text(stmt, 1, hash);
	return record_number(stmt, seq);
}

static int
store(struct db_tx *tx, const char *text, long long *seq)
{
	char hash[SHA256_HEX_SIZE];
	struct db_stmt *stmt;
	int found;

	sha256_hex(text, strlen(text), hash);
	found = find(tx, hash, seq);
	if (found != 0)
		return found;
	stmt = db_prepare(
	    tx, "INSERT INTO run_options (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING");
	db_bind_text(stmt, 1, hash);
	db_bind_text(stmt, 2, text);
	return db_execute(stmt) < 0 ? -1 : find(tx, hash, seq);
}

/* Null, not absent, so that the metadata keeps its place among the members. */
int
run_options_store(struct db_tx *tx, struct json_object *body, long long *seq)
{
	struct json_object *metadata = json_object_get(json_get(body, "metadata"));
	int stored;

	if (metadata)
		json_set(body, "metadata", NULL);
	stored = store(tx, json_text(body), seq);
	if (metadata)
		json_set(body, "metadata", metadata);
	return stored == 1 ? 1 : -1;
}

int
run_options_release(struct db_tx *tx, long long seq)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "DELETE FROM run_options WHERE seq = ? AND NOT EXISTS "
	    "(SELECT 1 FROM runs WHERE options = ?)");

	db_bind_int(stmt, 1, seq);
	db_bind_int(stmt, 2, seq);
	return db_execute(stmt) < 0 ? -1 : 0;
}
