/* Small files, read as a whole and replaced as a whole. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stddef.h>

#include "os/interrupt.h"

/*
 * Reads a file as a NUL-terminated string, the caller's to free; `len` (may be NULL) gets its
 * length. NULL with errno; EFBIG: longer than `size_max` bytes.
 */
char *file_read(const char *path, size_t size_max, size_t *len);

/*
 * Replaces the file in one step: readers see the old content or the new, even after a power cut. A
 * temporary file beside it, mode 0600, fsync, rename. -1 with errno: nothing has changed.
 */
int file_replace(const char *path, const char *content);

/* Writes all bytes. -1 with errno. */
int file_write_all(int fd, const void *bytes, size_t len);

/* Syncs the folder of `path`, so that a change of its name (such as a rename) is on disk. */
void file_sync_folder(const char *path);

/*
 * Takes the exclusive lock on the file `path` (made if missing), waiting at most `wait_ms`.
 * Excludes other processes and threads. Returns a descriptor; closing it releases the lock. -1 with
 * errno: ETIMEDOUT: another holds it. ECANCELED: `interrupt` (may be NULL) was raised.
 */
int file_lock(const char *path, long long wait_ms, const struct interrupt *interrupt);

#endif
