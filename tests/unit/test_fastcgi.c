/* Workers: that they end after a peak, and what happens when the system has no more threads. */
#include "support.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/server.h"
#include "os/clock.h"
#include "os/interrupt.h"

enum {
	WORKERS = 40,
	FEW = 5,
	THREADS_KEPT = 12, /* the eight that stay, this test's own, a sanitizer's */
	PIECE = 1000,
	PIECES = 500,
	PATIENCE_MS = 60000,
	STEP_MS = 10
};

/* How many threads the system still starts for the program; -1: any number. */
static atomic_int threads_left = -1;

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	if (atomic_load(&threads_left) == 0)
		return EAGAIN;
	if (atomic_load(&threads_left) > 0)
		atomic_fetch_sub(&threads_left, 1);
	return real(thread, attr, fn, arg);
}

/* How many workers are returning memory, which then waits for the test. */
static atomic_uint trimming;
static atomic_bool trim_waits;

int
malloc_trim(size_t pad)
{
	int (*real)(size_t);

	*(void **)&real = dlsym(RTLD_NEXT, "malloc_trim");
	atomic_fetch_add(&trimming, 1);
	while (atomic_load(&trim_waits))
		interrupt_sleep(NULL, 1);
	atomic_fetch_sub(&trimming, 1);
	return real(pad);
}

/* A server whose handler waits at a gate. */
struct bench {
	struct server_options options;
	char *folder, *socket;
	int fd;
	pthread_t thread;
	atomic_uint inside, missing;
	atomic_bool open;
	void *_Atomic kept;
};

/* Uses memory like a peak; some of it stays, so that the rest is not at the heap's end. */
static void
wait_with_memory(struct bench *bench)
{
	char *pieces[PIECES];

	for (int i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE);
		assert_non_null(pieces[i]);
		memset(pieces[i], 1, PIECE);
	}
	while (!atomic_load(&bench->open))
		interrupt_sleep(NULL, STEP_MS);
	for (int i = 1; i < PIECES; i++)
		free(pieces[i]);
	*(void **)pieces[0] = atomic_exchange(&bench->kept, pieces[0]);
}

static void
answer(void *arg, struct exchange *exchange)
{
	struct bench *bench = arg;

	atomic_store(&bench->missing, exchange->workers_missing);
	atomic_fetch_add(&bench->inside, 1);
	if (!atomic_load(&bench->open))
		wait_with_memory(bench);
	exchange->write(exchange, "Status: 204 No Content\r\n\r\n", 26);
}

static void *
serve(void *arg)
{
	struct bench *bench = arg;
	char address[128];

	snprintf(address, sizeof address, "unix:%s", bench->socket);
	assert_int_equal(server_run_fastcgi(bench->fd, address, &bench->options), 0);
	return NULL;
}

static int
bench_start(void **state)
{
	struct bench *bench = malloc(sizeof *bench);
	char address[128], error[256];

	assert_non_null(bench);

	*bench = (struct bench){
	    .options = {
		.workers = WORKERS, .idle_s = 1, .grace_s = 30, .handler = answer, .arg = bench}};
	bench->folder = folder_new();
	bench->socket = path_in(bench->folder, "socket");
	snprintf(address, sizeof address, "unix:%s", bench->socket);
	bench->fd = server_listen(address, 0600, error, sizeof error);
	assert_true(bench->fd >= 0);
	assert_int_equal(pthread_create(&bench->thread, NULL, serve, bench), 0);
	*state = bench;
	return 0;
}

static int
bench_stop(void **state)
{
	struct bench *bench = *state;
	void *kept = atomic_load(&bench->kept);

	atomic_store(&bench->open, true);
	atomic_store(&trim_waits, false);
	kill(getpid(), SIGTERM);
	pthread_join(bench->thread, NULL);
	while (kept) {
		void *next = *(void **)kept;

		free(kept);
		kept = next;
	}
	free(bench->socket);
	folder_remove(bench->folder);
	free(bench);
	return 0;
}

/* Sends a request like a web server that keeps its connections. */
static int
send_request(const struct bench *bench)
{
	static const char bytes[] = "\1\1\0\1\0\10\0\0" /* FCGI_BEGIN_REQUEST */
				    "\0\1\1\0\0\0\0\0"  /* FCGI_RESPONDER, FCGI_KEEP_CONN */
				    "\1\4\0\1\0\0\0\0"  /* FCGI_PARAMS, its end */
				    "\1\5\0\1\0\0\0\0"; /* FCGI_STDIN, its end */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", bench->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(write(fd, bytes, sizeof bytes - 1), sizeof bytes - 1);
	return fd;
}

/* Reads until the program closes the connection. */
static void
read_answer(int fd)
{
	char bytes[4096];
	size_t len = 0;
	ssize_t got;

	while ((got = read(fd, bytes + len, sizeof bytes - 1 - len)) > 0)
		len += (size_t)got;
	assert_int_equal(got, 0);
	assert_non_null(memmem(bytes, len, "Status: 204", 11));
	close(fd);
}

static unsigned
threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	unsigned count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2;
}

static long
resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (fgets(line, sizeof line, file))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	fclose(file);
	return kib;
}

static void
wait_until_inside(struct bench *bench, unsigned count)
{
	long long end = clock_ms() + PATIENCE_MS;

	while (atomic_load(&bench->inside) < count && clock_ms() < end)
		interrupt_sleep(NULL, STEP_MS);
	assert_int_equal(atomic_load(&bench->inside), count);
}

static void
send_requests(struct bench *bench, int *fds)
{
	atomic_store(&bench->inside, 0);
	atomic_store(&bench->open, false);
	for (int i = 0; i < WORKERS; i++)
		fds[i] = send_request(bench);
}

/* All workers busy at once. */
static void
all_wait(struct bench *bench, int *fds)
{
	send_requests(bench, fds);
	wait_until_inside(bench, WORKERS);
}

static void
all_are_answered(struct bench *bench, const int *fds)
{
	atomic_store(&bench->open, true);
	for (int i = 0; i < WORKERS; i++)
		read_answer(fds[i]);
}

/* The sanitizers' malloc keeps what was freed. */
static bool
peak_is_over(long resident_before_kib)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	resident_before_kib = resident_kib();
#endif
	return threads() <= THREADS_KEPT &&
	    resident_kib() < resident_before_kib + WORKERS * PIECES * PIECE / 1024 / 4;
}

/* After a peak there is nothing to do, or a little, which any worker does. */
static void
peak(struct bench *bench, bool quiet)
{
	long long end = clock_ms() + PATIENCE_MS;
	long before = resident_kib();
	int fds[WORKERS];

	all_wait(bench, fds);
	assert_true(threads() > WORKERS);
	all_are_answered(bench, fds);
	while (!peak_is_over(before) && clock_ms() < end) {
		if (!quiet)
			read_answer(send_request(bench));
		interrupt_sleep(NULL, 1);
	}
	assert_true(peak_is_over(before));
	/* When they are needed again, there are as many again. */
	all_wait(bench, fds);
	all_are_answered(bench, fds);
}

static void
a_peak_then_quiet(void **state)
{
	peak(*state, true);
}

static void
a_peak_then_a_trickle(void **state)
{
	peak(*state, false);
}

static void
a_peak_while_a_worker_ends(void **state)
{
	struct bench *bench = *state;
	long long end = clock_ms() + PATIENCE_MS;
	int fds[WORKERS];

	atomic_store(&trim_waits, true);
	all_wait(bench, fds);
	all_are_answered(bench, fds);
	while (atomic_load(&trimming) == 0 && clock_ms() < end)
		interrupt_sleep(NULL, STEP_MS);

	send_requests(bench, fds);
	while (atomic_load(&bench->inside) + atomic_load(&trimming) < WORKERS && clock_ms() < end)
		interrupt_sleep(NULL, STEP_MS);
	assert_in_range(atomic_load(&trimming), 1, WORKERS - 1);
	atomic_store(&trim_waits, false);
	wait_until_inside(bench, WORKERS);
	all_are_answered(bench, fds);
}

static int
start_with_few_threads(void **state)
{
	atomic_store(&threads_left, 1 + FEW); /* the server's own, and workers */
	return bench_start(state);
}

static void
the_system_has_no_more_threads(void **state)
{
	struct bench *bench = *state;
	struct capture capture;
	int fds[FEW + 1];
	char *log;

	capture_start(&capture);
	for (int i = 0; i < FEW + 1; i++)
		fds[i] = send_request(bench);
	wait_until_inside(bench, FEW);
	atomic_store(&bench->open, true);
	for (int i = 0; i < FEW + 1; i++)
		read_answer(fds[i]);
	atomic_store(&threads_left, -1);
	log = capture_end(&capture);
	check_has("log", log, "a worker thread could not be started, 5 are running");
	check_int("missing", atomic_load(&bench->missing), WORKERS - FEW);
	free(log);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_peak_then_quiet, bench_start, bench_stop),
	    cmocka_unit_test_setup_teardown(a_peak_then_a_trickle, bench_start, bench_stop),
	    cmocka_unit_test_setup_teardown(a_peak_while_a_worker_ends, bench_start, bench_stop),
	    cmocka_unit_test_setup_teardown(
		the_system_has_no_more_threads, start_with_few_threads, bench_stop),
	};

	server_block_signals();
	return cmocka_run_group_tests_name("fastcgi", tests, NULL, NULL);
}
