/* The writers' queue: whose turn it is, who waits for whose commit, and who is told what. */
#include "support.h"

#include <stdatomic.h>
#include <unistd.h>

#include "db/group_commit.h"
#include "os/clock.h"

enum { PATIENCE_MS = 60000, QUEUED_MAX = 8 };

static struct writers writers;

/* Who takes the turn, and passes it on when he has written; or commits, if there is no next. */
struct queued {
	struct writer writer;
	pthread_t thread;
	bool keeps;  /* what he says when he is the one to commit */
	bool writes; /* else he has nothing to pass on */
	bool passed;
	bool by_anybody;
	int place; /* in which he had his turn */
};

static atomic_int turns;

/* It stands still: a commit is shared however busy the machine is. */
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

/* Has them all in the queue, one after the other, behind one who is first. */
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

/* In the order in which they came; the last commits, and all are told what became of it. */
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

/* Whose work anybody can do sleeps until it is settled; where it must be durable, it must wait. */
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

/* Who comes too late leaves the queue, and the others stay in it. */
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
