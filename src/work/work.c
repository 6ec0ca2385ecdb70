#include "work/work.h"

#include "os/clock.h"
#include "work/leases.h"

static const char *const kinds[] = {"run"};

static int
execute(struct db_stmt *stmt, int index, enum work_kind kind, long long subject)
{
	db_bind_text(stmt, index, kinds[kind]);
	db_bind_int(stmt, index + 1, subject);
	return db_execute(stmt);
}

int
work_put(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "INSERT INTO work (holder, lease_until, kind, subject) VALUES (?, ?, ?, ?) "
	    "ON CONFLICT (kind, subject) DO UPDATE SET holder = excluded.holder, "
	    "lease_until = excluded.lease_until");

	db_bind_text(stmt, 1, holder);
	db_bind_time(stmt, 2, holder ? clock_unix() + LEASE_S : 0);
	return execute(stmt, 3, kind, subject);
}

int
work_claim(struct db_tx *tx, enum work_kind kind, const char *holder, long long *subject)
{
	struct db_stmt *stmt = db_prepare(tx,
	    "UPDATE work SET holder = ?, lease_until = ? WHERE holder IS NULL AND kind = ? AND "
	    "subject = (SELECT subject FROM work WHERE kind = ? AND holder IS NULL "
	    "ORDER BY subject LIMIT 1) RETURNING subject");
	enum db_result result;

	db_bind_text(stmt, 1, holder);
	db_bind_int(stmt, 2, clock_unix() + LEASE_S);
	db_bind_text(stmt, 3, kinds[kind]);
	db_bind_text(stmt, 4, kinds[kind]);
	result = db_step(stmt);
	if (result == DB_ROW)
		*subject = db_int(stmt, 0);
	return db_finish(stmt, result);
}

int
work_keep(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "UPDATE work SET lease_until = ? WHERE holder = ? AND kind = ? AND subject = ?");

	db_bind_int(stmt, 1, clock_unix() + LEASE_S);
	db_bind_text(stmt, 2, holder);
	return execute(stmt, 3, kind, subject);
}

int
work_keep_all(struct db_tx *tx, const char *holder)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE work SET lease_until = ? WHERE holder = ?");

	db_bind_int(stmt, 1, clock_unix() + LEASE_S);
	db_bind_text(stmt, 2, holder);
	return db_execute(stmt);
}

int
work_done(struct db_tx *tx, enum work_kind kind, long long subject, const char *holder)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "DELETE FROM work WHERE holder = ? AND kind = ? AND subject = ?");

	db_bind_text(stmt, 1, holder);
	return execute(stmt, 2, kind, subject);
}

int
work_drop(struct db_tx *tx, enum work_kind kind, long long subject)
{
	return execute(
	    db_prepare(tx, "DELETE FROM work WHERE kind = ? AND subject = ?"), 1, kind, subject);
}
