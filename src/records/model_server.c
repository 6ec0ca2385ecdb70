#include "records/model_server.h"

#include "os/clock.h"
#include "text/buf.h"

enum { DAY_S = 86400, NEEDS_MAX = 1024 };

/* As in "no temperature, no system role". */
static void
print_needs(struct buf *out, unsigned needs)
{
	for (const struct model_need_name *at = model_need_names; at->name; at++)
		if (needs & at->need)
			buf_printf(out, "%s%s", out->len ? ", " : "", at->name);
}

/* Unknown words are another version's; they are ignored. */
static unsigned
parse_needs(const char *text)
{
	unsigned needs = 0;

	while (text && *text) {
		size_t len = strcspn(text, ",");

		for (const struct model_need_name *at = model_need_names; at->name; at++)
			if (strlen(at->name) == len && strncmp(at->name, text, len) == 0)
				needs |= at->need;
		text += len;
		text += strspn(text, ", ");
	}
	return needs;
}

static enum db_result
load(struct db_tx *tx, const char *base_url, const char *model, unsigned *needs)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "SELECT needs FROM model_servers WHERE base_url = ? AND model = ? AND until > ?");
	enum db_result result;

	db_bind_text(stmt, 1, base_url);
	db_bind_text(stmt, 2, model);
	db_bind_int(stmt, 3, clock_unix());
	result = db_step(stmt);
	*needs = result == DB_ROW ? parse_needs(db_text(stmt, 0)) : 0;
	return db_finish(stmt, result);
}

struct finding {
	const char *base_url, *model;
	unsigned needs;
};

static bool
read_needs(struct db_tx *tx, void *arg)
{
	struct finding *finding = arg;

	return load(tx, finding->base_url, finding->model, &finding->needs) >= 0;
}

static unsigned
recall(void *arg, const char *model)
{
	struct model_server_record *record = arg;
	struct finding finding = {record->base_url, model, 0};

	db_read(record->db, read_needs, &finding);
	return finding.needs;
}

static bool
store(struct db_tx *tx, void *arg)
{
	const struct finding *finding = arg;
	struct buf text = BUF_INIT(NEEDS_MAX);
	long long now = clock_unix();
	struct db_stmt *stmt;
	unsigned known;
	bool stored;

	if (load(tx, finding->base_url, finding->model, &known) < 0)
		return false;
	print_needs(&text, known | finding->needs);
	stmt = db_prepare(tx, "DELETE FROM model_servers WHERE until <= ?");
	db_bind_int(stmt, 1, now);
	stored = db_execute(stmt) >= 0;
	stmt = db_prepare(tx,
	    "INSERT INTO model_servers (base_url, model, needs, until) VALUES (?, ?, ?, ?) "
	    "ON CONFLICT (base_url, model) DO UPDATE SET needs = excluded.needs, "
	    "until = excluded.until");
	db_bind_text(stmt, 1, finding->base_url);
	db_bind_text(stmt, 2, finding->model);
	db_bind_text(stmt, 3, text.data ? text.data : "");
	db_bind_int(stmt, 4, now + DAY_S);
	stored = db_execute(stmt) >= 0 && stored;
	buf_free(&text);
	return stored;
}

/* A failure is logged by db/ and does little harm: it will be found out again. */
static void
keep(void *arg, const char *model, unsigned needs)
{
	struct model_server_record *record = arg;
	struct finding finding = {record->base_url, model, needs};

	db_write(record->db, DB_WRITE_RELAXED, store, &finding);
}

struct model_memory
model_server_memory(struct model_server_record *record)
{
	return (struct model_memory){.recall = recall, .keep = keep, .arg = record};
}
