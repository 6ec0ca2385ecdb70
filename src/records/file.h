/*
 * A file: what is known of it. Its bytes are a blob (blobs/blobs.h).
 */
#ifndef RECORDS_FILE_H
#define RECORDS_FILE_H

#include "os/id.h"
#include "records/record.h"

struct file {
	const char *id, *tenant;
	long long created_at;
	long long expires_at; /* 0: never */
	long long bytes;
	const char *purpose, *filename, *blob;
};

extern const struct record file_record;

/* The files of one purpose; the owner's `word`. */
extern const struct record file_of_purpose_record;

/* 1: inserted. 0: the id exists already. -1: failed. */
int file_insert(struct db_tx *tx, const struct file *file);

/* The bytes of all files of a tenant. 1; -1: failed. */
int file_bytes_of(struct db_tx *tx, const char *tenant, long long *bytes);

/* Where a file's bytes are, and how many. 1: found. 0: not found. -1: failed. */
int file_blob(
    struct db_tx *tx, const char *id, const char *tenant, char blob[ID_SIZE], long long *bytes);

/* Whether a file has this blob. 1, 0; -1: failed. */
int file_has_blob(struct db_tx *tx, const char *blob);

/* Deletes the file that expired first, and says where its bytes are. 1; 0: none has; -1: failed. */
int file_remove_expired(struct db_tx *tx, long long now, char blob[ID_SIZE]);

#endif
