/*
 * The bytes of files: blobs/ in the state folder, a file each. Their names are made here, never by
 * a client or an import.
 *
 * A blob is written beside the others and gets its name when it is complete and on disk. Its writer
 * keeps a lock on it until the database refers to it. So one that has neither a lock nor a row was
 * left behind, and is swept.
 */
#ifndef BLOBS_BLOBS_H
#define BLOBS_BLOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "os/id.h"

struct blobs;

/* Uses `state_dir`/blobs, which the first blob makes. NULL: out of memory. */
struct blobs *blobs_new(const char *state_dir);
void blobs_free(struct blobs *blobs);

/* The bytes that may still be written: 5 % of the disk, and at least 1 GiB, stay free. */
unsigned long long blobs_room(const struct blobs *blobs);

/* A blob being written, from blob_begin() to blob_end(). */
struct blob_writer {
	const struct blobs *blobs;
	int fd; /* -1: none */
	bool complete;
	unsigned long long len;
	char name[ID_SIZE];
};

/* These return -1 with errno. blob_complete(): the blob has its name, and is on disk. */
int blob_begin(const struct blobs *blobs, struct blob_writer *writer);
int blob_write(struct blob_writer *writer, const void *bytes, size_t len);
int blob_complete(struct blob_writer *writer);

/* Releases the lock. Unless it is kept, the blob is deleted. */
void blob_end(struct blob_writer *writer, bool keep);

/* Opens a blob for reading. Returns a descriptor; -1 with errno. */
int blob_open(const struct blobs *blobs, const char *name);

void blob_delete(const struct blobs *blobs, const char *name);

/* Whether something refers to this blob: 1, 0; -1: that cannot be said now. */
typedef int blob_is_known_fn(void *arg, const char *name);

/* Deletes what writers left behind that were killed. Returns the number of blobs. */
long long blobs_sweep(const struct blobs *blobs, blob_is_known_fn *is_known, void *arg);

#endif
