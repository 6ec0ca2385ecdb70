#include "v1/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/file.h"
#include "os/hash.h"
#include "os/id.h"

enum { FILE_MAX = 4 << 20 };

static const char name_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

struct entry {
	char tenant[KEYS_TENANT_SIZE];
	char hash[SHA256_HEX_SIZE];
};

struct keys {
	const char *path;
	/* Threads that look up keys race while the file is read again. */
	pthread_mutex_t lock;
	struct stat seen; /* the file as it was read; all 0: there was none */
	struct entry *entries;
	size_t len;
};

struct keys *
keys_new(const char *path)
{
	struct keys *keys = calloc(1, sizeof *keys);

	if (!keys)
		return NULL;
	keys->path = path;
	pthread_mutex_init(&keys->lock, NULL);
	return keys;
}

void
keys_free(struct keys *keys)
{
	if (!keys)
		return;
	pthread_mutex_destroy(&keys->lock);
	free(keys->entries);
	free(keys);
}

/* Reads one line; comments and empty lines are skipped. -1: it is malformed. */
static int
read_line(struct keys *keys, const char *line, size_t len)
{
	size_t name_len = strspn(line, name_letters);
	struct entry *entries, *entry;

	if (len == 0 || *line == '#')
		return 0;
	if (name_len == 0 || name_len >= KEYS_TENANT_SIZE ||
	    len != name_len + 8 + SHA256_HEX_SIZE - 1 ||
	    strncmp(line + name_len, " sha256:", 8) != 0 ||
	    strspn(line + name_len + 8, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
		return -1;
	entries = reallocarray(keys->entries, keys->len + 1, sizeof *entries);
	if (!entries)
		return -1;
	keys->entries = entries;
	entry = &entries[keys->len++];
	snprintf(entry->tenant, sizeof entry->tenant, "%.*s", (int)name_len, line);
	snprintf(entry->hash, sizeof entry->hash, "%s", line + name_len + 8);
	return 0;
}

static void
read_file(struct keys *keys)
{
	unsigned number = 0;
	size_t text_len;
	char *text;

	/* Opening a pipe could block forever. */
	errno = EINVAL;
	text = S_ISREG(keys->seen.st_mode) ? file_read(keys->path, FILE_MAX, &text_len) : NULL;
	if (!text) {
		log_error("the keys in %s cannot be read: %s", keys->path, strerror(errno));
		return;
	}
	if (keys->seen.st_mode & S_IWOTH)
		log_warn("every user may write to %s, and so add keys: chmod o-w", keys->path);
	for (char *line = text, *end = text + text_len; line < end;) {
		char *next = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((next ? next : end) - line);

		number++;
		/* Ignores line ends of editors, and trailing blanks. */
		while (len > 0 && strchr(" \t\r", line[len - 1]))
			len--;
		if (read_line(keys, line, len) < 0)
			log_error("%s, line %u: a key must look like NAME sha256:HEX", keys->path,
			    number);
		line = next ? next + 1 : end;
	}
	free(text);
}

/* With the lock held. */
static void
read_if_changed(struct keys *keys)
{
	struct stat now;

	if (stat(keys->path, &now) < 0)
		now = (struct stat){0};
	/* The ctime changes with content and permissions, even if size and mtime stay. */
	if (now.st_ino == keys->seen.st_ino && now.st_size == keys->seen.st_size &&
	    now.st_ctim.tv_sec == keys->seen.st_ctim.tv_sec &&
	    now.st_ctim.tv_nsec == keys->seen.st_ctim.tv_nsec)
		return;
	keys->seen = now;
	keys->len = 0;
	if (now.st_ino)
		read_file(keys);
}

enum keys_answer
keys_find(struct keys *keys, const char *key, char tenant[KEYS_TENANT_SIZE])
{
	enum keys_answer answer = KEYS_UNKNOWN;
	char hash[SHA256_HEX_SIZE];

	sha256_hex(key, strlen(key), hash);
	pthread_mutex_lock(&keys->lock);
	read_if_changed(keys);
	if (keys->len == 0)
		answer = KEYS_NONE;
	for (size_t i = 0; i < keys->len; i++) {
		if (!sha256_hex_equal(keys->entries[i].hash, hash))
			continue;
		snprintf(tenant, KEYS_TENANT_SIZE, "%s", keys->entries[i].tenant);
		answer = KEYS_KNOWN;
	}
	pthread_mutex_unlock(&keys->lock);
	return answer;
}

size_t
keys_count(struct keys *keys)
{
	size_t count;

	pthread_mutex_lock(&keys->lock);
	read_if_changed(keys);
	count = keys->len;
	pthread_mutex_unlock(&keys->lock);
	return count;
}

/*
 * Appends in one write, so that readers see the whole line or none. `line` begins with a newline,
 * in case the last line has none.
 */
static int
append(const char *path, const char *line)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	int result = -1, error;
	struct stat status;
	char last = '\n';
	size_t len;

	if (fd < 0)
		return -1;
	errno = EINVAL;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    (status.st_size > 0 && pread(fd, &last, 1, status.st_size - 1) != 1))
		goto out;
	line += last == '\n';
	len = strlen(line);
	errno = ENOSPC;
	if (write(fd, line, len) == (ssize_t)len && fsync(fd) == 0)
		result = 0;
out:
	error = errno;
	close(fd);
	errno = error;
	return result;
}

bool
keys_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < KEYS_TENANT_SIZE && strspn(name, name_letters) == len;
}

int
keys_make(const char *path, const char *name, char key[KEYS_KEY_SIZE], char error[ERROR_SIZE])
{
	char hash[SHA256_HEX_SIZE], line[256], id[ID_SIZE];

	if (!keys_is_name(name)) {
		snprintf(error, ERROR_SIZE,
		    "the name \"%.80s\" cannot be used: it must have 1 to %d letters, digits, '_', "
		    "'.' and '-'",
		    name, KEYS_TENANT_SIZE - 1);
		return -1;
	}
	id_new(id, "sk-");
	snprintf(key, KEYS_KEY_SIZE, "%s", id);
	sha256_hex(key, strlen(key), hash);
	snprintf(line, sizeof line, "\n%s sha256:%s\n", name, hash);
	if (append(path, line) == 0)
		return 0;
	snprintf(
	    error, ERROR_SIZE, "the key cannot be stored in %.256s: %s", path, strerror(errno));
	return -1;
}
