#include "records/idempotency.h"

#include "os/clock.h"
#include "os/hash.h"

enum {
	KEPT_S = 24 * 60 * 60,
	/* No request that is not a stream takes this long: its process was killed. */
	BUSY_MAX_S = 300,
	STREAM_STATUS = 200
};

static int
forget_old(struct db_tx *tx)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "DELETE FROM idempotent_requests WHERE created_at <= ?");

	db_bind_int(stmt, 1, clock_unix() - KEPT_S);
	return db_execute(stmt);
}

static void
bind_place(struct db_stmt *stmt, int index, const struct idempotent *request)
{
	db_bind_text(stmt, index, request->tenant);
	db_bind_text(stmt, index + 1, request->path);
	db_bind_text(stmt, index + 2, request->key);
}

/* 1; 0: it exists already; -1: failed. */
static int
keep(struct db_tx *tx, const struct idempotent *request, const char *hash)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO idempotent_requests"
	    " (tenant, path, client_key, body_hash, created_at, status) VALUES (?, ?, ?, ?, ?, ?)"
	    " ON CONFLICT DO NOTHING");

	bind_place(stmt, 1, request);
	db_bind_text(stmt, 4, hash);
	db_bind_int(stmt, 5, clock_unix());
	if (request->streams)
		db_bind_int(stmt, 6, STREAM_STATUS);
	else
		db_bind_text(stmt, 6, NULL);
	return db_execute(stmt);
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

struct beginning {
	const struct idempotent *request;
	char hash[SHA256_HEX_SIZE];
	struct idempotency_found *found;
	enum idempotency state;
};

static bool
write_beginning(struct db_tx *tx, void *arg)
{
	struct beginning *beginning = arg;
	int kept = forget_old(tx) < 0 ? -1 : keep(tx, beginning->request, beginning->hash);

	beginning->state = kept == 1 ? IDEMPOTENCY_FIRST : IDEMPOTENCY_FAILED;
	if (kept == 0)
		beginning->state = find(tx, beginning->request, beginning->hash, beginning->found);
	return kept == 1;
}

enum idempotency
idempotency_begin(struct db *db, const struct idempotent *request, struct idempotency_found *found)
{
	struct beginning beginning = {.request = request, .found = found};

	sha256_hex(request->body, request->body_len, beginning.hash);
	return db_write(db, DB_WRITE, write_beginning, &beginning) < 0 ? IDEMPOTENCY_FAILED
								       : beginning.state;
}

struct ending {
	const struct idempotent *request;
	int status;
	const char *answer;
};

static bool
write_ending(struct db_tx *tx, void *arg)
{
	const struct ending *ending = arg;
	struct db_stmt *stmt;
	int place = 1;

	if (ending->status >= 400) {
		stmt = db_prepare(tx,
		    "DELETE FROM idempotent_requests"
		    " WHERE tenant = ? AND path = ? AND client_key = ?");
	} else {
		stmt = db_prepare(tx,
		    "UPDATE idempotent_requests SET status = ?, answer = ?"
		    " WHERE tenant = ? AND path = ? AND client_key = ?");
		db_bind_int(stmt, place++, ending->status);
		db_bind_text(stmt, place++, ending->answer);
	}
	bind_place(stmt, place, ending->request);
	return db_execute(stmt) >= 0;
}

void
idempotency_end(struct db *db, const struct idempotent *request, int status, const char *answer)
{
	struct ending ending = {request, status, answer};

	/* Of a stream, the status is stored already. */
	if (answer)
		db_write(db, DB_WRITE, write_ending, &ending);
}
