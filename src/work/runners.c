#include "work/runners.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "obs/log.h"
#include "os/interrupt.h"

enum { RUNNERS_MAX = 8, STACK_SIZE = 1 << 20, SEAT_STEP_MS = 500 };

struct runners {
	work_fn *work;
	void *arg;
	struct seats *seats; /* NULL: none needed */
	/*
	 * A thread that ends because nothing is queued races with a thread that has just queued
	 * something.
	 */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
	bool again; /* something was queued since a thread last looked */
	atomic_bool stopping;
};

/* Whether a thread that found nothing queued may end: nothing was queued since it began to look. */
static bool
nothing_more(struct runners *runners)
{
	bool done;

	pthread_mutex_lock(&runners->lock);
	done = !runners->again || atomic_load(&runners->stopping);
	runners->again = false;
	if (done) {
		runners->running--;
		pthread_cond_signal(&runners->ended);
	}
	pthread_mutex_unlock(&runners->lock);
	return done;
}

/* Waits for a seat. False: the program is ending. */
static bool
take_seat(struct runners *runners, int *seat)
{
	struct seats *seats = runners->seats;

	*seat = -1;
	while (seats && !atomic_load(&runners->stopping) && (*seat = seats_take(seats)) < 0)
		interrupt_sleep(NULL, SEAT_STEP_MS);
	return !atomic_load(&runners->stopping);
}

static void
give_seat_back(struct runners *runners, int seat)
{
	if (seat >= 0)
		seats_give_back(runners->seats, seat);
}

static void *
run(void *arg)
{
	struct runners *runners = arg;
	bool worked;
	int seat;

	do {
		do {
			worked = take_seat(runners, &seat) && runners->work(runners->arg);
			give_seat_back(runners, seat);
		} while (worked);
	} while (!nothing_more(runners));
	return NULL;
}

void
runners_wake(struct runners *runners)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_lock(&runners->lock);
	runners->again = true;
	if (runners->running < RUNNERS_MAX && !atomic_load(&runners->stopping)) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_SIZE);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&thread, &attr, run, runners) == 0)
			runners->running++;
		else if (runners->running == 0)
			log_error("no thread could be started for queued work");
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_unlock(&runners->lock);
}

struct runners *
runners_new(work_fn *work, void *arg)
{
	struct runners *runners = calloc(1, sizeof *runners);

	if (!runners)
		return NULL;
	runners->work = work;
	runners->arg = arg;
	pthread_mutex_init(&runners->lock, NULL);
	pthread_cond_init(&runners->ended, NULL);
	return runners;
}

void
runners_set_seats(struct runners *runners, struct seats *seats)
{
	runners->seats = seats;
}

void
runners_await(struct runners *runners)
{
	pthread_mutex_lock(&runners->lock);
	while (runners->running > 0)
		pthread_cond_wait(&runners->ended, &runners->lock);
	pthread_mutex_unlock(&runners->lock);
}

void
runners_free(struct runners *runners)
{
	if (!runners)
		return;
	atomic_store(&runners->stopping, true);
	runners_await(runners);
	pthread_cond_destroy(&runners->ended);
	pthread_mutex_destroy(&runners->lock);
	free(runners);
}

bool
runners_stop(struct runners *runners)
{
	return atomic_load(&runners->stopping);
}
