/* Small files: read as a whole, replaced in one step, locked between threads and processes. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/interrupt.h"

enum { SIZE_MAX_READ = 100000, WAIT_MS = 20000 };

static unsigned
entries(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static void
test_read(void **state)
{
	static const struct {
		const char *content; /* NULL: no such file */
		size_t size_max;
		int error;
	} rows[] = {
	    {"", 10, 0},
	    {"", 0, 0},
	    {"1234567890", 10, 0},
	    {"1234567890", 9, EFBIG},
	    {"1", 0, EFBIG},
	    {NULL, 10, ENOENT},
	};
	char *folder = folder_new(), *path = path_in(folder, "file"), *content;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].content)
			file_write(path, rows[i].content);
		else
			unlink(path);
		len = 77;
		errno = 0;
		content = file_read(path, rows[i].size_max, &len);
		check_text("content", content, rows[i].error ? NULL : rows[i].content);
		if (rows[i].error)
			check_int("errno", errno, rows[i].error);
		else
			check_int("len", (long long)len, (long long)strlen(rows[i].content));
		free(content);
	}
	assert_null(file_read(folder, 10, NULL));
	assert_int_equal(errno, EISDIR);
	free(path);
	folder_remove(folder);
}

/* Longer than one read, and with a NUL in it. */
static void
test_read_long(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "file"), *content;
	static char text[50000];
	size_t len;
	FILE *file = fopen(path, "we");

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i % 251);
	assert_int_equal(fwrite(text, 1, sizeof text, file), sizeof text);
	fclose(file);
	content = file_read(path, sizeof text, &len);
	assert_int_equal(len, sizeof text);
	assert_memory_equal(content, text, sizeof text);
	assert_int_equal(content[len], '\0');
	free(content);
	assert_null(file_read(path, sizeof text - 1, &len));
	free(path);
	folder_remove(folder);
}

static void
test_replace(void **state)
{
	static const char *const contents[] = {"first", "second, which is longer", "3", ""};
	char *folder = folder_new(), *path = path_in(folder, "file");
	mode_t mask = umask(0);

	(void)state;
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct stat info;
		char *content;

		assert_int_equal(file_replace(path, contents[i]), 0);
		content = file_read(path, 100, NULL);
		check_text("content", content, contents[i]);
		free(content);
		assert_int_equal(stat(path, &info), 0);
		check_int("mode", info.st_mode & 07777, 0600);
		check_int("files", entries(folder), 1);
		/* The old file's wide mode does not stay. */
		assert_int_equal(chmod(path, 0666), 0);
	}
	umask(mask);
	free(path);
	folder_remove(folder);
}

/* A path without a folder works, too. */
static void
test_replace_here(void **state)
{
	char *folder = folder_new(), *before = getcwd(NULL, 0), *content;
	int result;

	(void)state;
	assert_int_equal(chdir(folder), 0);
	result = file_replace("file", "text");
	content = file_read("file", 100, NULL);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(result, 0);
	assert_string_equal(content, "text");
	free(content);
	free(before);
	folder_remove(folder);
}

/* The disk is full, for this process: the old content stays, and nothing of the new. */
static void
test_replace_full(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "file"), *content;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit before, small;
	int result, error;

	(void)state;
	file_write(path, "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = 4, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	result = file_replace(path, "new, and longer than may be");
	error = errno;
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, handler);
	assert_int_equal(result, -1);
	assert_int_equal(error, EFBIG);
	content = file_read(path, 100, NULL);
	assert_string_equal(content, "old");
	assert_int_equal(entries(folder), 1);
	free(content);
	free(path);
	folder_remove(folder);
}

static void
test_replace_fails(void **state)
{
	char *folder = folder_new(), *taken = path_in(folder, "taken");
	char *missing = path_in(folder, "missing/file");
	static char long_path[6000];

	(void)state;
	/* There is a folder at the path. */
	assert_int_equal(mkdir(taken, 0700), 0);
	assert_int_equal(file_replace(taken, "x"), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(entries(folder), 1);
	assert_int_equal(entries(taken), 0);
	assert_int_equal(file_replace(missing, "x"), -1);
	assert_int_equal(errno, ENOENT);
	memset(long_path, 'a', sizeof long_path - 1);
	long_path[0] = '/';
	assert_int_equal(file_replace(long_path, "x"), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	free(taken);
	free(missing);
	folder_remove(folder);
}

enum { REPLACEMENTS = 60, LEN_A = 9000, LEN_B = 20000 };

struct replacing {
	const char *path;
	char a[LEN_A + 1], b[LEN_B + 1];
	atomic_bool done;
};

static void *
replace_often(void *arg)
{
	struct replacing *replacing = arg;

	for (int i = 0; i < REPLACEMENTS; i++)
		file_replace(replacing->path, i % 2 ? replacing->a : replacing->b);
	replacing->done = true;
	return NULL;
}

/* A reader sees the old or the new content, never a mixture. */
static void
test_replace_atomic(void **state)
{
	static struct replacing replacing;
	char *folder = folder_new(), *path = path_in(folder, "file");
	pthread_t thread;

	(void)state;
	memset(replacing.a, 'a', LEN_A);
	memset(replacing.b, 'b', LEN_B);
	replacing.path = path;
	assert_int_equal(file_replace(path, replacing.a), 0);
	assert_int_equal(pthread_create(&thread, NULL, replace_often, &replacing), 0);
	while (!replacing.done) {
		char *content = file_read(path, SIZE_MAX_READ, NULL);

		assert_non_null(content);
		assert_string_equal(content, *content == 'a' ? replacing.a : replacing.b);
		free(content);
	}
	pthread_join(thread, NULL);
	assert_int_equal(entries(folder), 1);
	free(path);
	folder_remove(folder);
}

enum { LOCKERS = 6, ROUNDS = 5 };

struct lockers {
	const char *path;
	atomic_int inside, most, done, failed;
};

static void *
lock_often(void *arg)
{
	struct lockers *lockers = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = file_lock(lockers->path, WAIT_MS, NULL), inside;

		if (fd < 0) {
			lockers->failed++;
			continue;
		}
		inside = ++lockers->inside;
		if (inside > lockers->most)
			lockers->most = inside;
		interrupt_sleep(NULL, 1);
		lockers->inside--;
		lockers->done++;
		close(fd);
	}
	return NULL;
}

static void
test_lock_threads(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "lock");
	struct lockers lockers = {.path = path};
	pthread_t threads[LOCKERS];
	struct stat info;

	(void)state;
	for (int i = 0; i < LOCKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lock_often, &lockers), 0);
	for (int i = 0; i < LOCKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(lockers.failed, 0);
	assert_int_equal(lockers.done, LOCKERS * ROUNDS);
	assert_int_equal(lockers.most, 1);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	free(path);
	folder_remove(folder);
}

static void
test_lock_timeout(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "lock"), *content;
	long long start;
	int fd, again;

	(void)state;
	file_write(path, "content that stays");
	fd = file_lock(path, 0, NULL);
	assert_true(fd >= 0);
	errno = 0;
	assert_int_equal(file_lock(path, 0, NULL), -1);
	assert_int_equal(errno, ETIMEDOUT);
	start = clock_ms();
	assert_int_equal(file_lock(path, 100, NULL), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_in_range(clock_ms() - start, 100, 5000);
	close(fd);
	again = file_lock(path, 0, NULL);
	assert_true(again >= 0);
	close(again);
	content = file_read(path, 100, NULL);
	assert_string_equal(content, "content that stays");
	free(content);
	free(path);
	path = path_in(folder, "missing/lock");
	assert_int_equal(file_lock(path, 0, NULL), -1);
	assert_int_equal(errno, ENOENT);
	free(path);
	folder_remove(folder);
}

/* A folder in the lock's place works as well. */
static void
test_lock_folder(void **state)
{
	char *folder = folder_new();
	int fd = file_lock(folder, 0, NULL), again;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_lock(folder, 0, NULL), -1);
	assert_int_equal(errno, ETIMEDOUT);
	close(fd);
	again = file_lock(folder, 0, NULL);
	assert_true(again >= 0);
	close(again);
	folder_remove(folder);
}

/* Another process holds the lock; when it dies, the lock is free. */
static void
test_lock_processes(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "lock");
	int ready[2], fd;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* Ends it if the test fails. */
		alarm(60);
		byte = file_lock(path, 0, NULL) >= 0 ? 'y' : 'n';
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(file_lock(path, 0, NULL), -1);
	assert_int_equal(kill(child, SIGKILL), 0);
	fd = file_lock(path, WAIT_MS, NULL);
	assert_true(fd >= 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	close(ready[0]);
	close(ready[1]);
	free(path);
	folder_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read_long),
	    cmocka_unit_test(test_replace),
	    cmocka_unit_test(test_replace_here),
	    cmocka_unit_test(test_replace_full),
	    cmocka_unit_test(test_replace_fails),
	    cmocka_unit_test(test_replace_atomic),
	    cmocka_unit_test(test_lock_threads),
	    cmocka_unit_test(test_lock_timeout),
	    cmocka_unit_test(test_lock_folder),
	    cmocka_unit_test(test_lock_processes),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
