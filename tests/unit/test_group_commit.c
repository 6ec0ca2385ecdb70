/* The queue of writers: turns, who waits for which commit, and what each is told. */
#include "support.h"

#include <stdatomic.h>
#include <unistd.h>

#include "db/group_commit.h"
#include "os/clock.h"

enum { PATIENCE_MS = 60000, QUEUED_MAX = 8 };

static struct writers writers;

/* A writer that takes its turn, writes, and passes it on; or commits, if it is the last. */
struct queued {
	struct writer writer;
	pthread_t thread;
	bool keeps;  /* the result when it commits */
	bool writes; /* false: it has nothing to pass on */
	bool passed;
	bool by_anybody;
	int place; /* the order of its turn */
};

static atomic_int turns;

/* Stands still, so that a commit is shared however busy the machine is. */
long long
clock_ms(void)
{
	return 0;
}

long long
clock_unix(void)
{
	return 0;
}

long long
clock_unix_ns(void)
{
	return 0;
}

static unsigned
queue_len(void)
{
	unsigned len = 0;

	pthread_mutex_lock(&writers.lock);
	for (struct writer *at = writers.first; at; at = at->next)
		len++;
	pthread_mutex_unlock(&writers.lock);
	return len;
}

static void
write_or_commit(struct queued *queued)
{
	struct writer *next;

	queued->place = atomic_fetch_add(&turns, 1);
	while ((next = writers_next(&writers, false)))
		((struct queued *)next)->place = atomic_fetch_add(&turns, 1);
	queued->passed = writers_pass(&writers, queued->writes ? &queued->writer : NULL);
	if (queued->passed)
		return;
	writers_settle(&writers, queued->keeps);
	writers_give(&writers);
}

static void *
queue_up(void *arg)
{
	struct queued *queued = arg;

	queued->writer.by_anybody = queued->by_anybody;
	if (writers_take(&writers, &queued->writer, PATIENCE_MS) && !queued->writer.done)
		write_or_commit(queued);
	return NULL;
}

/* Queues all of them behind a first writer. */
static void
run(struct queued *all, size_t len, bool keeps)
{
	struct queued first = {.writes = true};

	turns = 0;
	writers_init(&writers);
	assert_true(writers_take(&writers, &first.writer, PATIENCE_MS));
	for (size_t i = 0; i < len; i++) {
		all[i].keeps = keeps;
		assert_int_equal(pthread_create(&all[i].thread, NULL, queue_up, &all[i]), 0);
		while (queue_len() <= i)
			usleep(1000);
	}
	write_or_commit(&first);
	for (size_t i = 0; i < len; i++)
		pthread_join(all[i].thread, NULL);
	if (first.passed)
		assert_int_equal(first.writer.kept, keeps);
	assert_false(writers_have_passed(&writers));
	assert_false(writers.taken);
	writers_free(&writers);
}

static void
test_alone(void **state)
{
	(void)state;
	run(NULL, 0, true);
}

/* In the order of arrival; the last one commits, and all are told the result. */
static void
test_queue(void **state)
{
	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		struct queued all[QUEUED_MAX] = {0};

		for (size_t i = 0; i < QUEUED_MAX; i++)
			all[i].writes = i % 3 != 1;
		run(all, QUEUED_MAX, keeps);
		for (size_t i = 0; i < QUEUED_MAX; i++) {
			assert_int_equal(all[i].place, i + 1);
			assert_int_equal(all[i].passed, i + 1 < QUEUED_MAX);
			if (all[i].writes && all[i].passed)
				assert_int_equal(all[i].writer.kept, keeps);
		}
	}
}

/*
 * A writer whose work another thread may do sleeps until it is settled. If it must be durable, it
 * waits for such a commit.
 */
static void
test_by_anybody(void **state)
{
	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		struct queued all[QUEUED_MAX] = {0};

		for (size_t i = 0; i < QUEUED_MAX; i++) {
			all[i].writes = true;
			all[i].by_anybody = i != 3;
			all[i].writer.durable = i == 5;
		}
		run(all, QUEUED_MAX, keeps);
		for (size_t i = 0; i < QUEUED_MAX; i++) {
			assert_int_equal(all[i].place, i + 1);
			assert_int_equal(all[i].writer.done, i != 3 && i != 5);
			if (all[i].writer.done)
				assert_int_equal(all[i].writer.kept, keeps);
		}
	}
}

/* A writer that times out leaves the queue; the others stay. */
static void
test_late(void **state)
{
	struct writer holder, late;
	struct queued before = {.writes = true}, behind = {.writes = true};

	(void)state;
	turns = 0;
	writers_init(&writers);
	assert_true(writers_take(&writers, &holder, PATIENCE_MS));
	assert_false(writers_take(&writers, &late, 0));
	assert_int_equal(queue_len(), 0);
	pthread_create(&before.thread, NULL, queue_up, &before);
	while (queue_len() < 1)
		usleep(1000);
	assert_false(writers_take(&writers, &late, 0));
	pthread_create(&behind.thread, NULL, queue_up, &behind);
	while (queue_len() < 2)
		usleep(1000);
	writers_give(&writers);
	pthread_join(before.thread, NULL);
	pthread_join(behind.thread, NULL);
	assert_int_equal(before.place, 0);
	assert_int_equal(behind.place, 1);
	writers_free(&writers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_by_anybody),
	    cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests_name("writers", tests, NULL, NULL);
}
