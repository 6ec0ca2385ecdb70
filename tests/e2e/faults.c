/*
 * LD_PRELOAD: faults of file systems.
 *
 * FAULT_NFS: statfs(2) says that every file system is NFS. FAULT_NO_SHM: nothing whose name ends in
 * -shm can be mapped by several processes. FAULT_READ_ONLY=FLAG: while the file FLAG exists, open
 * files in the state folder cannot be written, as after an error of the disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The path of an open file; "": it has none. */
static void
path_of(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, size - 1);
	path[len > 0 ? len : 0] = '\0';
}

static int
is_forbidden(int fd)
{
	const char *flag = getenv("FAULT_READ_ONLY"), *folder = getenv("ASSISTANTS_STATE_DIR");
	char path[4096];

	if (!flag || !folder || access(flag, F_OK) < 0)
		return 0;
	path_of(fd, path, sizeof path);
	errno = EROFS;
	return strncmp(path, folder, strlen(folder)) == 0;
}

int
statfs(const char *path, struct statfs *status)
{
	int result = (int)syscall(SYS_statfs, path, status);

	if (result == 0 && getenv("FAULT_NFS"))
		status->f_type = NFS_SUPER_MAGIC;
	return result;
}

void *
mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	char path[4096];
	size_t path_len;

	if ((flags & MAP_SHARED) && fd >= 0 && getenv("FAULT_NO_SHM")) {
		path_of(fd, path, sizeof path);
		path_len = strlen(path);
		if (path_len > 4 && strcmp(path + path_len - 4, "-shm") == 0) {
			errno = ENODEV;
			return MAP_FAILED;
		}
	}
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *
mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return mmap64(at, len, protection, flags, fd, offset);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	return is_forbidden(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, len, offset);
}

int
ftruncate64(int fd, off_t len)
{
	return is_forbidden(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}
