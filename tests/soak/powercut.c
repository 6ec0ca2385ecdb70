/*
 * For LD_PRELOAD: a disk that forgets what was not synced. Each change of a file in POWERCUT_FOLDER
 * is first written to the journal POWERCUT_JOURNAL, with the old and the new content. fsync() and
 * fdatasync() only write a mark. When the program is dead, powercut.mjs reads the journal and
 * undoes, from its end, what no mark covers.
 *
 * The journal's first eight bytes say how much of it is complete, because a process may be killed
 * while it writes. flock() orders threads and processes; each opens the journal itself.
 *
 * No file in the folder is ever opened here: closing it would drop SQLite's locks on it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SYNC_US = 500 };

enum kind { WRITE, TRUNCATE, CREATE, RENAME, UNLINK, SYNC };

/* Followed by `from` and `to`, names without the folder, and the old and the new bytes. */
struct record {
	uint64_t kind;
	uint64_t inode;
	uint64_t offset; /* where it writes; the new size; how much of the journal a sync covers */
	uint64_t size;   /* the old size */
	uint64_t from_len, to_len, old_len, new_len;
};

struct journal {
	int fd;
	uint64_t end;
};

static void
fail(const char *what)
{
	dprintf(STDERR_FILENO, "powercut: %s: %s\n", what, strerror(errno));
	abort();
}

static struct journal
journal_open(void)
{
	struct journal journal = {.end = sizeof journal.end};

	journal.fd = (int)syscall(
	    SYS_openat, AT_FDCWD, getenv("POWERCUT_JOURNAL"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (journal.fd < 0 || flock(journal.fd, LOCK_EX) < 0 ||
	    pread(journal.fd, &journal.end, sizeof journal.end, 0) < 0)
		fail("the journal cannot be opened");
	return journal;
}

static void
journal_close(struct journal *journal)
{
	int error = errno;

	close(journal->fd);
	errno = error;
}

static void
put(struct journal *journal, const void *bytes, size_t len)
{
	if (syscall(SYS_pwrite64, journal->fd, bytes, len, journal->end) != (long)len)
		fail("the journal cannot be written");
	journal->end += len;
}

static void
append(struct journal *journal, const struct record *record, const char *from, const char *to,
    const void *old_bytes, const void *new_bytes)
{
	put(journal, record, sizeof *record);
	put(journal, from, record->from_len);
	put(journal, to, record->to_len);
	put(journal, old_bytes, record->old_len);
	put(journal, new_bytes, record->new_len);
	if (syscall(SYS_pwrite64, journal->fd, &journal->end, sizeof journal->end, 0) !=
	    sizeof journal->end)
		fail("the journal cannot be written");
}

/*
 * The name in the folder, "" for the folder itself. NULL: it is elsewhere, or only shared by living
 * processes, as SQLite's shared memory and the lease files are.
 */
static const char *
name_in_folder(const char *path)
{
	const char *folder = getenv("POWERCUT_FOLDER"), *name;
	size_t len = strlen(folder), path_len = strlen(path);

	if (strncmp(path, folder, len) != 0 || (path[len] != '/' && path[len]))
		return NULL;
	name = path[len] ? path + len + 1 : path + len;
	if (strncmp(name, "leases", 6) == 0)
		return NULL;
	return path_len > 4 && strcmp(path + path_len - 4, "-shm") == 0 ? NULL : name;
}

/* Whether the descriptor is of the folder, or of a file in it. */
static bool
is_in_folder(int fd, struct stat *status)
{
	char link[32], path[4096];
	ssize_t len;

	if (fstat(fd, status) < 0 || !(S_ISREG(status->st_mode) || S_ISDIR(status->st_mode)))
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof path - 1);
	if (len < 0)
		return false;
	path[len] = '\0';
	return name_in_folder(path) != NULL;
}

/* --- content --- */

/* The current bytes in [from, to); NULL: none. */
static void *
read_old(int fd, off_t from, off_t to)
{
	void *bytes = from < to ? malloc((size_t)(to - from)) : NULL;

	if (from < to && (!bytes || pread(fd, bytes, (size_t)(to - from), from) != to - from))
		fail("old bytes cannot be read");
	return bytes;
}

/* `at`: -1: at the descriptor's position. */
static ssize_t
write_file(int fd, const void *bytes, size_t len, off_t at)
{
	struct journal journal;
	struct stat status;
	struct record record;
	off_t offset = at, end;
	ssize_t done;
	void *old;

	if (!is_in_folder(fd, &status))
		return at < 0 ? syscall(SYS_write, fd, bytes, len)
			      : syscall(SYS_pwrite64, fd, bytes, len, at);
	journal = journal_open();
	if (fstat(fd, &status) < 0)
		fail("fstat");
	if (at < 0)
		offset = fcntl(fd, F_GETFL) & O_APPEND ? status.st_size : lseek(fd, 0, SEEK_CUR);
	end = offset + (off_t)len < status.st_size ? offset + (off_t)len : status.st_size;
	old = read_old(fd, offset, end);
	record = (struct record){
	    .kind = WRITE,
	    .inode = status.st_ino,
	    .offset = (uint64_t)offset,
	    .size = (uint64_t)status.st_size,
	    .old_len = old ? (uint64_t)(end - offset) : 0,
	    .new_len = len,
	};
	append(&journal, &record, NULL, NULL, old, bytes);
	free(old);
	done =
	    at < 0 ? syscall(SYS_write, fd, bytes, len) : syscall(SYS_pwrite64, fd, bytes, len, at);
	journal_close(&journal);
	return done;
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	return write_file(fd, bytes, len, -1);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	return write_file(fd, bytes, len, offset);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
	return write_file(fd, bytes, len, offset);
}

int
ftruncate(int fd, off_t size)
{
	struct journal journal;
	struct stat status;
	struct record record;
	void *old;
	int result;

	if (!is_in_folder(fd, &status))
		return (int)syscall(SYS_ftruncate, fd, size);
	journal = journal_open();
	if (fstat(fd, &status) < 0)
		fail("fstat");
	old = read_old(fd, size, status.st_size);
	record = (struct record){
	    .kind = TRUNCATE,
	    .inode = status.st_ino,
	    .offset = (uint64_t)size,
	    .size = (uint64_t)status.st_size,
	    .old_len = old ? (uint64_t)(status.st_size - size) : 0,
	};
	append(&journal, &record, NULL, NULL, old, NULL);
	free(old);
	result = (int)syscall(SYS_ftruncate, fd, size);
	journal_close(&journal);
	return result;
}

int
ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

/*
 * What is synced need only survive the program's death, so nothing goes to the real disk. But it
 * takes as long as a disk, so that kills hit it, and covers only what was written before it began.
 */
int
fsync(int fd)
{
	struct journal journal;
	struct stat status;
	struct record record = {.kind = SYNC};

	if (!is_in_folder(fd, &status))
		return (int)syscall(SYS_fsync, fd);
	record.inode = S_ISDIR(status.st_mode) ? 0 : status.st_ino;
	journal = journal_open();
	record.offset = journal.end;
	journal_close(&journal);
	usleep(SYNC_US);
	journal = journal_open();
	append(&journal, &record, NULL, NULL, NULL, NULL);
	journal_close(&journal);
	return 0;
}

int
fdatasync(int fd)
{
	return fsync(fd);
}

/* --- names --- */

static void
append_created(struct journal *journal, int fd, const char *name)
{
	struct record record = {.kind = CREATE, .from_len = strlen(name)};
	struct stat status;

	if (fstat(fd, &status) < 0)
		fail("fstat");
	record.inode = status.st_ino;
	append(journal, &record, name, NULL, NULL, NULL);
}

static int
open_file(const char *path, int flags, mode_t mode)
{
	const char *name = flags & O_CREAT ? name_in_folder(path) : NULL;
	struct journal journal;
	bool is_new;
	int fd;

	if (!name)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	journal = journal_open();
	is_new = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && is_new)
		append_created(&journal, fd, name);
	journal_close(&journal);
	return fd;
}

static mode_t
mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int
open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_file(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_file(path, flags, mode);
}

int
mkostemp(char *path, int flags)
{
	int (*real)(char *, int) = (int (*)(char *, int))dlsym(RTLD_NEXT, "mkostemp");
	struct journal journal;
	int fd;

	if (!name_in_folder(path))
		return real(path, flags);
	journal = journal_open();
	fd = real(path, flags);
	if (fd >= 0)
		append_created(&journal, fd, name_in_folder(path));
	journal_close(&journal);
	return fd;
}

/* The file stays under another name that powercut.mjs knows: JOURNAL.POSITION of the record. */
static void
save(const struct journal *journal, const char *path)
{
	char saved[4096];

	snprintf(saved, sizeof saved, "%s.%llu", getenv("POWERCUT_JOURNAL"),
	    (unsigned long long)journal->end);
	/* A process that was killed here may have left one. */
	syscall(SYS_unlinkat, AT_FDCWD, saved, 0);
	if (linkat(AT_FDCWD, path, AT_FDCWD, saved, 0) < 0)
		fail("a file cannot be kept");
}

int
unlink(const char *path)
{
	const char *name = name_in_folder(path);
	struct record record = {.kind = UNLINK};
	struct journal journal;
	struct stat status;
	int result;

	if (!name || lstat(path, &status) < 0)
		return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	journal = journal_open();
	record.inode = status.st_ino;
	record.from_len = strlen(name);
	save(&journal, path);
	append(&journal, &record, name, NULL, NULL, NULL);
	result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	journal_close(&journal);
	return result;
}

int
rename(const char *from, const char *to)
{
	const char *from_name = name_in_folder(from), *to_name = name_in_folder(to);
	struct record record = {.kind = RENAME};
	struct journal journal;
	struct stat status;
	int result;

	if (!from_name || !to_name || lstat(from, &status) < 0)
		return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	journal = journal_open();
	record.inode = status.st_ino;
	record.from_len = strlen(from_name);
	record.to_len = strlen(to_name);
	if (lstat(to, &status) == 0)
		save(&journal, to);
	append(&journal, &record, from_name, to_name, NULL, NULL);
	result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	journal_close(&journal);
	return result;
}
