/*
 * Lists: the API's cursors over the order of creation.
 */
#include <stdint.h>

#include "assistants/internal.h"
#include "obs/log.h"
#include "text/text.h"

enum {
	LIMIT_DEFAULT = 20,
	LIMIT_MAX = 100,
	/* Of their rows, read at once: an answer and its JSON take some times as much. */
	BYTES_MAX = 256 << 10
};

/*
 * Reads one `name=value`; false when it was refused. What the API does not know is ignored, and so
 * is a name without a value, as programs send them for what is not set.
 */
static bool
read_parameter(
    struct call *call, struct page *page, const char *name, char *value, bool with_run_id)
{
	char **id = strcmp(name, "after") == 0           ? &page->after
	    : strcmp(name, "before") == 0                ? &page->before
	    : with_run_id && strcmp(name, "run_id") == 0 ? &page->run_id
							 : NULL;

	if (!*value)
		return true;
	if (id) {
		free(*id);
		*id = strdup(value);
		return *id != NULL;
	}
	if (strcmp(name, "limit") == 0) {
		if (parse_number(value, 1, LIMIT_MAX, &page->limit) == 0)
			return true;
		refuse(
		    call, name, "Invalid 'limit': accepted are integers from 1 to %d.", LIMIT_MAX);
		return false;
	}
	if (strcmp(name, "order") == 0) {
		page->ascending = strcmp(value, "asc") == 0;
		if (page->ascending || strcmp(value, "desc") == 0)
			return true;
		refuse(call, name, "Invalid 'order': accepted are 'asc' and 'desc'.");
		return false;
	}
	return true;
}

bool
page_read(struct call *call, struct page *page, bool with_run_id)
{
	const char *at = call->request->query;
	bool good = true;

	*page = (struct page){.limit = LIMIT_DEFAULT};
	while (good && at && *at) {
		size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
		char *name = percent_decode(at, name_len);
		char *value = len > name_len ? percent_decode(at + name_len + 1, len - name_len - 1)
					     : strdup("");

		if (name && value) {
			good = read_parameter(call, page, name, value, with_run_id);
		} else {
			refuse(call, NULL,
			    "The query is broken: its percent-encoding, or a NUL in it.");
			good = false;
		}
		free(name);
		free(value);
		at += len + (at[len] == '&');
	}
	if (good && call->request->rest_after) {
		free(page->after);
		page->after = strdup(call->request->rest_after);
		page->limit = call->request->rest_limit;
		good = page->after;
	}
	if (!good)
		page_free(page);
	return good;
}

void
page_free(struct page *page)
{
	free(page->after);
	free(page->before);
	free(page->run_id);
	*page = (struct page){0};
}

static int
bind_owner(struct db_stmt *stmt, int index, const struct list *list)
{
	if (list->owner)
		db_bind_int(stmt, index, list->owner);
	else
		db_bind_text(stmt, index, list->tenant);
	return index + 1;
}

/* The seq that a cursor stands for. 1 found, 0 not, -1 failed. */
static int
find_cursor(const struct list *list, const char *id, long long *seq)
{
	struct db_stmt *stmt = db_prepare(list->tx, list->cursor_sql);
	enum db_result result;

	db_bind_text(stmt, 1, id);
	bind_owner(stmt, 2, list);
	result = db_step(stmt);
	if (result == DB_ROW)
		*seq = db_int(stmt, 0);
	return db_finish(stmt, result);
}

/* The bounds that after and before set. False when a cursor is unknown: refused. */
static bool
find_bounds(struct call *call, const struct page *page, const struct list *list, long long *low,
    long long *high)
{
	const char *names[] = {"after", "before"}, *ids[] = {page->after, page->before};
	/* In a descending list what comes after is older. */
	long long *bounds[] = {page->ascending ? low : high, page->ascending ? high : low};

	for (int i = 0; i < 2; i++) {
		int found = ids[i] ? find_cursor(list, ids[i], bounds[i]) : 1;

		if (found == 0)
			refuse_unknown_at(call, names[i], list->kind, list->prefix, ids[i]);
		else if (found < 0)
			fail(call);
		if (found != 1)
			return false;
	}
	return true;
}

static void
reverse(struct json_object *array)
{
	for (size_t low = 0, high = json_len(array); low + 1 < high; low++, high--) {
		struct json_object *first = json_object_get(json_at(array, low));
		struct json_object *last = json_object_get(json_at(array, high - 1));

		json_object_array_put_idx(array, low, last);
		json_object_array_put_idx(array, high - 1, first);
	}
}

struct json_object *
list_object(struct json_object *data, bool has_more)
{
	struct json_object *body = json_object_new_object();

	json_set_string(body, "object", "list");
	json_set_string(body, "first_id", json_get_string(json_at(data, 0), "id"));
	json_set_string(body, "last_id",
	    json_len(data) ? json_get_string(json_at(data, json_len(data) - 1), "id") : NULL);
	json_set(body, "has_more", json_object_new_boolean(has_more));
	json_set(body, "data", data);
	return body;
}

void
list_answer(struct call *call, const struct page *page, struct list *list)
{
	/*
	 * With `before` alone the objects nearest to it are wanted: read the other way, then turned
	 * round.
	 */
	bool backward = page->before && !page->after;
	bool ascending = page->ascending != backward, has_more = false;
	size_t bytes = 0;
	long long low = 0, high = INT64_MAX;
	struct json_object *data = NULL;
	enum db_result result;
	struct db_stmt *stmt;
	int index;

	if (!find_bounds(call, page, list, &low, &high))
		goto out;
	stmt = db_prepare(list->tx, ascending ? list->sql_ascending : list->sql_descending);
	index = bind_owner(stmt, 1, list);
	db_bind_int(stmt, index++, low);
	db_bind_int(stmt, index++, high);
	db_bind_int(stmt, index, page->limit + 1);
	data = json_object_new_array();
	while ((result = db_step(stmt)) == DB_ROW) {
		has_more = (long long)json_len(data) == page->limit || bytes >= BYTES_MAX;
		if (has_more)
			break;
		bytes += db_row_size(stmt);
		json_add(data, list->compose(stmt, list->arg));
	}
	/* What comes before a place cannot be read on from where it was cut. */
	if (has_more && !backward)
		call->response->left_out = page->limit - (long long)json_len(data);
	db_finish(stmt, result);
	if (result < 0) {
		json_object_put(data);
		fail(call);
		goto out;
	}
	if (backward)
		reverse(data);
	answer(call, 200, list_object(data, has_more));
out:
	db_rollback(list->tx);
}

struct json_object *
time_or_null(struct db_stmt *row, int column)
{
	return db_is_null(row, column) ? NULL : json_object_new_int64(db_int(row, column));
}

struct json_object *
json_column(struct db_stmt *row, int column)
{
	const char *text = db_text(row, column);
	struct json_object *value = NULL;

	if (text && json_parse(text, strlen(text), &value) < 0)
		log_error("database: a column that should hold JSON does not");
	return value;
}

int
body_load(struct db_stmt *stmt, struct json_object **body)
{
	enum db_result result = db_step(stmt);

	*body = result == DB_ROW ? json_column(stmt, 0) : NULL;
	if (result == DB_ROW && !*body)
		result = DB_ERROR;
	return db_finish(stmt, result);
}
