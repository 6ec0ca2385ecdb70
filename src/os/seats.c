#include "os/seats.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

struct seats {
	int fd;
	unsigned count;
	/*
	 * The kernel takes all threads for one owner, whose locks do not exclude each other. So the
	 * seats of this process are recorded here, too. Threads race for that.
	 */
	pthread_mutex_t lock;
	unsigned char *taken;
};

struct seats *
seats_open(const char *path, unsigned count)
{
	struct seats *seats = calloc(1, sizeof *seats);
	int error;

	if (!seats)
		return NULL;
	seats->count = count;
	seats->taken = calloc(count, sizeof *seats->taken);
	pthread_mutex_init(&seats->lock, NULL);
	seats->fd = seats->taken ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (seats->fd >= 0)
		return seats;
	error = errno;
	seats_close(seats);
	errno = error;
	return NULL;
}

void
seats_close(struct seats *seats)
{
	if (!seats)
		return;
	if (seats->fd >= 0)
		close(seats->fd);
	pthread_mutex_destroy(&seats->lock);
	free(seats->taken);
	free(seats);
}

static int
set_lock(const struct seats *seats, unsigned seat, short type)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)seat, .l_len = 1};

	return fcntl(seats->fd, F_OFD_SETLK, &lock);
}

int
seats_take(struct seats *seats)
{
	/* Processes start searching at different seats, so that they seldom collide. */
	unsigned first = (unsigned)getpid() % seats->count;
	int seat = -1;

	pthread_mutex_lock(&seats->lock);
	for (unsigned i = 0; i < seats->count && seat < 0; i++) {
		unsigned at = (first + i) % seats->count;

		if (!seats->taken[at] && set_lock(seats, at, F_WRLCK) == 0)
			seat = (int)at;
	}
	if (seat >= 0)
		seats->taken[seat] = 1;
	pthread_mutex_unlock(&seats->lock);
	return seat;
}

void
seats_give_back(struct seats *seats, int seat)
{
	pthread_mutex_lock(&seats->lock);
	set_lock(seats, (unsigned)seat, F_UNLCK);
	seats->taken[seat] = 0;
	pthread_mutex_unlock(&seats->lock);
}
