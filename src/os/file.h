/*
 * Small files, read whole and replaced whole.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stddef.h>

#include "os/interrupt.h"

/*
 * The file's content as a NUL-terminated string, the caller's to free; `len` (may be NULL) is its
 * length. NULL with errno; EFBIG when it is longer than `size_max` bytes.
 */
char *file_read(const char *path, size_t size_max, size_t *len);

/*
 * Replaces the file as one step: whoever reads sees the old content or the new, also after a power
 * cut. A fresh temporary file beside it, mode 0600, fsync, rename. -1 with errno, and nothing has
 * changed.
 */
int file_replace(const char *path, const char *content);

/* What happened to the name `path` is on the disk now: a rename is when its folder is. */
void file_sync_folder(const char *path);

/*
 * Takes the exclusive lock on the file `path` (made if missing), waiting at most `wait_ms`.
 * Processes and threads exclude each other. The descriptor, whose close(2) gives the lock back; -1
 * with errno, ETIMEDOUT when somebody else keeps it,
 * ECANCELED when `interrupt` (may be NULL) was raised.
 */
int file_lock(const char *path, long long wait_ms, const struct interrupt *interrupt);

#endif
