#include "blobs/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/file.h"

enum {
	PATH_SIZE = 4096,
	FREE_PART = 20, /* one in 20: 5 % */
	FREE_MIN = 1 << 30,
	/* A writer makes its file, and then locks it. */
	YOUNG_S = 60
};

static const char partial[] = ".part";

struct blobs {
	char *folder;
};

struct blobs *
blobs_new(const char *state_dir)
{
	struct blobs *blobs = malloc(sizeof *blobs);

	if (blobs && asprintf(&blobs->folder, "%s/blobs", state_dir) >= 0)
		return blobs;
	free(blobs);
	return NULL;
}

void
blobs_free(struct blobs *blobs)
{
	if (!blobs)
		return;
	free(blobs->folder);
	free(blobs);
}

unsigned long long
blobs_room(const struct blobs *blobs)
{
	unsigned long long all, left, kept;
	struct statvfs disk;

	if (statvfs(blobs->folder, &disk) < 0 &&
	    (mkdir(blobs->folder, 0700) < 0 || statvfs(blobs->folder, &disk) < 0))
		return 0;
	all = (unsigned long long)disk.f_blocks * disk.f_frsize;
	left = (unsigned long long)disk.f_bavail * disk.f_frsize;
	kept = all / FREE_PART > FREE_MIN ? all / FREE_PART : FREE_MIN;
	return left > kept ? left - kept : 0;
}

/* "" if it is too long. */
static const char *
path_of(const struct blobs *blobs, const char *name, const char *suffix, char path[PATH_SIZE])
{
	if (snprintf(path, PATH_SIZE, "%s/%s%s", blobs->folder, name, suffix) >= PATH_SIZE)
		*path = '\0';
	return path;
}

int
blob_begin(const struct blobs *blobs, struct blob_writer *writer)
{
	char path[PATH_SIZE];

	*writer = (struct blob_writer){.blobs = blobs, .fd = -1};
	id_new(writer->name, "");
	path_of(blobs, writer->name, partial, path);
	writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0 && errno == ENOENT && mkdir(blobs->folder, 0700) == 0)
		writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0)
		return -1;
	if (flock(writer->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	blob_end(writer, false);
	return -1;
}

int
blob_write(struct blob_writer *writer, const void *bytes, size_t len)
{
	if (file_write_all(writer->fd, bytes, len) < 0)
		return -1;
	writer->len += len;
	return 0;
}

int
blob_complete(struct blob_writer *writer)
{
	char from[PATH_SIZE], to[PATH_SIZE];

	path_of(writer->blobs, writer->name, partial, from);
	path_of(writer->blobs, writer->name, "", to);
	if (fsync(writer->fd) < 0 || rename(from, to) < 0)
		return -1;
	writer->complete = true;
	file_sync_folder(to);
	return 0;
}

void
blob_end(struct blob_writer *writer, bool keep)
{
	char path[PATH_SIZE];

	if (writer->fd < 0)
		return;
	if (!keep)
		unlink(path_of(writer->blobs, writer->name, writer->complete ? "" : partial, path));
	close(writer->fd);
	writer->fd = -1;
}

int
blob_open(const struct blobs *blobs, const char *name)
{
	char path[PATH_SIZE];

	return open(path_of(blobs, name, "", path), O_RDONLY | O_CLOEXEC);
}

void
blob_delete(const struct blobs *blobs, const char *name)
{
	char path[PATH_SIZE];

	if (unlink(path_of(blobs, name, "", path)) < 0 && errno != ENOENT)
		log_error("a deleted file's bytes remain: %s: %s", path, strerror(errno));
}

/* --- the sweep --- */

/*
 * Whether nobody writes it: it is not new, and not locked. The lock is kept, in *fd, so that this
 * stays true.
 */
static bool
is_abandoned(const char *path, int *fd)
{
	struct stat status;

	*fd = open(path, O_RDWR | O_CLOEXEC); /* NFS locks only what may be written */
	return *fd >= 0 && fstat(*fd, &status) == 0 && time(NULL) - status.st_mtime >= YOUNG_S &&
	    flock(*fd, LOCK_EX | LOCK_NB) == 0;
}

/* Returns whether it was deleted. */
static bool
sweep_one(const struct blobs *blobs, const char *name, blob_is_known_fn *is_known, void *arg)
{
	size_t len = strlen(name), suffix_len = sizeof partial - 1;
	bool is_partial = len > suffix_len && strcmp(name + len - suffix_len, partial) == 0;
	char path[PATH_SIZE];
	bool swept;
	int fd;

	path_of(blobs, name, "", path);
	/* The lock first: a writer commits its row before it releases its lock. */
	swept = is_abandoned(path, &fd) && (is_partial || is_known(arg, name) == 0) &&
	    unlink(path) == 0;
	if (fd >= 0)
		close(fd);
	return swept;
}

long long
blobs_sweep(const struct blobs *blobs, blob_is_known_fn *is_known, void *arg)
{
	DIR *folder = opendir(blobs->folder);
	struct dirent *entry;
	long long swept = 0;

	while (folder && (entry = readdir(folder)))
		if (*entry->d_name != '.')
			swept += sweep_one(blobs, entry->d_name, is_known, arg);
	if (folder)
		closedir(folder);
	return swept;
}
