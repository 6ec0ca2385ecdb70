/*
 * Counters: by threads and processes at once, some of which are killed; and how they are printed.
 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "obs/metrics.h"

enum { THREADS = 4, PROCESSES = 4, TIMES = 20000, ENTRIES = 2048, TEXT_SIZE = 232 };

static char *folder;

static int
set_up(void **state)
{
	(void)state;
	folder = folder_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	metrics_close();
	folder_remove(folder);
	return 0;
}

/* All of the text, the caller's to free. */
static char *
printed(void)
{
	struct buf out = BUF_INIT(10 << 20);

	assert_int_equal(metrics_print(&out), 0);
	return buf_take(&out);
}

/* A line's value; -1: there is none. */
static double
value_of(const char *series)
{
	char *text = printed(), start[300], *at;
	double value = -1;

	snprintf(start, sizeof start, "\n%s ", series);
	at = strstr(text, start);
	if (at)
		value = strtod(at + strlen(start), NULL);
	free(text);
	return value;
}

static void
check_value(const char *series, double expected)
{
	double value = value_of(series);

	if (value != expected)
		fail_msg("%s: %f, expected %f", series, value, expected);
}

static void
count_run(const char *status)
{
	metrics_add(METRIC_RUNS, 1, status, NULL, NULL);
}

/* --- one process --- */

static void
off_counts_nothing(void **state)
{
	struct buf out = BUF_INIT(1000);

	(void)state;
	assert_false(metrics_on());
	count_run("completed");
	metrics_observe(METRIC_FIRST_WORD, metrics_clock());
	metrics_change(METRIC_WORKERS_BUSY, 1);
	assert_int_equal(metrics_clock(), 0);
	assert_int_equal(metrics_print(&out), -1);
	assert_null(out.data);
}

static void
counters_add_up(void **state)
{
	char *text;

	(void)state;
	metrics_open(folder);
	assert_true(metrics_on());
	metrics_add(METRIC_REQUESTS, 1, "GET", "/threads/{id}", "200");
	metrics_add(METRIC_REQUESTS, 1, "GET", "/threads/{id}", "404");
	metrics_add(METRIC_REQUESTS, 1, "GET", "/threads/{id}", "200");
	metrics_add(METRIC_TOKENS, 5000000000, "prompt", NULL, NULL);
	metrics_add(METRIC_TOKENS, 0, "completion", NULL, NULL);
	metrics_add(METRIC_TOKENS, -1, "completion", NULL, NULL);
	metrics_add(METRIC_UPSTREAM_ERRORS, 3, "model", "429", NULL);
	text = printed();
	check_has("requests", text,
	    "# HELP assistants_requests_total Requests that were answered.\n"
	    "# TYPE assistants_requests_total counter\n"
	    "assistants_requests_total{method=\"GET\",route=\"/threads/{id}\",status=\"");
	free(text);
	check_value(
	    "assistants_requests_total{method=\"GET\",route=\"/threads/{id}\",status=\"200\"}", 2);
	check_value(
	    "assistants_requests_total{method=\"GET\",route=\"/threads/{id}\",status=\"404\"}", 1);
	check_value("assistants_tokens_total{type=\"prompt\"}", 5e9);
	check_value("assistants_tokens_total{type=\"completion\"}", -1);
	check_value("assistants_upstream_errors_total{upstream=\"model\",kind=\"429\"}", 3);
	check_value("assistants_metrics_dropped_total", 0);
}

/* A time of `us` counts in its bucket, and in all larger ones. */
static void
histograms_are_cumulative(void **state)
{
	static const struct {
		long long us;
		double less, until_1, until_10, all, sum_min;
	} turns[] = {
	    {0, 1, 1, 1, 1, 0},
	    {50000, 2, 2, 2, 2, 0.05},
	    {700000, 2, 3, 3, 3, 0.75},
	    {9000000, 2, 3, 4, 4, 9.75},
	    {3600000000, 2, 3, 4, 5, 3609.75},
	};

	(void)state;
	metrics_open(folder);
	check_value("assistants_run_first_word_seconds_count", 0);
	for (size_t i = 0; i < COUNT(turns); i++) {
		double sum;

		metrics_observe(METRIC_FIRST_WORD, metrics_clock() - turns[i].us);
		check_value("assistants_run_first_word_seconds_bucket{le=\"0.1\"}", turns[i].less);
		check_value("assistants_run_first_word_seconds_bucket{le=\"1\"}", turns[i].until_1);
		check_value(
		    "assistants_run_first_word_seconds_bucket{le=\"10\"}", turns[i].until_10);
		check_value("assistants_run_first_word_seconds_bucket{le=\"+Inf\"}", turns[i].all);
		check_value("assistants_run_first_word_seconds_count", turns[i].all);
		sum = value_of("assistants_run_first_word_seconds_sum");
		if (sum < turns[i].sum_min || sum > turns[i].sum_min + 0.04)
			fail_msg("turn %zu: a sum of %f", i, sum);
	}
	check_value("assistants_run_duration_seconds_count", 0);
}

static void
counts_stay_when_the_program_ends(void **state)
{
	char *path = path_in(folder, "metrics");
	struct stat status;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		metrics_open(folder);
		count_run("completed");
		metrics_change(METRIC_WORKERS_BUSY, 1);
		check_value("assistants_runs_total{status=\"completed\"}", i);
		check_value("assistants_workers_busy", 1);
		metrics_close();
	}
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* All its blocks are allocated. */
	assert_true(status.st_blocks * 512 >= status.st_size);
	free(path);
}

/* --- several threads and processes --- */

static void *
count_often(void *arg)
{
	char own[16];

	snprintf(own, sizeof own, "t%zu", (size_t)arg);
	for (int i = 0; i < TIMES; i++) {
		count_run("everybody");
		count_run(own);
		metrics_observe(METRIC_WRITE_WAIT, metrics_clock());
	}
	return NULL;
}

static void
count_in_threads(void)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count_often, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Starts a process that opens the file itself, and ends with the test. */
static pid_t
start_process(void (*work)(void))
{
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	metrics_close();
	metrics_open(folder);
	work();
	metrics_close();
	_exit(0);
}

static void
await(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static unsigned
files(void)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

/* All begin at once, without a file: one of them makes it. */
static void
processes_count_together(void **state)
{
	pid_t children[PROCESSES];

	(void)state;
	for (int i = 0; i < PROCESSES; i++)
		children[i] = start_process(count_in_threads);
	for (int i = 0; i < PROCESSES; i++)
		await(children[i]);
	metrics_open(folder);
	check_value("assistants_runs_total{status=\"everybody\"}", PROCESSES * THREADS * TIMES);
	for (int i = 0; i < THREADS; i++) {
		char series[64];

		snprintf(series, sizeof series, "assistants_runs_total{status=\"t%d\"}", i);
		check_value(series, PROCESSES * TIMES);
	}
	check_value("assistants_database_write_wait_seconds_count", PROCESSES * THREADS * TIMES);
	/* The file and its lock; nothing else is left. */
	assert_int_equal(files(), 2);
}

enum { ROUNDS = 100, SERIES_EACH = ENTRIES / 2 / THREADS };

static void *
count_new_ones(void *arg)
{
	for (int i = 0; i < SERIES_EACH; i++) {
		char own[16];

		snprintf(own, sizeof own, "t%zu-%d", (size_t)arg, i);
		count_run(own);
	}
	return NULL;
}

/* Two processes take the same entry at the same moment: the second goes on to the next. */
static void
no_entry_is_taken_twice(void **state)
{
	char *path = path_in(folder, "metrics");

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];
		int ones = 0;
		char *text;

		metrics_open(folder);
		for (size_t i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, count_new_ones, (void *)i);
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		text = printed();
		for (const char *at = text; (at = strstr(at, "\"} 1\n")); at++)
			ones++;
		free(text);
		check_int("series", ones, THREADS * SERIES_EACH);
		metrics_close();
		assert_int_equal(unlink(path), 0);
	}
	free(path);
}

static int told[2];

/* Counts ever new labels, and writes the number after each. */
static void
count_and_tell(void)
{
	for (int i = 1;; i++) {
		char own[16];

		snprintf(own, sizeof own, "n%d", i % 1000);
		count_run(own);
		count_run("everybody");
		if (write(told[1], &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static void
nothing_is_lost_by_a_kill(void **state)
{
	double least = 0, most = 0;

	(void)state;
	metrics_open(folder);
	for (int turn = 0; turn < 20; turn++) {
		int counted = 0, status;
		pid_t child;

		assert_int_equal(pipe(told), 0);
		child = start_process(count_and_tell);
		while (counted < 50 + turn)
			assert_int_equal(read(told[0], &counted, sizeof counted), sizeof counted);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		close(told[1]);
		while (read(told[0], &counted, sizeof counted) == sizeof counted)
			;
		close(told[0]);
		least += counted;
		most += counted + 1;
	}
	assert_in_range(value_of("assistants_runs_total{status=\"everybody\"}"), least, most);
	count_run("everybody");
	assert_true(value_of("assistants_runs_total{status=\"everybody\"}") > least);
}

static void
be_busy(void)
{
	metrics_change(METRIC_WORKERS_BUSY, 3);
	metrics_change(METRIC_WAITING, 1);
	if (write(told[1], "x", 1) == 1)
		pause();
}

static void
dead_processes_are_not_busy(void **state)
{
	char x;

	(void)state;
	metrics_open(folder);
	metrics_change(METRIC_WORKERS_BUSY, 2);
	metrics_change(METRIC_WORKERS_BUSY, -1);
	for (int turn = 0; turn < 3; turn++) {
		pid_t children[2];
		int status;

		assert_int_equal(pipe(told), 0);
		for (int i = 0; i < 2; i++) {
			children[i] = start_process(be_busy);
			assert_int_equal(read(told[0], &x, 1), 1);
		}
		check_value("assistants_workers_busy", 7);
		check_value("assistants_conversations_waiting", 2);
		for (int i = 0; i < 2; i++) {
			kill(children[i], SIGKILL);
			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			check_value("assistants_workers_busy", i == 0 ? 4 : 1);
		}
		check_value("assistants_conversations_waiting", 0);
		close(told[0]);
		close(told[1]);
	}
}

/* --- what may be wrong with the file --- */

static char *
content(size_t *len)
{
	char *path = path_in(folder, "metrics"), *text;
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*len = (size_t)status.st_size;
	text = malloc(*len);
	assert_int_equal(read(fd, text, *len), *len);
	close(fd);
	free(path);
	return text;
}

static void
write_at(size_t at, const void *bytes, size_t len)
{
	char *path = path_in(folder, "metrics");
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
	free(path);
}

/* A process is killed after taking an entry, and before writing its text. */
static void
an_entry_without_a_text_gets_it(void **state)
{
	static const char series[] = "assistants_runs_total{status=\"completed\"}",
			  nothing[TEXT_SIZE] = "";
	char *text, *at;
	size_t len;

	(void)state;
	metrics_open(folder);
	count_run("completed");
	text = content(&len);
	at = memmem(text, len, series, strlen(series));
	assert_non_null(at);
	write_at((size_t)(at - text), nothing, sizeof nothing);
	check_value(series, -1);
	count_run("completed");
	check_value(series, 2);
	free(text);
}

static void
another_content_is_replaced(void **state)
{
	static const char newer[] = {2, 0, 0, 0};
	char *path = path_in(folder, "metrics"), *whole;
	size_t len;

	(void)state;
	metrics_open(folder);
	metrics_close();
	whole = content(&len);
	for (int i = 0; i < 4; i++) {
		FILE *file;

		metrics_open(folder);
		count_run("completed");
		metrics_close();
		if (i == 0) {
			write_at(0, "A", 1);
		} else if (i == 1) {
			write_at(28, newer, sizeof newer);
		} else if (i == 2) {
			assert_int_equal(truncate(path, (off_t)len - 1), 0);
		} else {
			file = fopen(path, "we");
			fclose(file);
		}
		metrics_open(folder);
		check_value("assistants_runs_total{status=\"completed\"}", -1);
		metrics_close();
	}
	free(whole);
	free(path);
}

/* A process goes on using a file of another version that it has mapped. */
static void
a_mapped_file_of_another_version_stays_in_use(void **state)
{
	static const char newer[] = {2, 0, 0, 0};
	pid_t child;

	(void)state;
	metrics_open(folder);
	count_run("completed");
	write_at(28, newer, sizeof newer);
	child = fork();
	if (child == 0) {
		metrics_close();
		metrics_open(folder);
		count_run("failed");
		_exit(value_of("assistants_runs_total{status=\"completed\"}") == -1 ? 0 : 1);
	}
	await(child);
	count_run("completed");
	check_value("assistants_runs_total{status=\"completed\"}", 2);
	check_value("assistants_runs_total{status=\"failed\"}", -1);
}

/* Noise in everything after the header: nothing crashes, and no line is forged. */
static void
noise_in_the_file_forges_no_line(void **state)
{
	static char noise[500000];
	uint32_t random = 1;
	char *text;

	(void)state;
	metrics_open(folder);
	metrics_close();
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
	write_at(4096 + 65536, noise, sizeof noise);
	metrics_open(folder);
	for (int i = 0; i < 1000; i++)
		count_run("completed");
	text = printed();
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		if (strncmp(line, "assistants_", 11) != 0 && strncmp(line, "# ", 2) != 0)
			fail_msg("a line of noise: %.60s", line);
	free(text);
}

static void
a_full_file_drops_new_counters(void **state)
{
	double kept = 0;
	char *text;

	(void)state;
	metrics_open(folder);
	count_run("first");
	for (int i = 0; i < 2 * ENTRIES; i++) {
		char own[16];

		snprintf(own, sizeof own, "n%d", i);
		metrics_add(METRIC_RUNS, 5, own, NULL, NULL);
	}
	text = printed();
	for (const char *at = text; (at = strstr(at, "\nassistants_runs_total{")); at++)
		kept++;
	free(text);
	/*
	 * Some entries may stay free, because a free one is looked for only near a hash's own
	 * place.
	 */
	assert_in_range(kept, ENTRIES * 3 / 4, ENTRIES);
	check_value("assistants_metrics_dropped_total", 2 * ENTRIES + 1 - kept);
	/* Existing counters still count. */
	count_run("first");
	check_value("assistants_runs_total{status=\"first\"}", 2);
}

/* A text that is too long for an entry is dropped, not cut. */
static void
a_long_text_is_dropped(void **state)
{
	char route[TEXT_SIZE];

	(void)state;
	memset(route, 'a', sizeof route);
	route[sizeof route - 1] = '\0';
	metrics_open(folder);
	metrics_add(METRIC_REQUESTS, 1, "GET", route, "200");
	check_value("assistants_metrics_dropped_total", 1);
	route[100] = '\0';
	metrics_add(METRIC_REQUESTS, 1, "GET", route, "200");
	check_value("assistants_metrics_dropped_total", 1);
}

/* Opens it where that must fail: logged once, and nothing is left behind. */
static void
fail_to_open(const char *where, const char *reason)
{
	struct buf out = BUF_INIT(1000);
	struct capture capture;
	char *said;

	capture_start(&capture);
	metrics_open(where);
	said = capture_end(&capture);
	check_has("said", said, "\"level\":\"warn\"");
	check_has("said", said, "nothing is counted");
	check_has("said", said, reason);
	free(said);
	assert_true(metrics_on());
	count_run("completed");
	metrics_change(METRIC_WORKERS_BUSY, 1);
	metrics_observe(METRIC_FIRST_WORD, metrics_clock());
	assert_int_equal(metrics_print(&out), -1);
	metrics_close();
}

static void
without_a_file_nothing_is_counted(void **state)
{
	struct rlimit limit, small;
	char *path;

	(void)state;
	fail_to_open("/dev/null/x", "Not a directory");
	/* As on a full disk. */
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 100000;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	fail_to_open(folder, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(files(), 1);
	path = path_in(folder, "metrics");
	assert_int_equal(mkdir(path, 0700), 0);
	fail_to_open(folder, "Is a directory");
	free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(off_counts_nothing),
	    TEST(counters_add_up),
	    TEST(histograms_are_cumulative),
	    TEST(counts_stay_when_the_program_ends),
	    TEST(processes_count_together),
	    TEST(no_entry_is_taken_twice),
	    TEST(nothing_is_lost_by_a_kill),
	    TEST(dead_processes_are_not_busy),
	    TEST(an_entry_without_a_text_gets_it),
	    TEST(another_content_is_replaced),
	    TEST(a_mapped_file_of_another_version_stays_in_use),
	    TEST(noise_in_the_file_forges_no_line),
	    TEST(a_full_file_drops_new_counters),
	    TEST(a_long_text_is_dropped),
	    TEST(without_a_file_nothing_is_counted),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
