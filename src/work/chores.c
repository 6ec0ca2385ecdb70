#include "work/chores.h"

#include "os/clock.h"

enum {
	DAY_S = 24 * 60 * 60,
	LATE_S = 60 * 60 /* overdue by more: the clock may be wrong, so wait */
};

struct turn {
	const struct chore *chore;
	long long now, due_at, cursor;
	bool taken;
};

static int
read_row(struct db_tx *tx, struct turn *turn)
{
	struct db_stmt *stmt = db_prepare(tx, "SELECT due_at, cursor FROM chores WHERE name = ?");
	enum db_result result;

	db_bind_text(stmt, 1, turn->chore->name);
	result = db_step(stmt);
	if (result == DB_ROW) {
		turn->due_at = db_int(stmt, 0);
		turn->cursor = db_int(stmt, 1);
	}
	return db_finish(stmt, result);
}

static int
write_row(struct db_tx *tx, const struct chore *chore, long long due_at, long long cursor)
{
	struct db_stmt *stmt =
	    db_prepare(tx, "UPDATE chores SET due_at = ?, cursor = ? WHERE name = ?");

	db_bind_int(stmt, 1, due_at);
	db_bind_int(stmt, 2, cursor);
	db_bind_text(stmt, 3, chore->name);
	return db_execute(stmt);
}

static bool
read_due(struct db_tx *tx, void *arg)
{
	return read_row(tx, arg) == 1;
}

long long
chore_seconds_left(struct db *db, const struct chore *chore)
{
	struct turn turn = {.chore = chore};
	long long left;

	if (db_read(db, read_due, &turn) != 1)
		return -1;
	left = turn.due_at - clock_unix();
	/* due_at is never set further ahead than this: the clock was set back. */
	return left < 0 || left > DAY_S ? 0 : left;
}

/* A clock that was set ahead makes everything due at once; so does a pause of the program. */
static bool
write_claim(struct db_tx *tx, void *arg)
{
	struct turn *turn = arg;
	long long cursor;
	bool late;

	if (read_row(tx, turn) != 1)
		return false;
	cursor = turn->cursor;
	/* A negative cursor says that the day's wait is over. */
	if (cursor < 0)
		turn->cursor = -1 - cursor;
	turn->taken = false;
	if (turn->due_at > turn->now && turn->due_at <= turn->now + DAY_S)
		return true;
	late = cursor >= 0 && turn->due_at > 0 && turn->now - turn->due_at > LATE_S;
	turn->taken = !late;
	return write_row(tx, turn->chore, turn->now + (late ? DAY_S : turn->chore->piece_s),
		   late ? -1 - cursor : turn->cursor) == 1;
}

int
chore_claim(struct db *db, const struct chore *chore, long long now, long long *cursor)
{
	struct turn turn = {.chore = chore, .now = now};

	if (db_write(db, DB_WRITE, write_claim, &turn) != 1)
		return -1;
	*cursor = turn.cursor;
	return turn.taken;
}

static bool
write_release(struct db_tx *tx, void *arg)
{
	const struct turn *turn = arg;

	return write_row(tx, turn->chore, turn->due_at, turn->cursor) == 1;
}

void
chore_release(struct db *db, const struct chore *chore, long long due_at, long long cursor)
{
	struct turn turn = {.chore = chore, .due_at = due_at, .cursor = cursor};

	db_write(db, DB_WRITE, write_release, &turn);
}
