/* Requests repeated with one key: what each is answered, now and later. */
#include "support.h"

#include <time.h>

#include "os/clock.h"
#include "records/idempotency.h"

static char *folder, *path;
static struct db *db;
static long long later_s;

/* Replaces the program's clock: tests cannot wait for a day. */
long long
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec + later_s) * 1000LL + now.tv_nsec / 1000000;
}

long long
clock_unix(void)
{
	return time(NULL) + later_s;
}

static int
set_up(void **state)
{
	char error[ERROR_SIZE];

	(void)state;
	folder = folder_new();
	path = path_in(folder, "assistants.db");
	db = db_open(path, false, error);
	return db ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	db_close(db);
	free(path);
	folder_remove(folder);
	return 0;
}

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* One after the other, on one database. */
static const struct {
	const char *name;
	long long wait_s; /* before the request */
	const char *tenant, *path, *key, *body;
	bool streams;
	enum idempotency told;
	int status; /* its answer; 0: its process is killed before */
	const char *answer;
} rows[] = {
    {"the first", 0, "a", "/threads", "k", "{}", false, IDEMPOTENCY_FIRST, 200, "{\"n\":1}"},
    {"again", 0, "a", "/threads", "k", "{}", false, IDEMPOTENCY_ANSWERED, 200, "{\"n\":1}"},
    {"another body", 0, "a", "/threads", "k", "{ }", false, IDEMPOTENCY_OTHER, 0, NULL},
    {"no body", 0, "a", "/threads", "k", "", false, IDEMPOTENCY_OTHER, 0, NULL},
    {"another tenant", 0, "b", "/threads", "k", "{}", false, IDEMPOTENCY_FIRST, 200, "{\"n\":2}"},
    {"another path", 0, "a", "/assistants", "k", "{}", false, IDEMPOTENCY_FIRST, 200, "{\"n\":3}"},
    {"another key", 0, "a", "/threads", "K", "{}", false, IDEMPOTENCY_FIRST, 200, "{\"n\":4}"},
    {"still the first", 0, "a", "/threads", "k", "{}", false, IDEMPOTENCY_ANSWERED, 200,
	"{\"n\":1}"},
    {"a refused one", 0, "a", "/threads", "no", "{}", false, IDEMPOTENCY_FIRST, 400, "{}"},
    {"may be tried again", 0, "a", "/threads", "no", "x", false, IDEMPOTENCY_FIRST, 503, "{}"},
    {"and again", 0, "a", "/threads", "no", "y", false, IDEMPOTENCY_FIRST, 200, "{\"n\":5}"},
    {"until it worked", 0, "a", "/threads", "no", "y", false, IDEMPOTENCY_ANSWERED, 200,
	"{\"n\":5}"},
    {"a stream", 0, "a", "/threads/runs", "s", "{}", true, IDEMPOTENCY_FIRST, 0, NULL},
    {"is not sent twice", 0, "a", "/threads/runs", "s", "{}", true, IDEMPOTENCY_STREAMED, 0, NULL},
    {"a refused stream", 0, "a", "/threads/runs", "t", "{}", true, IDEMPOTENCY_FIRST, 404, "{}"},
    {"is tried again", 0, "a", "/threads/runs", "t", "{}", true, IDEMPOTENCY_FIRST, 404, "{}"},
    {"its process ends", 0, "a", "/threads", "l", "{}", false, IDEMPOTENCY_FIRST, 0, NULL},
    {"which nobody knows yet", 0, "a", "/threads", "l", "{}", false, IDEMPOTENCY_BUSY, 0, NULL},
    {"with another body", 0, "a", "/threads", "l", "x", false, IDEMPOTENCY_OTHER, 0, NULL},
    {"nor a minute later", MINUTE, "a", "/threads", "l", "{}", false, IDEMPOTENCY_BUSY, 0, NULL},
    {"but then", 5 * MINUTE, "a", "/threads", "l", "{}", false, IDEMPOTENCY_LOST, 0, NULL},
    {"a day is not over", 23 * HOUR, "a", "/threads", "k", "{}", false, IDEMPOTENCY_ANSWERED, 200,
	"{\"n\":1}"},
    {"it is", HOUR, "a", "/threads", "k", "{}", false, IDEMPOTENCY_FIRST, 200, "{\"n\":6}"},
};

static long long
rows_kept(void)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	struct db_stmt *stmt = db_prepare(tx, "SELECT count(*) FROM idempotent_requests");
	long long count;

	assert_int_equal(db_step(stmt), DB_ROW);
	count = db_int(stmt, 0);
	db_finish(stmt, DB_DONE);
	db_rollback(tx);
	return count;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct idempotent request = {.tenant = rows[i].tenant,
		    .path = rows[i].path,
		    .key = rows[i].key,
		    .body = rows[i].body,
		    .body_len = strlen(rows[i].body),
		    .streams = rows[i].streams};
		struct idempotency_found found = {0};

		later_s += rows[i].wait_s;
		check_int(rows[i].name, idempotency_begin(db, &request, &found), rows[i].told);
		if (rows[i].told == IDEMPOTENCY_ANSWERED) {
			check_int(rows[i].name, found.status, rows[i].status);
			check_text(rows[i].name, found.answer, rows[i].answer);
			free(found.answer);
		} else if (rows[i].status) {
			idempotency_end(db, &request, rows[i].status, rows[i].answer);
		}
	}
	/* Yesterday's are gone. */
	check_int("kept", rows_kept(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests_name("idempotency", tests, set_up, tear_down);
}
