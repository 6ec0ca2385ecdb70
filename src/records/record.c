#include "records/record.h"

#include "obs/log.h"
#include "text/json.h"

static void
bind_owner(struct db_stmt *stmt, int index, const struct owner *owner)
{
	if (owner->seq)
		db_bind_int(stmt, index, owner->seq);
	else
		db_bind_text(stmt, index, owner->tenant);
}

static struct db_stmt *
prepare(struct db_tx *tx, const char *sql, const char *id, const struct owner *owner)
{
	struct db_stmt *stmt = db_prepare(tx, sql);

	db_bind_text(stmt, 1, id);
	bind_owner(stmt, 2, owner);
	return stmt;
}

int
record_find(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object **object)
{
	struct db_stmt *stmt = prepare(tx, record->find, id, owner);
	enum db_result result = db_step(stmt);

	*object = result == DB_ROW ? record->json(stmt) : NULL;
	if (result == DB_ROW && !*object)
		result = DB_ERROR;
	return db_finish(stmt, result);
}

int
record_cursor(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, long long *seq)
{
	return record_number(prepare(tx, record->cursor, id, owner), seq);
}

int
record_body(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object **body)
{
	struct db_stmt *stmt = prepare(tx, record->body, id, owner);
	enum db_result result = db_step(stmt);

	*body = result == DB_ROW ? record_json(stmt, 0) : NULL;
	if (result == DB_ROW && !*body)
		result = DB_ERROR;
	return db_finish(stmt, result);
}

int
record_store_body(struct db_tx *tx, const struct record *record, const char *id,
    const struct owner *owner, struct json_object *body)
{
	struct db_stmt *stmt = db_prepare(tx, record->store_body);

	record_bind_json(stmt, 1, body);
	db_bind_text(stmt, 2, id);
	bind_owner(stmt, 3, owner);
	return db_execute(stmt);
}

int
record_remove(
    struct db_tx *tx, const struct record *record, const char *id, const struct owner *owner)
{
	return db_execute(prepare(tx, record->remove, id, owner));
}

int
record_list(struct db_tx *tx, const struct record *record, const struct owner *owner,
    const struct record_range *range, size_t bytes_max, struct json_object **array, bool *more)
{
	struct db_stmt *stmt = db_prepare(tx, record->list[range->newest_first]);
	enum db_result result;
	size_t bytes = 0;
	int index = 1;

	bind_owner(stmt, index++, owner);
	if (owner->word)
		db_bind_text(stmt, index++, owner->word);
	db_bind_int(stmt, index++, range->low);
	db_bind_int(stmt, index++, range->high);
	db_bind_int(stmt, index, range->limit + 1);
	*array = json_new_array();
	*more = false;
	while ((result = db_step(stmt)) == DB_ROW) {
		*more = (long long)json_len(*array) == range->limit || bytes >= bytes_max;
		if (*more)
			break;
		bytes += db_row_size(stmt);
		json_add(*array, record->json(stmt));
	}
	return db_finish(stmt, result) < 0 ? -1 : 0;
}

static bool
read_nothing(struct db_tx *tx, void *arg)
{
	return record_number(
		   db_prepare(tx, "SELECT count(*) FROM assistants WHERE seq = 0"), arg) == 1;
}

bool
records_answer(struct db *db)
{
	long long none;

	return db_read(db, read_nothing, &none) == 1;
}

struct json_object *
record_json(struct db_stmt *row, int column)
{
	const char *text = db_text(row, column);
	struct json_object *value = NULL;

	if (text && json_parse(text, strlen(text), &value) < 0)
		log_error("database: a column that should hold JSON does not");
	return value;
}

struct json_object *
record_time(long long at)
{
	return at ? json_new_int(at) : NULL;
}

void
record_bind_json(struct db_stmt *stmt, int index, struct json_object *value)
{
	db_bind_text(stmt, index, value ? json_text(value) : NULL);
}

int
record_number(struct db_stmt *stmt, long long *number)
{
	enum db_result result = db_step(stmt);

	if (result == DB_ROW)
		*number = db_int(stmt, 0);
	return db_finish(stmt, result);
}
