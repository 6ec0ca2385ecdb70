#include "db/sqlite_connect.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "obs/log.h"
#include "os/clock.h"
#include "os/interrupt.h"

enum {
	STEP_MS = 10,
	/* No two threads use a connection at the same time, so SQLite need not lock it. */
	OPEN = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
	OPEN_OR_CREATE = OPEN | SQLITE_OPEN_CREATE,
	SHM_REGION = 32768 /* what a write-ahead log maps at a time */
};

/*
 * For new files. A commit writes a few scattered rows, each with its whole page. Half of SQLite's
 * default of 4096 bytes makes a message 8 % faster; a quarter is no better than that.
 */
static const char page_size[] = "PRAGMA page_size = 2048";

/*
 * File systems that several machines may share. Behind FUSE there may be anything, for example
 * sshfs, or folders shared with virtual machines.
 */
static const struct {
	uint32_t type;
	const char *name;
} network_types[] = {
    {NFS_SUPER_MAGIC, "NFS"},
    {SMB_SUPER_MAGIC, "SMB"},
    {CIFS_SUPER_MAGIC, "SMB"},
    {SMB2_SUPER_MAGIC, "SMB"},
    {AFS_SUPER_MAGIC, "AFS"},
    {AFS_FS_MAGIC, "AFS"},
    {CODA_SUPER_MAGIC, "Coda"},
    {NCP_SUPER_MAGIC, "NCP"},
    {V9FS_MAGIC, "9P"},
    {CEPH_SUPER_MAGIC, "Ceph"},
    {OCFS2_SUPER_MAGIC, "OCFS2"},
    {FUSE_SUPER_MAGIC, "FUSE"},
    /* These have no name in Linux's headers. */
    {0x01161970, "GFS2"},
    {0x0bd00bd0, "Lustre"},
    {0x19830326, "BeeGFS"},
    {0x47504653, "GPFS"},
    {0x786f4256, "VirtualBox's shared folders"},
};

/* The network file system that the file, which may not exist yet, is on; NULL: none. */
static const char *
network_type(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct statfs status;
	/* The file may be a symbolic link to another file system. */
	bool known = statfs(path, &status) == 0 || (folder && statfs(folder, &status) == 0);

	free(folder);
	for (size_t i = 0; known && i < sizeof network_types / sizeof *network_types; i++)
		if (network_types[i].type == (uint32_t)status.f_type)
			return network_types[i].name;
	return NULL;
}

/*
 * The system's error: the journal's, else the database's, else that of the connection's last
 * failure, which after a failed commit may be about another file.
 */
static int
system_error(sqlite3 *handle)
{
	sqlite3_file *journal = NULL;
	int error = 0;

	sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
	if (journal && journal->pMethods)
		journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &error);
	if (!error)
		sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
	return error ? error : sqlite3_system_errno(handle);
}

void
connect_reason(sqlite3 *handle, char reason[REASON_SIZE])
{
	int code = sqlite3_errcode(handle) & 0xff;
	bool asked_system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN;
	int error = asked_system ? system_error(handle) : 0;

	snprintf(reason, REASON_SIZE, "%s%s%s%s", sqlite3_errmsg(handle), error ? " (" : "",
	    error ? strerror(error) : "", error ? ")" : "");
}

int
connect_exec(sqlite3 *handle, const char *sql)
{
	long long end = clock_ms() + BUSY_TIMEOUT_MS;
	int code;

	while (
	    (code = sqlite3_exec(handle, sql, NULL, NULL, NULL)) == SQLITE_BUSY && clock_ms() < end)
		interrupt_sleep(NULL, STEP_MS);
	return code;
}

/*
 * Tests whether -shm can be made, locked and mapped, by the calls that a write-ahead log makes.
 * Trying the log itself would change the file for processes that do without it. errno if it cannot.
 */
static int
probe_shared_memory(const char *path)
{
	volatile void *memory = NULL;
	sqlite3_file *file = NULL;
	sqlite3 *handle = NULL;
	int code = SQLITE_OK, error;

	if (sqlite3_open_v2(path, &handle, OPEN_OR_CREATE, NULL) == SQLITE_OK)
		sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (file && file->pMethods && file->pMethods->xShmMap) {
		code = file->pMethods->xShmMap(file, 0, SHM_REGION, true, &memory);
		error = errno;
		file->pMethods->xShmUnmap(file, false);
		errno = error;
	}
	error = errno;
	sqlite3_close(handle);
	errno = error;
	return code;
}

static bool
has_shared_memory(const char *path)
{
	long long end = clock_ms() + BUSY_TIMEOUT_MS;
	int code;

	/* SQLITE_BUSY: another process is probing; retry. */
	while ((code = probe_shared_memory(path)) == SQLITE_BUSY && clock_ms() < end)
		interrupt_sleep(NULL, STEP_MS);
	/* On any other error the log will not work either, and its own error says more. */
	return code != SQLITE_CANTOPEN && code != SQLITE_IOERR_SHMOPEN &&
	    code != SQLITE_IOERR_SHMMAP && code != SQLITE_IOERR_SHMLOCK;
}

/*
 * The last pragma reads, because only a read opens the journal. In exclusive mode, an existing
 * write-ahead log is read and removed without shared memory, if no other process has the file open.
 */
static int
set_journal(sqlite3 *handle, bool rollback)
{
	static const char wal[] = "PRAGMA journal_mode = WAL; PRAGMA user_version";
	static const char no_wal[] = "PRAGMA locking_mode = EXCLUSIVE;"
				     "PRAGMA journal_mode = DELETE;"
				     "PRAGMA locking_mode = NORMAL;"
				     "PRAGMA user_version";

	return sqlite3_exec(handle, rollback ? no_wal : wal, NULL, NULL, NULL);
}

const char *
connect_synchronous(const struct place *place, bool durable)
{
	/* With FULL, SQLite does not sync the deletion of a rollback journal. */
	if (durable)
		return "PRAGMA synchronous = EXTRA";
	/*
	 * With NORMAL, a power cut could not only lose a commit: a half-written journal would be
	 * half undone.
	 */
	return place->rollback ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
}

static int
open_once(const struct place *place, int flags, sqlite3 **handle)
{
	int code = sqlite3_open_v2(place->path, handle, flags, NULL);

	if (code != SQLITE_OK)
		return code;
	sqlite3_extended_result_codes(*handle, 1);
	/* SQLite opens a file that it may not write as read-only, without an error. */
	if (sqlite3_db_readonly(*handle, "main"))
		return SQLITE_READONLY;
	if (flags & SQLITE_OPEN_CREATE)
		sqlite3_exec(*handle, page_size, NULL, NULL, NULL);
	code = set_journal(*handle, place->rollback);
	if (code != SQLITE_OK)
		return code;
	sqlite3_busy_timeout(*handle, BUSY_TIMEOUT_MS);
	/* Finds a damaged page when it is read, before the damage spreads. */
	code = connect_exec(*handle, "PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON");
	if (code != SQLITE_OK)
		return code;
	return connect_exec(*handle, connect_synchronous(place, place->durable));
}

/*
 * SQLITE_BUSY here: another process is changing the journal, too. Everything is closed before the
 * next try.
 */
static int
open_patiently(const struct place *place, int flags, sqlite3 **handle)
{
	long long end = clock_ms() + BUSY_TIMEOUT_MS;
	int code;

	while (
	    ((code = open_once(place, flags, handle)) & 0xff) == SQLITE_BUSY && clock_ms() < end) {
		sqlite3_close(*handle);
		interrupt_sleep(NULL, STEP_MS);
	}
	return code;
}

static sqlite3 *
opened(const struct place *place, sqlite3 *handle, int code, char *error, size_t error_size)
{
	char reason[REASON_SIZE];

	if (code == SQLITE_OK)
		return handle;
	snprintf(reason, sizeof reason, "%s", sqlite3_errstr(code));
	if (handle && sqlite3_errcode(handle) != SQLITE_OK)
		connect_reason(handle, reason);
	snprintf(error, error_size, "the database %s cannot be opened: %s", place->path, reason);
	sqlite3_close(handle);
	return NULL;
}

sqlite3 *
connect_again(const struct place *place, char *error, size_t error_size)
{
	sqlite3 *handle = NULL;
	int code = open_patiently(place, OPEN, &handle);

	return opened(place, handle, code, error, error_size);
}

sqlite3 *
connect_first(struct place *place, char *error, size_t error_size)
{
	const char *network = network_type(place->path);
	char why[REASON_SIZE] = "";
	sqlite3 *handle = NULL;
	int code;

	if (network)
		snprintf(why, sizeof why, "it is on a network file system (%s)", network);
	else if (!has_shared_memory(place->path))
		snprintf(
		    why, sizeof why, "its file system has no shared memory (%s)", strerror(errno));
	place->rollback = *why;
	code = open_patiently(place, OPEN_OR_CREATE, &handle);
	if (code == SQLITE_OK && place->rollback)
		log_info("the database %s uses a rollback journal instead of a write-ahead log: %s",
		    place->path, why);
	return opened(place, handle, code, error, error_size);
}
