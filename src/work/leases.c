#include "work/leases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/id.h"

enum {
	MACHINE_SIZE = 66,
	LOCK_WAIT_MS = 30000 /* longer than settling may wait for the database */
};

struct leases {
	char *folder;
	char holder[MACHINE_SIZE + ID_SIZE]; /* the machine, a '.', an id */
	/* Threads that begin their first runs at once race to make the file. */
	pthread_mutex_t lock;
	int fd;                  /* the locked file; -1: not needed yet */
	atomic_llong renewal_ms; /* when the next renewal is due */
	/* Threads that begin and end runs race for the list of this process's current runs. */
	pthread_mutex_t at_hand_lock;
	long long *at_hand; /* their seqs, in no order */
	size_t at_hand_len, at_hand_size;
};

/*
 * Names the machine, by a name that survives a reboot. A container may have no name of its own;
 * then the kernel's boot id is used: containers on one kernel share it, and see each other's locks.
 */
static void
name_machine(char machine[MACHINE_SIZE])
{
	static const char *const paths[] = {"/etc/machine-id", "/proc/sys/kernel/random/boot_id"};
	struct utsname names = {0};
	char *id = NULL;

	for (size_t i = 0; i < sizeof paths / sizeof *paths && (!id || *id == '\n' || !*id); i++) {
		free(id);
		id = file_read(paths[i], MACHINE_SIZE, NULL);
	}
	uname(&names);
	snprintf(machine, MACHINE_SIZE, "%s", id ? id : names.nodename);
	free(id);
	/* It becomes a part of a file's name, before the dot. */
	machine[strcspn(machine, "\n")] = '\0';
	for (char *at = machine; (at = strpbrk(at, "/."));)
		*at = '_';
}

struct leases *
leases_new(const char *state_dir)
{
	struct leases *leases = calloc(1, sizeof *leases);
	char machine[MACHINE_SIZE], id[ID_SIZE];

	if (!leases)
		return NULL;
	if (asprintf(&leases->folder, "%s/leases", state_dir) < 0) {
		free(leases);
		return NULL;
	}
	name_machine(machine);
	id_new(id, "");
	snprintf(leases->holder, sizeof leases->holder, "%s.%s", machine, id);
	pthread_mutex_init(&leases->lock, NULL);
	pthread_mutex_init(&leases->at_hand_lock, NULL);
	leases->fd = -1;
	/*
	 * Without a file there is nothing to renew. Making the file is left for later, because it
	 * needs a transaction of its own.
	 */
	atomic_init(&leases->renewal_ms, LLONG_MAX);
	return leases;
}

static char *
path_of(const struct leases *leases, const char *holder)
{
	char *path;

	return asprintf(&path, "%s/%s", leases->folder, holder) < 0 ? NULL : path;
}

void
leases_free(struct leases *leases)
{
	char *path;

	if (!leases)
		return;
	path = leases->fd >= 0 ? path_of(leases, leases->holder) : NULL;
	if (path)
		unlink(path);
	free(path);
	if (leases->fd >= 0)
		close(leases->fd);
	pthread_mutex_destroy(&leases->lock);
	pthread_mutex_destroy(&leases->at_hand_lock);
	free(leases->at_hand);
	free(leases->folder);
	free(leases);
}

enum holder_state { HOLDER_ALIVE, HOLDER_DEAD, HOLDER_UNKNOWN };

/*
 * Tests the lock of the holder's file. *fd: the file, open; -1: there is none. The test takes a
 * shared lock, so that two that test at once do not see each other as the holder.
 */
static enum holder_state
look_at(const struct leases *leases, const char *holder, int *fd)
{
	char *path = path_of(leases, holder);

	*fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	free(path);
	if (*fd < 0)
		return HOLDER_UNKNOWN;
	if (flock(*fd, LOCK_SH | LOCK_NB) == 0)
		return HOLDER_DEAD;
	return errno == EWOULDBLOCK ? HOLDER_ALIVE : HOLDER_UNKNOWN;
}

static bool
is_of_this_machine(const struct leases *leases, const char *holder)
{
	size_t len = strcspn(leases->holder, ".") + 1;

	return strncmp(holder, leases->holder, len) == 0;
}

/*
 * Settles and removes the files that dead processes of this machine left behind. Each stays locked
 * until it is removed. Otherwise a process that has just made its file, and not locked it yet,
 * could lock a file that is about to lose its name.
 */
static void
bury_the_dead(const struct leases *leases, leases_dead_fn *on_dead, void *arg)
{
	DIR *folder = opendir(leases->folder);
	bool dead, done = true;
	struct dirent *entry;
	int fd;

	/* If the database fails for one, it fails for all: leave them to the next process. */
	while (done && folder && (entry = readdir(folder))) {
		if (!is_of_this_machine(leases, entry->d_name))
			continue;
		dead = look_at(leases, entry->d_name, &fd) == HOLDER_DEAD;
		done = !dead || on_dead(arg, entry->d_name) == 0;
		if (dead && done)
			unlinkat(dirfd(folder), entry->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (folder)
		closedir(folder);
}

/* Makes and locks the file. If another process removes it before it is locked, makes it again. */
static int
make_file(const struct leases *leases)
{
	char *path = path_of(leases, leases->holder);
	struct stat status;
	int fd = -1;

	while (path && (fd = file_lock(path, LOCK_WAIT_MS, NULL)) >= 0 && fstat(fd, &status) == 0 &&
	    status.st_nlink == 0)
		close(fd);
	free(path);
	return fd;
}

static int
begin(struct leases *leases, leases_dead_fn *on_dead, void *arg)
{
	if (mkdir(leases->folder, 0700) == 0 || errno == EEXIST) {
		bury_the_dead(leases, on_dead, arg);
		leases->fd = make_file(leases);
	}
	if (leases->fd >= 0) {
		atomic_store(&leases->renewal_ms, clock_ms() + LEASE_RENEWAL_S * 1000);
		return 0;
	}
	log_error("no locked file can be made in %s: %s", leases->folder, strerror(errno));
	return -1;
}

const char *
leases_holder(struct leases *leases, leases_dead_fn *on_dead, void *arg)
{
	int result;

	pthread_mutex_lock(&leases->lock);
	result = leases->fd >= 0 ? 0 : begin(leases, on_dead, arg);
	pthread_mutex_unlock(&leases->lock);
	return result == 0 ? leases->holder : NULL;
}

void
leases_bury(struct leases *leases, leases_dead_fn *on_dead, void *arg)
{
	pthread_mutex_lock(&leases->lock);
	bury_the_dead(leases, on_dead, arg);
	pthread_mutex_unlock(&leases->lock);
}

bool
leases_are_over(const struct leases *leases, const char *holder, long long until)
{
	enum holder_state state = HOLDER_UNKNOWN;
	int fd = -1;

	if (leases_are_ours(leases, holder))
		return false;
	if (is_of_this_machine(leases, holder))
		state = look_at(leases, holder, &fd);
	if (fd >= 0)
		close(fd);
	return state == HOLDER_UNKNOWN ? until < clock_unix() : state == HOLDER_DEAD;
}

bool
leases_renewal_due(struct leases *leases)
{
	long long due = atomic_load(&leases->renewal_ms), now = clock_ms();

	return now >= due &&
	    atomic_compare_exchange_strong(&leases->renewal_ms, &due, now + LEASE_RENEWAL_S * 1000);
}

void
leases_take_up(struct leases *leases, long long run)
{
	pthread_mutex_lock(&leases->at_hand_lock);
	if (leases->at_hand_len == leases->at_hand_size) {
		size_t size = leases->at_hand_size * 2 + 16;
		long long *more = reallocarray(leases->at_hand, size, sizeof *more);

		if (more) {
			leases->at_hand = more;
			leases->at_hand_size = size;
		}
	}
	/* Without memory the run is not listed; then a clock that jumps may end it. */
	if (leases->at_hand_len < leases->at_hand_size)
		leases->at_hand[leases->at_hand_len++] = run;
	pthread_mutex_unlock(&leases->at_hand_lock);
}

/* With the lock held: its index, or at_hand_len. */
static size_t
place_of(const struct leases *leases, long long run)
{
	size_t i = 0;

	while (i < leases->at_hand_len && leases->at_hand[i] != run)
		i++;
	return i;
}

void
leases_put_down(struct leases *leases, long long run)
{
	size_t place;

	pthread_mutex_lock(&leases->at_hand_lock);
	place = place_of(leases, run);
	if (place < leases->at_hand_len)
		leases->at_hand[place] = leases->at_hand[--leases->at_hand_len];
	pthread_mutex_unlock(&leases->at_hand_lock);
}

bool
leases_are_at_hand(struct leases *leases, long long run)
{
	bool at_hand;

	pthread_mutex_lock(&leases->at_hand_lock);
	at_hand = place_of(leases, run) < leases->at_hand_len;
	pthread_mutex_unlock(&leases->at_hand_lock);
	return at_hand;
}

bool
leases_are_ours(const struct leases *leases, const char *holder)
{
	return strcmp(holder, leases->holder) == 0;
}
