#include "db/group_commit.h"

#include <errno.h>
#include <time.h>

#include "os/clock.h"

/* At most this many writers share a commit; the first of them waits at most this long. */
enum { SHARE_MAX = 64, SHARE_MS = 10 };

void
writers_init(struct writers *writers)
{
	*writers = (struct writers){.end = &writers->first};
	pthread_mutex_init(&writers->lock, NULL);
}

void
writers_free(struct writers *writers)
{
	pthread_mutex_destroy(&writers->lock);
}

static void
sleep_until_woken(struct writer *writer)
{
	while (sem_wait(&writer->woken) < 0 && errno == EINTR)
		;
}

/* False: timed out. */
static bool
sleep_for(struct writer *writer, long long timeout_ms)
{
	struct timespec end;
	int result;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	while (
	    (result = sem_clockwait(&writer->woken, CLOCK_MONOTONIC, &end)) < 0 && errno == EINTR)
		;
	return result == 0;
}

/*
 * With the lock held. False: the writer has left the queue, because it has the turn, or another
 * thread does its work.
 */
static bool
leave_queue(struct writers *writers, struct writer *writer)
{
	struct writer **place = &writers->first;

	while (*place && *place != writer)
		place = &(*place)->next;
	if (!*place)
		return false;
	*place = writer->next;
	if (!*place)
		writers->end = place;
	return true;
}

bool
writers_take(struct writers *writers, struct writer *writer, long long timeout_ms)
{
	bool late, taken, woken;

	sem_init(&writer->woken, 0, 0);
	writer->done = false;
	pthread_mutex_lock(&writers->lock);
	taken = !writers->taken;
	if (!taken) {
		writer->next = NULL;
		*writers->end = writer;
		writers->end = &writer->next;
	}
	writers->taken = true;
	pthread_mutex_unlock(&writers->lock);
	if (taken)
		return true;
	woken = sleep_for(writer, timeout_ms);
	/*
	 * The lock also orders the two threads for ThreadSanitizer, which does not know
	 * sem_clockwait().
	 */
	pthread_mutex_lock(&writers->lock);
	late = !woken && leave_queue(writers, writer);
	pthread_mutex_unlock(&writers->lock);
	if (!woken && !late)
		sleep_until_woken(writer);
	return !late;
}

bool
writers_have_passed(const struct writers *writers)
{
	return writers->passed;
}

/* With the lock held: removes the first writer from the queue. */
static struct writer *
take_first(struct writers *writers)
{
	struct writer *first = writers->first;

	writers->first = first->next;
	if (!writers->first)
		writers->end = &writers->first;
	return first;
}

/* With the lock held. */
static void
give(struct writers *writers)
{
	struct writer *next = writers->first;

	writers->taken = next;
	if (next)
		sem_post(&take_first(writers)->woken);
}

/* With the lock held: whether the next writer may write before this one's work is committed. */
static bool
may_pass(const struct writers *writers)
{
	return writers->first && writers->passed_len < SHARE_MAX &&
	    (!writers->passed || clock_ms() - writers->since_ms < SHARE_MS);
}

/* With the lock held. */
static void
join_passed(struct writers *writers, struct writer *writer)
{
	if (!writers->passed)
		writers->since_ms = clock_ms();
	writer->next = writers->passed;
	writers->passed = writer;
	writers->passed_len++;
}

struct writer *
writers_next(struct writers *writers, bool durable)
{
	struct writer *next = NULL;

	pthread_mutex_lock(&writers->lock);
	if (may_pass(writers) && writers->first->by_anybody &&
	    (durable || !writers->first->durable)) {
		next = take_first(writers);
		next->done = true;
		join_passed(writers, next);
	}
	pthread_mutex_unlock(&writers->lock);
	return next;
}

bool
writers_pass(struct writers *writers, struct writer *writer)
{
	bool passed;

	pthread_mutex_lock(&writers->lock);
	passed = may_pass(writers);
	if (passed && writer)
		join_passed(writers, writer);
	if (passed)
		give(writers);
	pthread_mutex_unlock(&writers->lock);
	if (passed && writer)
		sleep_until_woken(writer);
	return passed;
}

void
writers_settle(struct writers *writers, bool kept)
{
	struct writer *writer, *next;

	pthread_mutex_lock(&writers->lock);
	writer = writers->passed;
	writers->passed = NULL;
	writers->passed_len = 0;
	for (; writer; writer = next) {
		/* Once woken, the writer is gone: it is on its thread's stack. */
		next = writer->next;
		writer->kept = kept;
		sem_post(&writer->woken);
	}
	pthread_mutex_unlock(&writers->lock);
}

void
writers_give(struct writers *writers)
{
	pthread_mutex_lock(&writers->lock);
	give(writers);
	pthread_mutex_unlock(&writers->lock);
}
