#include "assistants/server_memory.h"

#include "util/clock.h"

enum { DAY_S = 86400 };

static bool
recall(void *arg)
{
	struct server_memory *memory = arg;
	struct db_tx *tx = db_begin(memory->db, DB_READ);
	enum db_result result;
	struct db_stmt *stmt;

	if (!tx)
		return false;
	stmt = db_prepare(tx, "SELECT 1 FROM chat_servers WHERE base_url = ? AND until > ?");
	db_bind_text(stmt, 1, memory->base_url);
	db_bind_int(stmt, 2, clock_unix());
	result = db_finish(stmt, db_step(stmt));
	db_rollback(tx);
	return result == DB_ROW;
}

/* Whether it is kept does not matter much: it would be found out again. */
static void
keep(void *arg)
{
	struct server_memory *memory = arg;
	struct db_tx *tx = db_begin(memory->db, DB_WRITE);
	struct db_stmt *stmt;

	if (!tx)
		return;
	stmt = db_prepare(tx,
	    "INSERT INTO chat_servers (base_url, until) VALUES (?, ?) "
	    "ON CONFLICT (base_url) DO UPDATE SET until = excluded.until");
	db_bind_text(stmt, 1, memory->base_url);
	db_bind_int(stmt, 2, clock_unix() + DAY_S);
	if (db_finish(stmt, db_step(stmt)) == DB_DONE)
		db_commit(tx);
	else
		db_rollback(tx);
}

struct model_memory
server_memory_model(struct server_memory *memory)
{
	return (struct model_memory){.recall = recall, .keep = keep, .arg = memory};
}
