#include "v1/idempotency.h"

#include "os/clock.h"
#include "os/hash.h"

enum {
	KEPT_S = 24 * 60 * 60,
	/* No request that is not a stream takes so long: its process has ended. */
	BUSY_MAX_S = 300,
	STREAM_STATUS = 200
};

static enum db_result
forget_old(struct db_tx *tx)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "DELETE FROM idempotent_requests WHERE created_at <= ?");

	db_bind_int(stmt, 1, clock_unix() - KEPT_S);
	return db_finish(stmt, db_step(stmt));
}

static void
bind_place(struct db_stmt *stmt, int index, const struct idempotent *request)
{
	db_bind_text(stmt, index, request->tenant);
	db_bind_text(stmt, index + 1, request->path);
	db_bind_text(stmt, index + 2, request->key);
}

/* DB_CONFLICT: it is there. */
static enum db_result
keep(struct db_tx *tx, const struct idempotent *request, const char *hash)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO idempotent_requests"
	    " (tenant, path, client_key, body_hash, created_at, status) VALUES (?, ?, ?, ?, ?, ?)");

	bind_place(stmt, 1, request);
	db_bind_text(stmt, 4, hash);
	db_bind_int(stmt, 5, clock_unix());
	if (request->streams)
		db_bind_int(stmt, 6, STREAM_STATUS);
	else
		db_bind_text(stmt, 6, NULL);
	return db_finish(stmt, db_step(stmt));
}

static enum idempotency
read_row(struct db_stmt *row, const char *hash, struct idempotency_found *found)
{
	const char *first_hash = db_text(row, 0), *answer = db_text(row, 3);

	if (!first_hash || strcmp(first_hash, hash) != 0)
		return IDEMPOTENCY_OTHER;
	if (db_is_null(row, 2))
		return clock_unix() - db_int(row, 1) < BUSY_MAX_S ? IDEMPOTENCY_BUSY
								  : IDEMPOTENCY_LOST;
	if (!answer)
		return IDEMPOTENCY_STREAMED;
	found->status = (int)db_int(row, 2);
	found->answer = strdup(answer);
	return found->answer ? IDEMPOTENCY_ANSWERED : IDEMPOTENCY_FAILED;
}

static enum idempotency
find(struct db_tx *tx, const struct idempotent *request, const char *hash,
    struct idempotency_found *found)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "SELECT body_hash, created_at, status, answer FROM idempotent_requests"
	    " WHERE tenant = ? AND path = ? AND client_key = ?");
	enum idempotency state = IDEMPOTENCY_FAILED;
	enum db_result result;

	bind_place(stmt, 1, request);
	result = db_step(stmt);
	if (result == DB_ROW)
		state = read_row(stmt, hash, found);
	db_finish(stmt, result);
	return state;
}

enum idempotency
idempotency_begin(struct db *db, const struct idempotent *request, struct idempotency_found *found)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	enum idempotency state = IDEMPOTENCY_FAILED;
	char hash[SHA256_HEX_SIZE];
	enum db_result kept;

	if (!tx)
		return IDEMPOTENCY_FAILED;
	sha256_hex(request->body, request->body_len, hash);
	kept = forget_old(tx) == DB_DONE ? keep(tx, request, hash) : DB_ERROR;
	if (kept == DB_CONFLICT)
		state = find(tx, request, hash, found);
	if (kept != DB_DONE) {
		db_rollback(tx);
		return state;
	}
	return db_commit(tx) == 0 ? IDEMPOTENCY_FIRST : IDEMPOTENCY_FAILED;
}

void
idempotency_end(struct db *db, const struct idempotent *request, int status, const char *answer)
{
	struct db_tx *tx;
	struct db_stmt *stmt;
	int place = 1;

	/* A stream's status stands there already. */
	if (!answer)
		return;
	tx = db_begin(db, DB_WRITE);
	if (!tx)
		return;
	if (status >= 400) {
		stmt = db_prepare(tx,
		    "DELETE FROM idempotent_requests"
		    " WHERE tenant = ? AND path = ? AND client_key = ?");
	} else {
		stmt = db_prepare(tx,
		    "UPDATE idempotent_requests SET status = ?, answer = ?"
		    " WHERE tenant = ? AND path = ? AND client_key = ?");
		db_bind_int(stmt, place++, status);
		db_bind_text(stmt, place++, answer);
	}
	bind_place(stmt, place, request);
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		db_commit(tx);
	else
		db_rollback(tx);
}
