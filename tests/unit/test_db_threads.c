/* The database used by several threads and processes at once, and statements that are kept. */
#include "support.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "db/db.h"
#include "os/interrupt.h"

enum { THREADS = 4, ROUNDS = 50, STATEMENTS = 100 };

static char *folder, *path;

/*
 * Replaces SQLite's function: the patience that db/sqlite.c asks for is too long for a test that
 * waits for its end.
 */
static atomic_int patience_ms = 60000;

static int
wait_for_lock(void *arg, int before)
{
	(void)arg;
	interrupt_sleep(NULL, 1);
	return before < patience_ms;
}

int
sqlite3_busy_timeout(sqlite3 *handle, int ms)
{
	(void)ms;
	return sqlite3_busy_handler(handle, wait_for_lock, NULL);
}

/* The same, so that a test knows how many writers are queued. */
static atomic_int queued;

int
sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *end)
{
	int result;

	(void)clock;
	(void)end;
	atomic_fetch_add(&queued, 1);
	while ((result = sem_wait(sem)) < 0 && errno == EINTR)
		;
	return result;
}

static void
await_queue(int len)
{
	while (atomic_load(&queued) < len)
		interrupt_sleep(NULL, 1);
}

static int
set_up(void **state)
{
	(void)state;
	queued = 0;
	folder = folder_new();
	path = path_in(folder, "test.db");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(path);
	folder_remove(folder);
	return 0;
}

static struct db *
open_db(void)
{
	char error[ERROR_SIZE];
	struct db *db = db_open(path, false, error);

	if (!db)
		fail_msg("%s", error);
	return db;
}

static long long
number(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_prepare(tx, sql);
	enum db_result result = db_step(stmt);
	long long value = result == DB_ROW ? db_int(stmt, 0) : -1;

	db_finish(stmt, result);
	return value;
}

static enum db_result
add_thread(struct db_tx *tx, long long index)
{
	struct db_stmt *stmt = db_prepare(
	    tx, "INSERT INTO threads (id, tenant, created_at, body) VALUES (?, '', ?, '')");
	char id[32];

	snprintf(id, sizeof id, "thread_%lld", index);
	db_bind_text(stmt, 1, id);
	db_bind_int(stmt, 2, index);
	return db_finish(stmt, db_step(stmt));
}

static long long
threads_now(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_READ);
	long long count;

	assert_non_null(tx);
	count = number(tx, "SELECT count(*) FROM threads");
	assert_int_equal(db_commit(tx), 0);
	return count;
}

/* Counts the threads and adds the next: two with the same number would conflict. */
static int
add_next(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);
	long long count;

	if (!tx)
		return -1;
	count = number(tx, "SELECT count(*) FROM threads");
	if (count < 0 || add_thread(tx, count) != DB_DONE) {
		db_rollback(tx);
		return -1;
	}
	return db_commit(tx);
}

struct worker {
	struct db *db;
	int failed;
};

static void *
work(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct db_tx *tx;

		worker->failed += add_next(worker->db) < 0;
		tx = db_begin(worker->db, DB_READ);
		worker->failed += !tx || number(tx, "SELECT count(*) FROM threads") <= 0;
		worker->failed += !tx || db_commit(tx) < 0;
	}
	return NULL;
}

/* Through all these handles; each handle is like another process. */
static void
write_from_threads(struct db *const *dbs, size_t dbs_len)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.db = dbs[i % dbs_len]};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < THREADS; i++)
		check_int("failed", workers[i].failed, 0);
	assert_int_equal(threads_now(dbs[0]), THREADS * ROUNDS);
}

static void
test_threads(void **state)
{
	struct db *db = open_db();

	(void)state;
	write_from_threads(&db, 1);
	db_close(db);
}

static void
test_processes(void **state)
{
	struct db *dbs[2] = {open_db(), open_db()};

	(void)state;
	write_from_threads(dbs, 2);
	db_close(dbs[0]);
	db_close(dbs[1]);
}

static void *
open_it(void *arg)
{
	char *error = arg;
	struct db *db = db_open(path, false, error);

	if (db)
		error[0] = '\0';
	db_close(db);
	return NULL;
}

/* The first one makes the schema; the others find all of it. */
static void
test_open_at_once(void **state)
{
	static char errors[THREADS * 2][ERROR_SIZE];
	pthread_t threads[COUNT(errors)];

	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_it, errors[i]), 0);
	for (size_t i = 0; i < COUNT(errors); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < COUNT(errors); i++)
		check_text("opened", errors[i], "");
}

/*
 * Another program holds the write lock for too long: a transaction cannot begin, and the log says
 * so. Afterwards it works again.
 */
static void
test_busy(void **state)
{
	struct db *db = open_db(), *other = open_db();
	struct db_tx *long_one = db_begin(other, DB_WRITE), *tx;
	struct capture capture;
	char *said;

	(void)state;
	assert_non_null(long_one);
	patience_ms = 50;
	capture_start(&capture);
	tx = db_begin(db, DB_WRITE);
	said = capture_end(&capture);
	patience_ms = 60000;
	assert_null(tx);
	check_has("logged", said, "test.db: begin: database is locked");
	free(said);
	/* Readers do not wait for a writer. */
	assert_int_equal(threads_now(db), 0);
	assert_int_equal(add_thread(long_one, 0), DB_DONE);
	assert_int_equal(db_commit(long_one), 0);
	assert_int_equal(add_next(db), 0);
	assert_int_equal(threads_now(other), 2);
	db_close(db);
	db_close(other);
}

struct follower {
	struct db *db;
	pthread_t thread;
	long long index;
	bool commits; /* false: it rolls back */
	bool whole;   /* by db_write() */
	int result;
};

static bool
write_one(struct db_tx *tx, void *arg)
{
	struct follower *follower = arg;

	/* Another thread may run this, where a failure of cmocka's would not be seen. */
	return add_thread(tx, follower->index) == DB_DONE && follower->commits;
}

static void *
follow(void *arg)
{
	static const int results[] = {-1, -2, 0};
	struct follower *follower = arg;
	struct db_tx *tx;

	if (follower->whole) {
		follower->result =
		    results[1 + db_write(follower->db, DB_WRITE, write_one, follower)];
		return NULL;
	}
	tx = db_begin(follower->db, DB_WRITE);
	follower->result = -2;
	if (!tx || add_thread(tx, follower->index) != DB_DONE)
		return NULL;
	if (follower->commits)
		follower->result = db_commit(tx);
	else
		db_rollback(tx);
	return NULL;
}

/* Queues writers, of which each third rolls back; `result`: of those that commit. */
static void
write_in_queue(struct db *db, rlim_t size_max, int result)
{
	struct follower followers[12];
	struct db_tx *first = db_begin(db, DB_WRITE);
	struct rlimit before, small;

	assert_non_null(first);
	assert_int_equal(add_thread(first, 100), DB_DONE);
	for (size_t i = 0; i < COUNT(followers); i++) {
		followers[i] = (struct follower){
		    .db = db, .index = (long long)i, .commits = i % 3 != 1, .whole = i % 5 > 1};
		assert_int_equal(
		    pthread_create(&followers[i].thread, NULL, follow, &followers[i]), 0);
	}
	await_queue(COUNT(followers));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = size_max, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(db_commit(first), result);
	for (size_t i = 0; i < COUNT(followers); i++)
		pthread_join(followers[i].thread, NULL);
	setrlimit(RLIMIT_FSIZE, &before);
	for (size_t i = 0; i < COUNT(followers); i++)
		assert_int_equal(followers[i].result, followers[i].commits ? result : -2);
}

/* What one writer rolls back is gone, and nothing else. */
static void
test_queue(void **state)
{
	struct db *db = open_db();
	struct db_tx *tx;

	(void)state;
	write_in_queue(db, RLIM_INFINITY, 0);
	tx = db_begin(db, DB_READ);
	assert_int_equal(number(tx, "SELECT count(*) FROM threads"), 9);
	assert_int_equal(number(tx, "SELECT count(*) FROM threads WHERE created_at % 3 = 1"), 1);
	db_rollback(tx);
	db_close(db);
}

/* A failed commit fails for all that share it; afterwards everything works again. */
static void
test_queue_not_kept(void **state)
{
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct db *db = open_db();
	struct capture capture;
	char *said;

	(void)state;
	capture_start(&capture);
	write_in_queue(db, 4000, -1);
	said = capture_end(&capture);
	signal(SIGXFSZ, handler);
	check_has("logged", said, "commit: disk I/O error (File too large)");
	free(said);
	assert_int_equal(threads_now(db), 0);
	assert_int_equal(add_next(db), 0);
	assert_int_equal(threads_now(db), 1);
	db_close(db);
}

struct looker {
	struct db *db;
	pthread_t thread;
	long long seen, kept;
};

/* Looks as a writer, which rolls nothing back, and then as a reader. */
static void *
look(void *arg)
{
	struct looker *looker = arg;
	struct db_tx *tx = db_begin(looker->db, DB_WRITE);

	if (!tx)
		return NULL;
	looker->seen = number(tx, "SELECT count(*) FROM threads");
	db_rollback(tx);
	looker->kept = threads_now(looker->db);
	return NULL;
}

/*
 * The last writer holds its turn: if the one before it returned too early, this is time enough to
 * see it.
 */
static void *
dawdle(void *arg)
{
	struct db_tx *tx = db_begin(arg, DB_WRITE);

	interrupt_sleep(NULL, 50);
	db_rollback(tx);
	return NULL;
}

/* What a writer has seen of earlier writers is committed when it has ended, however it ended. */
static void
test_queue_seen(void **state)
{
	struct db *db = open_db();
	struct looker looker = {.db = db, .seen = -1, .kept = -1};
	struct db_tx *first = db_begin(db, DB_WRITE);
	pthread_t last;

	(void)state;
	assert_non_null(first);
	assert_int_equal(add_thread(first, 0), DB_DONE);
	assert_int_equal(pthread_create(&looker.thread, NULL, look, &looker), 0);
	await_queue(1);
	assert_int_equal(pthread_create(&last, NULL, dawdle, db), 0);
	await_queue(2);
	assert_int_equal(db_commit(first), 0);
	pthread_join(looker.thread, NULL);
	pthread_join(last, NULL);
	assert_int_equal(looker.seen, 1);
	assert_int_equal(looker.kept, 1);
	db_close(db);
}

/*
 * The file disappears while some have written and others wait: none is told that it is committed.
 */
static void
test_queue_deleted(void **state)
{
	struct db *db = open_db();
	struct db_tx *first = db_begin(db, DB_WRITE);
	struct looker next = {.db = db, .seen = -1};
	struct capture capture;

	(void)state;
	assert_non_null(first);
	assert_int_equal(add_thread(first, 0), DB_DONE);
	assert_int_equal(pthread_create(&next.thread, NULL, look, &next), 0);
	await_queue(1);
	assert_int_equal(unlink(path), 0);
	capture_start(&capture);
	assert_int_equal(db_commit(first), -1);
	pthread_join(next.thread, NULL);
	free(capture_end(&capture));
	assert_int_equal(next.seen, -1);
	db_close(db);
}

static enum db_result
run_sql(struct db_tx *tx, const char *sql)
{
	struct db_stmt *stmt = db_prepare(tx, sql);

	return db_finish(stmt, db_step(stmt));
}

/* More than the database has room for. */
static enum db_result
add_too_much(struct db_tx *tx)
{
	return run_sql(tx, "INSERT INTO model_servers VALUES (hex(zeroblob(500000)), '', '', 0)");
}

static void
limit_size(struct db *db)
{
	struct db_tx *tx = db_begin(db, DB_WRITE);

	assert_non_null(tx);
	assert_int_equal(run_sql(tx, "PRAGMA max_page_count = 90"), DB_ROW);
	assert_int_equal(db_commit(tx), 0);
}

static bool
write_too_much(struct db_tx *tx, void *result)
{
	*(enum db_result *)result = add_too_much(tx);
	/* Wrong, but nothing is committed anyway. */
	return true;
}

static void *
overfill_whole(void *arg)
{
	enum db_result result = DB_DONE;

	return db_write(arg, DB_WRITE, write_too_much, &result) == -1 && result == DB_ERROR ? arg
											    : NULL;
}

static void *
overfill(void *arg)
{
	struct db_tx *tx = db_begin(arg, DB_WRITE);
	enum db_result result = tx ? add_too_much(tx) : DB_DONE;

	db_rollback(tx);
	return result == DB_ERROR ? arg : NULL;
}

/*
 * Fills the disk in the middle of a queue: earlier writers lose their work, and their commits must
 * fail.
 */
static void
overfill_queue(void *fill(void *), bool whole)
{
	struct db *db = open_db();
	struct follower behind = {.db = db, .index = 1, .commits = true, .whole = whole};
	struct capture capture;
	struct db_tx *first;
	pthread_t middle;
	void *failed;

	limit_size(db);
	first = db_begin(db, DB_WRITE);
	assert_non_null(first);
	assert_int_equal(add_thread(first, 0), DB_DONE);
	capture_start(&capture);
	assert_int_equal(pthread_create(&middle, NULL, fill, db), 0);
	await_queue(1);
	assert_int_equal(pthread_create(&behind.thread, NULL, follow, &behind), 0);
	await_queue(2);
	assert_int_equal(db_commit(first), -1);
	pthread_join(middle, &failed);
	pthread_join(behind.thread, NULL);
	free(capture_end(&capture));
	assert_non_null(failed);
	assert_int_equal(behind.result, 0);
	assert_int_equal(threads_now(db), 1);
	db_close(db);
}

static void
test_queue_full(void **state)
{
	(void)state;
	overfill_queue(overfill, false);
}

static void
test_queue_full_whole(void **state)
{
	(void)state;
	overfill_queue(overfill_whole, true);
}

/*
 * A full disk ends the transaction: a writer that goes on and claims success has committed nothing,
 * and does not affect later writers.
 */
static void
test_full(void **state)
{
	struct db *db = open_db();
	struct db_tx *first;
	struct follower followers[3];
	struct capture capture;
	char *said;

	(void)state;
	limit_size(db);
	first = db_begin(db, DB_WRITE);
	assert_non_null(first);
	for (size_t i = 0; i < COUNT(followers); i++) {
		followers[i] = (struct follower){
		    .db = db, .index = (long long)i, .commits = true, .whole = i > 0};
		assert_int_equal(
		    pthread_create(&followers[i].thread, NULL, follow, &followers[i]), 0);
	}
	await_queue(COUNT(followers));
	assert_int_equal(add_thread(first, 100), DB_DONE);
	capture_start(&capture);
	assert_int_equal(add_too_much(first), DB_ERROR);
	assert_int_equal(add_thread(first, 101), DB_ERROR);
	assert_int_equal(db_commit(first), -1);
	said = capture_end(&capture);
	check_has("logged", said, "database or disk is full");
	check_has("logged", said, "commit: an earlier error has ended the transaction");
	free(said);
	for (size_t i = 0; i < COUNT(followers); i++) {
		pthread_join(followers[i].thread, NULL);
		assert_int_equal(followers[i].result, 0);
	}
	assert_int_equal(threads_now(db), COUNT(followers));
	db_close(db);
}

static void *
read_one(void *arg)
{
	assert_int_equal(threads_now(arg), 1);
	return NULL;
}

/* As many readers at once as allowed; each sees the content, and further ones wait. */
static void
test_many_readers(void **state)
{
	struct db *db = open_db();
	struct db_tx *readers[DB_READERS_MAX];
	pthread_t beyond[4];

	(void)state;
	assert_int_equal(add_next(db), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(readers); i++) {
			readers[i] = db_begin(db, DB_READ);
			assert_non_null(readers[i]);
			assert_int_equal(number(readers[i], "SELECT count(*) FROM threads"), 1);
		}
		for (size_t i = 0; i < COUNT(beyond); i++)
			assert_int_equal(pthread_create(&beyond[i], NULL, read_one, db), 0);
		interrupt_sleep(NULL, 20);
		for (size_t i = 0; i < COUNT(readers); i++)
			assert_int_equal(db_commit(readers[i]), 0);
		for (size_t i = 0; i < COUNT(beyond); i++)
			pthread_join(beyond[i], NULL);
	}
	db_close(db);
}

static struct db_stmt *
prepare_it(struct db_tx *tx)
{
	return db_prepare(tx, "SELECT 1 WHERE ? IS NULL");
}

/* A statement is prepared once per connection, and one use leaves nothing for the next. */
static void
test_statements_are_kept(void **state)
{
	struct db *db = open_db();
	struct db_stmt *first = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct db_tx *tx = db_begin(db, DB_WRITE);
		struct db_stmt *stmt = prepare_it(tx);

		if (first)
			assert_ptr_equal(stmt, first);
		first = stmt;
		/* Nothing is bound any more, and it starts at its first row. */
		assert_int_equal(db_step(stmt), DB_ROW);
		db_finish(stmt, DB_DONE);
		assert_ptr_equal(prepare_it(tx), first);
		db_bind_int(stmt, 1, 5);
		assert_int_equal(db_step(stmt), DB_DONE);
		db_finish(stmt, DB_DONE);
		db_rollback(tx);
	}
	db_close(db);
}

/* More statements than are kept. */
static void
test_many_statements(void **state)
{
	static char sqls[STATEMENTS][32];
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_READ);

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < STATEMENTS; i++) {
			snprintf(sqls[i], sizeof sqls[i], "SELECT %d", i);
			assert_int_equal(number(tx, sqls[i]), i);
		}
	assert_int_equal(db_commit(tx), 0);
	db_close(db);
}

/* A parameter that does not exist: that use fails and is logged; the next one works. */
static void
test_bad_binding(void **state)
{
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_READ);
	struct db_stmt *stmt = prepare_it(tx);
	struct capture capture;
	enum db_result result;
	char *said;

	(void)state;
	db_bind_int(stmt, 2, 1);
	db_bind_time(stmt, 1, 0);
	capture_start(&capture);
	result = db_step(stmt);
	said = capture_end(&capture);
	assert_int_equal(result, DB_ERROR);
	check_has("logged", said, "SELECT 1 WHERE");
	free(said);
	assert_int_equal(db_finish(stmt, result), DB_ERROR);
	assert_int_equal(db_step(prepare_it(tx)), DB_ROW);
	db_finish(stmt, DB_DONE);
	assert_int_equal(db_commit(tx), 0);
	db_close(db);
}

/* A statement that cannot be prepared fails, and works as soon as it can be. */
static void
test_unprepared(void **state)
{
	static const char select[] = "SELECT v FROM later WHERE v = ?";
	struct db *db = open_db();
	struct db_tx *tx = db_begin(db, DB_WRITE);
	struct db_stmt *stmt;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct capture capture;
		enum db_result result;
		char *said;

		stmt = db_prepare(tx, select);
		db_bind_int(stmt, 1, 5);
		capture_start(&capture);
		result = db_step(stmt);
		said = capture_end(&capture);
		assert_int_equal(result, DB_ERROR);
		check_has("logged", said, select);
		free(said);
		assert_int_equal(db_finish(stmt, result), DB_ERROR);
	}
	stmt = db_prepare(tx, "CREATE TABLE later (v)");
	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	stmt = db_prepare(tx, "INSERT INTO later VALUES (5)");
	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_DONE);
	stmt = db_prepare(tx, select);
	db_bind_int(stmt, 1, 5);
	assert_int_equal(db_finish(stmt, db_step(stmt)), DB_ROW);
	db_rollback(tx);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_open_at_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_busy, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue_not_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue_seen, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue_deleted, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue_full, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queue_full_whole, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_many_readers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_statements_are_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_many_statements, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_bad_binding, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unprepared, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("db_threads", tests, NULL, NULL);
}
