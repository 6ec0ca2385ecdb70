/* Lists: the API's cursors, over the order of creation. */
#include <stdint.h>

#include "assistants/objects.h"
#include "text/json.h"
#include "text/text.h"

enum {
	LIMIT_DEFAULT = 20,
	LIMIT_MAX = 100,
	/* of rows read at once; the answer and its JSON need several times as much */
	BYTES_MAX = 256 << 10
};

void
page_free(struct page *page)
{
	free(page->after);
	free(page->before);
	free(page->restriction);
	*page = (struct page){0};
}

/*
 * Reads one `name=value`. False: refused. Names that the API does not know are ignored, and so is a
 * name without a value, which programs send for what is not set.
 */
static bool
read_parameter(struct call *call, struct page *page, const char *name, char *value)
{
	const char *restriction = call->kind ? call->kind->restriction : NULL;
	long long limit_max =
	    call->kind && call->kind->limit_max ? call->kind->limit_max : LIMIT_MAX;
	char **id = strcmp(name, "after") == 0              ? &page->after
	    : strcmp(name, "before") == 0                   ? &page->before
	    : restriction && strcmp(name, restriction) == 0 ? &page->restriction
							    : NULL;

	if (!*value)
		return true;
	if (id) {
		free(*id);
		*id = strdup(value);
		return *id != NULL;
	}
	if (strcmp(name, "limit") == 0) {
		if (parse_number(value, 1, limit_max, &page->limit) == 0)
			return true;
		call_refuse(call, name, "Invalid 'limit': it must be an integer from 1 to %lld.",
		    limit_max);
		return false;
	}
	if (strcmp(name, "order") == 0) {
		page->ascending = strcmp(value, "asc") == 0;
		if (page->ascending || strcmp(value, "desc") == 0)
			return true;
		call_refuse(call, name, "Invalid 'order': it must be 'asc' or 'desc'.");
		return false;
	}
	return true;
}

bool
page_read(struct call *call, struct page *page)
{
	const char *at = call->request->query;
	bool good = true;

	*page = (struct page){.limit = LIMIT_DEFAULT};
	if (call->kind && call->kind->limit_max)
		page->limit = call->kind->limit_max;
	while (good && at && *at) {
		size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
		char *name = percent_decode(at, name_len);
		char *value = len > name_len ? percent_decode(at + name_len + 1, len - name_len - 1)
					     : strdup("");

		if (name && value) {
			good = read_parameter(call, page, name, value);
		} else {
			call_refuse(call, NULL,
			    "The query is malformed: its percent-encoding is wrong, or it has a "
			    "NUL character.");
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

struct listing {
	struct call *call;
	struct page page;
	const struct record *record;
	struct owner owner;
	struct record_range range;
};

/* Finds out whose objects are listed. */
static bool
find_place(struct listing *listing, struct db_tx *tx)
{
	struct call *call = listing->call;
	const char *restriction = listing->page.restriction;
	long long thread, run;
	int found;

	listing->record = call->kind->record;
	listing->owner = (struct owner){.tenant = call->request->tenant};
	if (call->kind->owner == OWNER_RUN)
		return call_run(call, tx, &thread, &listing->owner.seq);
	if (call->kind->owner == OWNER_TENANT) {
		if (restriction)
			listing->record = call->kind->restricted;
		listing->owner.word = restriction;
		return true;
	}
	if (!call_thread(call, tx, &listing->owner.seq))
		return false;
	if (!restriction)
		return true;
	/* A run's messages have an index of their own, so the thread need not be searched. */
	found = run_find(tx, listing->owner.seq, restriction, &run);
	if (found == 0)
		call_refuse_unknown(call, "run", "run", restriction);
	listing->record = call->kind->restricted;
	listing->owner.seq = run;
	return found == 1;
}

/* Turns `after` and `before` into a range. */
static bool
find_bounds(struct listing *listing, struct db_tx *tx)
{
	const struct page *page = &listing->page;
	struct record_range *range = &listing->range;
	const struct kind *kind = listing->call->kind;
	const char *names[] = {"after", "before"}, *ids[] = {page->after, page->before};
	/* In a descending list, what comes after is older. */
	long long *bounds[] = {page->ascending ? &range->low : &range->high,
	    page->ascending ? &range->high : &range->low};

	for (int i = 0; i < 2; i++) {
		int found = ids[i]
		    ? record_cursor(tx, listing->record, ids[i], &listing->owner, bounds[i])
		    : 1;

		if (found == 0)
			call_refuse_unknown_at(
			    listing->call, names[i], kind->name, kind->prefix, ids[i]);
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
	struct json_object *body = json_new_object();

	json_set_string(body, "object", "list");
	json_copy(body, NULL, "first_id");
	json_copy(body, NULL, "last_id");
	if (json_len(data)) {
		json_set(body, "first_id", json_object_get(json_get(json_at(data, 0), "id")));
		json_set(body, "last_id",
		    json_object_get(json_get(json_at(data, json_len(data) - 1), "id")));
	}
	json_set(body, "has_more", json_new_bool(has_more));
	json_set(body, "data", data);
	return body;
}

static bool
read_list(struct db_tx *tx, void *arg)
{
	struct listing *listing = arg;
	const struct page *page = &listing->page;
	/*
	 * With `before` alone, the objects nearest to it are wanted: they are read in reverse, and
	 * turned round.
	 */
	bool backward = page->before && !page->after, more;
	struct json_object *data;

	listing->range = (struct record_range){
	    .high = INT64_MAX, .limit = page->limit, .newest_first = page->ascending == backward};
	if (!find_place(listing, tx) || !find_bounds(listing, tx))
		return false;
	if (record_list(tx, listing->record, &listing->owner, &listing->range, BYTES_MAX, &data,
		&more) < 0) {
		json_object_put(data);
		return false;
	}
	/* A list read in reverse cannot be continued where it was cut. */
	if (more && !backward)
		listing->call->response->left_out = page->limit - (long long)json_len(data);
	if (backward)
		reverse(data);
	call_answer(listing->call, 200, list_object(data, more));
	return true;
}

void
object_list(struct call *call)
{
	struct listing listing = {.call = call};

	if (!page_read(call, &listing.page))
		return;
	call_read(call, read_list, &listing);
	page_free(&listing.page);
}
