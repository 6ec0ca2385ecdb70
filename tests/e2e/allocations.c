/*
 * LD_PRELOAD: makes an allocation fail, number FAIL_AT from the beginning of main(). Or, with
 * FAIL_FILE, it waits until that file has a number above 0, and counts from then. At the end, the
 * count is written to FAIL_COUNTED, if that is set.
 *
 * Allocations of libfcgi do not fail: it asserts that they succeed (fcgiapp.c, Malloc).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_long counted;
static long fail_at;        /* if there is no file */
static atomic_long *shared; /* the file: the number, and the count */
static atomic_bool ready;

static int
is_of_libfcgi(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libfcgi");
}

/* Whether this allocation fails. */
static int
fails(const void *caller)
{
	long at, number;

	if (!atomic_load(&ready) || is_of_libfcgi(caller))
		return 0;
	if (!shared)
		return atomic_fetch_add(&counted, 1) + 1 == fail_at;
	at = atomic_load(&shared[0]);
	if (at <= 0)
		return 0;
	number = atomic_fetch_add(&shared[1], 1) + 1;
	return number == at;
}

void *
malloc(size_t size)
{
	if (fails(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	if (fails(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	if (fails(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(old, size);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("FAIL_FILE"), *number = getenv("FAIL_AT");
	FILE *file = path ? fopen(path, "r+") : NULL;

	fail_at = number ? strtol(number, NULL, 10) : 0;
	if (file)
		shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	if (file)
		fclose(file);
	atomic_store(&ready, 1);
}

__attribute__((destructor)) static void
end(void)
{
	const char *path = getenv("FAIL_COUNTED");
	FILE *file;

	atomic_store(&ready, 0);
	file = path ? fopen(path, "w") : NULL;
	if (file) {
		fprintf(file, "%ld\n", atomic_load(&counted));
		fclose(file);
	}
}
