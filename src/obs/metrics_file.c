#include "obs/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "text/buf.h"

enum {
	VERSION_OF_FILE = 1, /* of its content: raise it with each change, here or of bounds */
	ENTRIES = 2048,
	PROBES_MAX = 128,
	SLOTS = 1024,
	LOCK_WAIT_MS = 5000
};

/*
 * A counter. Setting the hash takes an entry; its text is complete once its first word is set. A
 * process that finds an entry taken without a text, because the other process was killed just then,
 * writes the text itself. Entries are never removed. No entry crosses a page, so after a power cut
 * it is there as a whole or not at all.
 */
struct entry {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic uint64_t value;
	_Atomic uint64_t text[SERIES_WORDS];
	uint64_t unused;
};

/* A process's gauges, valid while it holds the lock on the slot's first byte. */
struct slot {
	_Alignas(64) atomic_int gauges[METRICS_GAUGES];
};

struct header {
	char magic[28];
	uint32_t version;
	_Atomic uint64_t dropped;
};

/* The file's content; zeros are empty. */
struct table {
	_Alignas(4096) struct header header;
	_Alignas(4096) struct slot slots[SLOTS];
	_Alignas(4096) struct entry entries[ENTRIES];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "without lock-free atomics, processes would not exclude each other");
_Static_assert(sizeof(struct entry) == 256, "an entry would cross a page");

static const struct header empty = {"assistants-fcgi metrics", VERSION_OF_FILE, 0};

struct metrics_file {
	int fd;
	struct table *table;
	struct slot *slot; /* this process's; NULL: none was free */
};

/* --- the file --- */

static bool
is_ours(const struct header *header)
{
	return memcmp(header->magic, empty.magic, sizeof empty.magic) == 0 &&
	    header->version == empty.version;
}

/* NULL with errno; errno 0: it is not such a file. */
static struct table *
map(int fd)
{
	struct stat status;
	struct table *table;

	if (fstat(fd, &status) < 0)
		return NULL;
	errno = 0;
	if (!S_ISREG(status.st_mode) || status.st_size != sizeof *table)
		return NULL;
	table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED)
		return NULL;
	if (is_ours(&table->header))
		return table;
	munmap(table, sizeof *table);
	errno = 0;
	return NULL;
}

/* 1: opened. 0: there is none, or something else. -1 with errno. */
static int
open_present(struct metrics_file *file, const char *path)
{
	int error;

	file->fd = open(path, O_RDWR | O_CLOEXEC);
	if (file->fd < 0)
		return errno == ENOENT ? 0 : -1;
	file->table = map(file->fd);
	if (file->table)
		return 1;
	error = errno;
	close(file->fd);
	errno = error;
	return error ? -1 : 0;
}

/* 0, or errno. */
static int
fill(int fd)
{
	int error = posix_fallocate(fd, 0, sizeof(struct table));

	if (error)
		return error;
	return pwrite(fd, &empty, sizeof empty, 0) == sizeof empty ? 0 : EIO;
}

/* -1 with errno. */
static int
make(const char *path)
{
	struct buf name = BUF_INIT(4096);
	int fd = -1, error = ENAMETOOLONG;

	if (buf_printf(&name, "%s.XXXXXX", path) == 0) {
		fd = mkostemp(name.data, O_CLOEXEC);
		error = fd < 0 ? errno : fill(fd);
	}
	if (fd >= 0) {
		if (error == 0 && rename(name.data, path) < 0)
			error = errno;
		if (error)
			unlink(name.data);
		close(fd);
	}
	buf_free(&name);
	errno = error;
	return error ? -1 : 0;
}

/* If several processes find none, one of them makes it. */
static int
open_or_make(struct metrics_file *file, const char *path)
{
	struct buf lock_path = BUF_INIT(4096);
	int result = open_present(file, path), lock = -1, error;

	if (result != 0)
		return result;
	if (buf_printf(&lock_path, "%s.lock", path) == 0)
		lock = file_lock(lock_path.data, LOCK_WAIT_MS, NULL);
	buf_free(&lock_path);
	if (lock < 0)
		return -1;
	result = open_present(file, path);
	if (result == 0 && make(path) == 0)
		result = open_present(file, path);
	error = errno;
	close(lock);
	errno = error;
	return result;
}

/* --- gauges --- */

static struct flock
lock_of(const struct metrics_file *file, const struct slot *slot)
{
	return (struct flock){.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = (const char *)slot - (const char *)file->table,
	    .l_len = 1};
}

/*
 * Takes the first free slot. The lock belongs to the open file, and the kernel releases it however
 * the process ends.
 */
static void
take_slot(struct metrics_file *file)
{
	for (int i = 0; i < SLOTS && !file->slot; i++) {
		struct slot *slot = &file->table->slots[i];
		struct flock lock = lock_of(file, slot);

		if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
			file->slot = slot;
		else if (errno != EAGAIN && errno != EACCES)
			return;
	}
	/* Values that a dead process left. */
	for (int i = 0; file->slot && i < METRICS_GAUGES; i++)
		atomic_store(&file->slot->gauges[i], 0);
}

/* Our own lock does not conflict with us, so the kernel does not report it. */
static bool
is_alive(const struct metrics_file *file, const struct slot *slot)
{
	struct flock lock = lock_of(file, slot);

	return slot == file->slot ||
	    (fcntl(file->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
}

void
metrics_file_change(struct metrics_file *file, unsigned gauge, int by)
{
	if (file->slot)
		atomic_fetch_add_explicit(&file->slot->gauges[gauge], by, memory_order_relaxed);
}

long long
metrics_file_gauge(const struct metrics_file *file, unsigned gauge)
{
	long long sum = 0;

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &file->table->slots[i];
		int value = atomic_load(&slot->gauges[gauge]);

		if (value != 0 && is_alive(file, slot))
			sum += value;
	}
	return sum;
}

/* --- counters --- */

/* A hash of the text; never 0. */
static uint64_t
hash_of(const struct series *series)
{
	uint64_t hash = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i * 8 < series->len; i++) {
		hash = (hash ^ series->words[i]) * 0xff51afd7ed558ccd;
		hash ^= hash >> 32;
	}
	return hash ? hash : 1;
}

static void
write_text(struct entry *entry, const struct series *series)
{
	for (int i = 1; i < SERIES_WORDS; i++)
		atomic_store_explicit(&entry->text[i], series->words[i], memory_order_relaxed);
	atomic_store_explicit(&entry->text[0], series->words[0], memory_order_release);
}

/*
 * Finds the counter's entry; with `take`, takes a free one if there is none. The search may stop at
 * the first free entry, because entries are never removed. NULL: there is none, or no room near its
 * place.
 */
static struct entry *
find(struct metrics_file *file, const struct series *series, bool take)
{
	uint64_t hash;

	if (series->len >= SERIES_SIZE)
		return NULL;
	hash = hash_of(series);
	for (uint64_t i = 0; i < PROBES_MAX; i++) {
		struct entry *entry = &file->table->entries[(hash + i) % ENTRIES];
		uint64_t found = atomic_load_explicit(&entry->hash, memory_order_relaxed);

		if (found == 0 && !take)
			return NULL;
		/* If another process took it first, `found` is its hash, which may be ours. */
		if (found == 0 && atomic_compare_exchange_strong(&entry->hash, &found, hash))
			found = hash;
		if (found != hash)
			continue;
		if (atomic_load_explicit(&entry->text[0], memory_order_acquire) == 0)
			write_text(entry, series);
		return entry;
	}
	return NULL;
}

void
metrics_file_add(struct metrics_file *file, const struct series *series, uint64_t amount)
{
	struct entry *entry = find(file, series, true);

	if (entry)
		atomic_fetch_add_explicit(&entry->value, amount, memory_order_relaxed);
	else
		atomic_fetch_add(&file->table->header.dropped, 1);
}

uint64_t
metrics_file_read(struct metrics_file *file, const struct series *series)
{
	struct entry *entry = find(file, series, false);

	return entry ? atomic_load(&entry->value) : 0;
}

uint64_t
metrics_file_dropped(const struct metrics_file *file)
{
	return atomic_load(&file->table->header.dropped);
}

/* False: it is not complete yet, or damaged. */
static bool
read_text(const struct entry *entry, struct series *series)
{
	series->words[0] = atomic_load_explicit(&entry->text[0], memory_order_acquire);
	for (int i = 1; i < SERIES_WORDS; i++)
		series->words[i] = atomic_load_explicit(&entry->text[i], memory_order_relaxed);
	series->len = 0;
	while (series->len < SERIES_SIZE && series->text[series->len] >= ' ' &&
	    series->text[series->len] <= '~')
		series->len++;
	return series->len > 0 && series->len < SERIES_SIZE && !series->text[series->len];
}

bool
metrics_file_next(
    const struct metrics_file *file, size_t *at, struct series *series, uint64_t *value)
{
	while (*at < ENTRIES) {
		const struct entry *entry = &file->table->entries[(*at)++];

		if (!read_text(entry, series))
			continue;
		*value = atomic_load(&entry->value);
		return true;
	}
	return false;
}

/* --- on and off --- */

struct metrics_file *
metrics_file_open(const char *path)
{
	struct metrics_file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	if (open_or_make(file, path) == 1) {
		take_slot(file);
		return file;
	}
	free(file);
	return NULL;
}

void
metrics_file_close(struct metrics_file *file)
{
	if (!file)
		return;
	munmap(file->table, sizeof *file->table);
	close(file->fd);
	free(file);
}
