/* Lists: all pages, and that a deep page costs no more than the first. */
#include "api_calls.h"

#include <dlfcn.h>
#include <sqlite3.h>

enum { MANY = 45, STATEMENTS_MAX = 256 };

/* The prepared statements, to look at their plans. */
static char *statements[STATEMENTS_MAX];
static size_t statements_len;

/* Replaces SQLite's function, to see the statements. */
int
sqlite3_prepare_v3(sqlite3 *handle, const char *sql, int len, unsigned flags, sqlite3_stmt **stmt,
    const char **tail)
{
	int (*real)(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);

	/* ISO C has no cast from an object pointer to a function pointer. */
	*(void **)&real = dlsym(RTLD_NEXT, "sqlite3_prepare_v3");
	if (statements_len < STATEMENTS_MAX)
		statements[statements_len++] = strdup(sql);
	return real(handle, sql, len, flags, stmt, tail);
}

static void
forget_statements(void)
{
	while (statements_len > 0)
		free(statements[--statements_len]);
}

/* The objects of a list are named by their metadata, 1, 2, …, in the order of creation. */
struct kind {
	const char *path, *body, *prefix, *object, *unknown;
};

static const struct kind kinds[] = {
    {"/assistants", "{'model': 'm', 'metadata': {'n': '%d'}}", "asst", "assistant",
	"No assistant found with id 'asst_none'."},
    {"/threads", "{'metadata': {'n': '%d'}}", "thread", "thread",
	"No thread found with id 'thread_none'."},
    {NULL, "{'role': 'user', 'content': 'x', 'metadata': {'n': '%d'}}", "msg", "thread.message",
	"No message found with id 'msg_none'."},
};

/* The path of an empty list of that kind; messages get a new thread. */
static const char *
path_of(const struct kind *kind)
{
	static char path[300];
	struct json_object *thread;
	int status;

	if (kind->path)
		return kind->path;
	thread = call_as("us", "POST", "/threads", "{}", &status);
	snprintf(path, sizeof path, "/threads/%s/messages", json_get_string(thread, "id"));
	json_object_put(thread);
	return path;
}

static void
make_some(const struct kind *kind, const char *path, int count, char ids[][64])
{
	for (int i = 1; i <= count; i++) {
		struct json_object *object;
		char body[128], *at = strstr(kind->body, "%d");

		snprintf(
		    body, sizeof body, "%.*s%d%s", (int)(at - kind->body), kind->body, i, at + 2);
		object = call("POST", path, body);
		snprintf(ids[i], 64, "%s", json_get_string(object, "id"));
		json_object_put(object);
	}
}

static void
pages_are_what_was_asked_for(void **state)
{
	/* {N} stands for the id of the Nth object. */
	static const struct {
		const char *query, *expected;
	} rows[] = {
	    {"", "7 6 5 4 3 2 1"},
	    {"?", "7 6 5 4 3 2 1"},
	    {"?limit=3", "7 6 5+"},
	    {"?limit=7", "7 6 5 4 3 2 1"},
	    {"?limit=100&order=asc", "1 2 3 4 5 6 7"},
	    {"?order=desc&limit=1", "7+"},
	    {"?after={5}&limit=2", "4 3+"},
	    {"?after={3}&limit=2", "2 1"},
	    {"?after={1}", ""},
	    {"?order=asc&after={5}", "6 7"},
	    {"?before={3}&limit=2", "5 4+"},
	    {"?before={5}", "7 6"},
	    {"?before={7}", ""},
	    {"?order=asc&before={3}", "1 2"},
	    {"?order=asc&before={7}&limit=2", "5 6+"},
	    {"?after={6}&before={3}", "5 4"},
	    {"?order=asc&after={2}&before={6}&limit=2", "3 4+"},
	    {"?after={3}&before={6}", ""},
	    /* Programs send empty or unknown parameters. */
	    {"?limit=&order=&after=&before=", "7 6 5 4 3 2 1"},
	    {"?after={5}&include%5B%5D=x&include[]=y&foo=bar&limit=1", "4+"},
	    {"?run_id=&limit=1", "7+"},
	    {"?limit=2&limit=1", "7+"},
	};
	char ids[8][64];

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		const char *path = path_of(&kinds[k]);

		make_some(&kinds[k], path, 7, ids);
		for (size_t i = 0; i < COUNT(rows); i++) {
			char target[512], *out = target;

			out += snprintf(out, sizeof target, "%s", path);
			for (const char *at = rows[i].query; *at; at++) {
				if (*at == '{') {
					out += snprintf(out, 64, "%s", ids[at[1] - '0']);
					at += 2;
				} else {
					*out++ = *at;
				}
			}
			*out = '\0';
			check_list(target, "/metadata/n", rows[i].expected);
		}
	}
}

static void
bad_queries_are_refused(void **state)
{
	static const struct {
		const char *query, *param, *words;
	} rows[] = {
	    {"limit=0", "limit", "from 1 to 100"},
	    {"limit=101", "limit", "from 1 to 100"},
	    {"limit=-1", "limit", "from 1 to 100"},
	    {"limit=2.0", "limit", "from 1 to 100"},
	    {"limit=ten", "limit", "from 1 to 100"},
	    {"order=up", "order", "'asc' or 'desc'"},
	    {"after=%zz", NULL, "percent-encoding"},
	    {"after=a%00", NULL, "NUL"},
	    {"after=undefined", "after",
		"Invalid 'after': 'undefined'. Expected an ID that begins with"},
	    {"before=undefined", "before", "Invalid 'before': 'undefined'."},
	};
	char target[512], message[256];

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		const char *path = path_of(&kinds[k]);

		for (size_t i = 0; i < COUNT(rows); i++) {
			snprintf(target, sizeof target, "%s?%s", path, rows[i].query);
			check_refused("GET", target, NULL, 400, rows[i].param, rows[i].words);
		}
		snprintf(target, sizeof target, "%s?after=%s_none", path, kinds[k].prefix);
		check_refused("GET", target, NULL, 404, NULL, kinds[k].unknown);
	}
	/* An existing object, but of another list. */
	make(message, path_of(&kinds[2]), kinds[2].body);
	snprintf(
	    target, sizeof target, "%s?after=%s", path_of(&kinds[2]), strrchr(message, '/') + 1);
	check_refused("GET", target, NULL, 404, NULL, "No message found with id");
}

/* As SDKs read a list to its end; all objects were made within a second or two. */
static void
page_by_page_everything_comes_once(void **state)
{
	static char ids[MANY + 1][64];

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		const char *path = path_of(&kinds[k]);
		char target[400];
		int next = MANY;
		bool more = true;

		make_some(&kinds[k], path, MANY, ids);
		snprintf(target, sizeof target, "%s", path);
		while (more) {
			struct json_object *list = call("GET", target, NULL), *data;

			data = json_get_array(list, "data");
			more = json_object_get_boolean(json_get(list, "has_more"));
			if (more)
				check_int(path, json_len(data), 20);
			for (size_t i = 0; i < json_len(data) && next > 0; i++) {
				check_text(
				    path, json_get_string(json_at(data, i), "id"), ids[next--]);
				check_text(path, json_get_string(json_at(data, i), "object"),
				    kinds[k].object);
			}
			snprintf(target, sizeof target, "%s?after=%s", path,
			    json_get_string(list, "last_id"));
			json_object_put(list);
		}
		check_int(path, next, 0);
	}
}

/* Everything is looked up by a value, and a list is a range in order. */
static void
check_plan(sqlite3 *handle, const char *sql)
{
	bool is_list = strstr(sql, " ORDER BY ") != NULL;
	char explain[2048];
	sqlite3_stmt *stmt;
	int ranges = 0;

	snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(handle, explain, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(stmt, 3);

		check_has(sql, step, "SEARCH ");
		check_has(sql, step, "=?");
		ranges += strstr(step, "=? AND seq>? AND seq<?)") != NULL;
	}
	check_int(sql, ranges, is_list);
	sqlite3_finalize(stmt);
}

/* An index leads to the page's first object, and on to the next: nothing is sorted. */
static void
no_page_reads_more_than_it_shows(void **state)
{
	static const char *const queries[] = {
	    "", "?order=asc", "?after=%s", "?run_id=%s", "?order=asc&run_id=%s"};
	char assistant[256], thread[256], messages[300], *path = path_in(here.folder, "test.db");
	size_t lists = 0;
	sqlite3 *handle;

	(void)state;
	make(assistant, "/assistants", "{'model': 'm', 'instructions': 'i'}");
	make(thread, "/threads", "{}");
	snprintf(messages, sizeof messages, "%s/messages", thread);
	run_thread(assistant, thread);
	forget_statements();
	for (size_t i = 0; i < COUNT(queries); i++) {
		const char *paths[] = {"/assistants", "/threads", messages};
		const char *ids[] = {
		    strrchr(assistant, '/') + 1, strrchr(thread, '/') + 1, here.message};

		for (size_t k = 0; k < COUNT(paths); k++) {
			char target[512];
			const char *id = strstr(queries[i], "run_id") ? here.run : ids[k];
			int before = (int)strcspn(queries[i], "%");

			snprintf(target, sizeof target, "%s%.*s%s", paths[k], before, queries[i],
			    queries[i][before] ? id : "");
			json_object_put(call("GET", target, NULL));
		}
	}
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	for (size_t i = 0; i < statements_len; i++) {
		if (strncmp(statements[i], "SELECT ", 7) != 0)
			continue;
		check_plan(handle, statements[i]);
		lists += strstr(statements[i], " ORDER BY ") != NULL;
	}
	/* Both orders of assistants, threads, a thread's messages and a run's. */
	assert_int_equal(lists, 8);
	sqlite3_close(handle);
	forget_statements();
	free(path);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_open, api_close)
	const struct CMUnitTest tests[] = {
	    TEST(pages_are_what_was_asked_for),
	    TEST(bad_queries_are_refused),
	    TEST(page_by_page_everything_comes_once),
	    TEST(no_page_reads_more_than_it_shows),
	};

	return cmocka_run_group_tests_name("lists", tests, NULL, NULL);
}
