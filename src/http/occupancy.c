#include "http/occupancy.h"

#include <pthread.h>
#include <time.h>

enum {
	FREE_OF_BODIES = 1, /* workers that neither wait for a model nor read bodies */
	ADDRESS_PART = 4,
	ADDRESS_MEMORY_PART = 2,
	PIECES_MAX = 8,
	PIECE_WAIT_S = 20
};

/* The memory that one client holds. */
struct holder {
	struct address client;
	size_t bytes;
};

struct occupancy {
	struct occupancy_bounds bounds;
	/* Workers race for these counts. */
	pthread_mutex_t lock;
	unsigned waiting, reading;
	struct address
	    *readers; /* clients of workers that read a body or send a long answer, in no order */
	size_t held;
	struct holder *holders; /* one per client, at most one more than workers */
	size_t holders_len;
	unsigned pieces;
	pthread_cond_t piece_ended;
};

struct occupancy *
occupancy_new(const struct occupancy_bounds *bounds)
{
	struct occupancy *occupancy = calloc(1, sizeof *occupancy);
	pthread_condattr_t attr;

	if (!occupancy)
		return NULL;
	occupancy->bounds = *bounds;
	pthread_mutex_init(&occupancy->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&occupancy->piece_ended, &attr);
	pthread_condattr_destroy(&attr);
	occupancy->readers = calloc(bounds->workers, sizeof *occupancy->readers);
	occupancy->holders = calloc((size_t)bounds->workers + 1, sizeof *occupancy->holders);
	if (occupancy->readers && occupancy->holders)
		return occupancy;
	occupancy_free(occupancy);
	return NULL;
}

void
occupancy_free(struct occupancy *occupancy)
{
	if (!occupancy)
		return;
	pthread_cond_destroy(&occupancy->piece_ended);
	pthread_mutex_destroy(&occupancy->lock);
	free(occupancy->readers);
	free(occupancy->holders);
	free(occupancy);
}

/* With the lock held: how many workers this client occupies. */
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

/* With the lock held: the client's entry; a new one if it holds nothing yet. */
static struct holder *
holder_of(struct occupancy *occupancy, const struct address *client)
{
	struct holder *at = occupancy->holders, *end = at + occupancy->holders_len;

	while (at < end && memcmp(&at->client, client, sizeof *client) != 0)
		at++;
	if (at == end) {
		*at = (struct holder){.client = *client};
		occupancy->holders_len++;
	}
	return at;
}

/* With the lock held: removes an entry that holds nothing. */
static void
leave_if_empty(struct occupancy *occupancy, struct holder *holder)
{
	if (holder->bytes == 0)
		*holder = occupancy->holders[--occupancy->holders_len];
}

bool
occupancy_hold(struct occupancy *occupancy, const struct address *client, size_t bytes)
{
	size_t memory = occupancy->bounds.memory;
	struct holder *holder;
	bool room;

	pthread_mutex_lock(&occupancy->lock);
	holder = holder_of(occupancy, client);
	room = bytes <= memory - occupancy->held &&
	    bytes <= memory / ADDRESS_MEMORY_PART - holder->bytes;
	if (room) {
		holder->bytes += bytes;
		occupancy->held += bytes;
	}
	leave_if_empty(occupancy, holder);
	pthread_mutex_unlock(&occupancy->lock);
	return room;
}

void
occupancy_give_back(struct occupancy *occupancy, const struct address *client, size_t bytes)
{
	struct holder *holder;

	pthread_mutex_lock(&occupancy->lock);
	holder = holder_of(occupancy, client);
	holder->bytes -= bytes;
	occupancy->held -= bytes;
	leave_if_empty(occupancy, holder);
	pthread_mutex_unlock(&occupancy->lock);
}

bool
occupancy_begin_piece(struct occupancy *occupancy)
{
	struct timespec end;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PIECE_WAIT_S;
	pthread_mutex_lock(&occupancy->lock);
	while (occupancy->pieces == PIECES_MAX && error == 0)
		error = pthread_cond_timedwait(&occupancy->piece_ended, &occupancy->lock, &end);
	occupancy->pieces += error == 0;
	pthread_mutex_unlock(&occupancy->lock);
	return error == 0;
}

void
occupancy_end_piece(struct occupancy *occupancy)
{
	pthread_mutex_lock(&occupancy->lock);
	occupancy->pieces--;
	pthread_cond_signal(&occupancy->piece_ended);
	pthread_mutex_unlock(&occupancy->lock);
}

bool
occupancy_begin_wait(struct occupancy *occupancy, unsigned missing, int *seat)
{
	struct seats *seats = occupancy->bounds.seats;
	bool taken;

	pthread_mutex_lock(&occupancy->lock);
	taken = occupancy->waiting + missing + OCCUPANCY_FREE < occupancy->bounds.workers &&
	    occupancy->waiting + occupancy->reading + missing + FREE_OF_BODIES <
		occupancy->bounds.workers;
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
