#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "os/clock.h"
#include "text/buf.h"

enum { LOCK_STEP_MS = 20 };

char *
file_read(const char *path, size_t size_max, size_t *len)
{
	struct buf content = BUF_INIT(size_max);
	char piece[4096];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((got = read(fd, piece, sizeof piece)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || buf_append(&content, piece, (size_t)got) < 0)
			break;
	}
	if (got != 0) {
		int error = got < 0 ? errno : EFBIG;

		close(fd);
		buf_free(&content);
		errno = error;
		return NULL;
	}
	close(fd);
	if (len)
		*len = content.len;
	return buf_take(&content);
}

int
file_write_all(int fd, const void *bytes, size_t len)
{
	const char *data = bytes;

	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		data += done;
		len -= (size_t)done;
	}
	return 0;
}

void
file_sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder =
	    slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

int
file_replace(const char *path, const char *content)
{
	struct buf name = BUF_INIT(4096);
	int fd = -1, result = -1, error;

	if (buf_printf(&name, "%s.XXXXXX", path) < 0) {
		errno = ENAMETOOLONG;
		goto out;
	}
	fd = mkostemp(name.data, O_CLOEXEC);
	if (fd < 0)
		goto out;
	if (file_write_all(fd, content, strlen(content)) < 0 || fsync(fd) < 0 ||
	    rename(name.data, path) < 0) {
		error = errno;
		unlink(name.data);
		errno = error;
		goto out;
	}
	file_sync_folder(path);
	result = 0;
out:
	error = errno;
	if (fd >= 0)
		close(fd);
	buf_free(&name);
	errno = error;
	return result;
}

int
file_lock(const char *path, long long wait_ms, const struct interrupt *interrupt)
{
	long long end = clock_ms() + wait_ms;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	/* A file that may not be written, or a folder in its place, can still be locked. */
	if (fd < 0) {
		int error = errno;

		fd = open(path, O_RDONLY | O_CLOEXEC);
		errno = error;
	}
	if (fd < 0)
		return -1;
	/*
	 * flock() belongs to the open file. So threads that each open the file exclude each other,
	 * too.
	 */
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = errno;

		if (error != EWOULDBLOCK && error != EINTR)
			goto fail;
		error = ETIMEDOUT;
		if (clock_ms() >= end)
			goto fail;
		error = ECANCELED;
		if (interrupt_sleep(interrupt, LOCK_STEP_MS))
			goto fail;
		continue;
	fail:
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}
