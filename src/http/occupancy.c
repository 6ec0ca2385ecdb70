#include "http/occupancy.h"

#include <pthread.h>

/* Of the workers that never wait for a model one never reads a body either. */
enum { FREE_OF_BODIES = 1, ADDRESS_PART = 4 };

struct occupancy {
	struct occupancy_bounds bounds;
	/* Workers race for what is counted here. */
	pthread_mutex_t lock;
	unsigned waiting, reading;
	struct address *readers; /* whose bodies are being read, in no order */
	size_t held;
};

struct occupancy *
occupancy_new(const struct occupancy_bounds *bounds)
{
	struct occupancy *occupancy = calloc(1, sizeof *occupancy);

	if (!occupancy)
		return NULL;
	occupancy->bounds = *bounds;
	pthread_mutex_init(&occupancy->lock, NULL);
	occupancy->readers = calloc(bounds->workers, sizeof *occupancy->readers);
	if (occupancy->readers)
		return occupancy;
	occupancy_free(occupancy);
	return NULL;
}

void
occupancy_free(struct occupancy *occupancy)
{
	if (!occupancy)
		return;
	pthread_mutex_destroy(&occupancy->lock);
	free(occupancy->readers);
	free(occupancy);
}

/* With the lock held: how many bodies of this client are being read. */
static unsigned
count_readers(const struct occupancy *occupancy, const struct address *client)
{
	unsigned count = 0;

	for (unsigned i = 0; i < occupancy->reading; i++)
		count += memcmp(&occupancy->readers[i], client, sizeof *client) == 0;
	return count;
}

enum occupancy_result
occupancy_begin_body(struct occupancy *occupancy, const struct address *client, unsigned missing)
{
	unsigned workers = occupancy->bounds.workers, part = workers / ADDRESS_PART;
	enum occupancy_result result = OCCUPANCY_TAKEN;

	pthread_mutex_lock(&occupancy->lock);
	if (occupancy->reading + occupancy->waiting + missing + FREE_OF_BODIES >= workers)
		result = OCCUPANCY_FULL;
	else if (count_readers(occupancy, client) >= (part ? part : 1))
		result = OCCUPANCY_ADDRESS_FULL;
	else
		occupancy->readers[occupancy->reading++] = *client;
	pthread_mutex_unlock(&occupancy->lock);
	return result;
}

void
occupancy_end_body(struct occupancy *occupancy, const struct address *client)
{
	unsigned i = 0;

	pthread_mutex_lock(&occupancy->lock);
	while (memcmp(&occupancy->readers[i], client, sizeof *client) != 0)
		i++;
	occupancy->readers[i] = occupancy->readers[--occupancy->reading];
	pthread_mutex_unlock(&occupancy->lock);
}

bool
occupancy_hold(struct occupancy *occupancy, size_t bytes)
{
	bool room;

	pthread_mutex_lock(&occupancy->lock);
	room = bytes <= occupancy->bounds.memory - occupancy->held;
	if (room)
		occupancy->held += bytes;
	pthread_mutex_unlock(&occupancy->lock);
	return room;
}

void
occupancy_give_back(struct occupancy *occupancy, size_t bytes)
{
	pthread_mutex_lock(&occupancy->lock);
	occupancy->held -= bytes;
	pthread_mutex_unlock(&occupancy->lock);
}

bool
occupancy_begin_wait(struct occupancy *occupancy, unsigned missing, int *seat)
{
	struct seats *seats = occupancy->bounds.seats;
	bool taken;

	pthread_mutex_lock(&occupancy->lock);
	taken = occupancy->waiting + missing + OCCUPANCY_FREE < occupancy->bounds.workers;
	occupancy->waiting += taken;
	pthread_mutex_unlock(&occupancy->lock);
	*seat = taken && seats ? seats_take(seats) : -1;
	if (!taken || !seats || *seat >= 0)
		return taken;
	occupancy_end_wait(occupancy, -1);
	return false;
}

void
occupancy_end_wait(struct occupancy *occupancy, int seat)
{
	if (seat >= 0)
		seats_give_back(occupancy->bounds.seats, seat);
	pthread_mutex_lock(&occupancy->lock);
	occupancy->waiting--;
	pthread_mutex_unlock(&occupancy->lock);
}
