/* Outside programs: their output, how they end, and that nothing of them is left. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/interrupt.h"
#include "process/child.h"

enum { LONG_MS = 60000, SHORT_MS = 500, STEP_MS = 10, OUTPUT_MAX = 100000, INPUT_LEN = 1 << 20 };

/* --- a program and its descendants --- */

struct trial {
	char *folder, *path;
	char *mark; /* in the environment of all its processes */
	const char *environment[3];
	struct child_call call;
	atomic_bool raised;
	struct interrupt interrupt; /* only used if the call is given it */
	struct buf output;
	enum child_outcome outcome;
	int number;
};

static bool
is_raised(void *arg)
{
	return *(atomic_bool *)arg;
}

/* With a file that need not be a script. */
static void
trial_init_file(struct trial *trial, const char *content)
{
	*trial =
	    (struct trial){.folder = folder_new(), .output = BUF_INIT(OUTPUT_MAX), .number = -1};
	trial->path = path_in(trial->folder, "program");
	file_write(trial->path, content);
	assert_int_equal(chmod(trial->path, 0755), 0);
	assert_true(asprintf(&trial->mark, "MARK=%s", trial->folder) > 0);
	trial->environment[0] = "PATH=/usr/bin:/bin";
	trial->environment[1] = trial->mark;
	trial->interrupt = (struct interrupt){.fd = -1, .raised = is_raised, .arg = &trial->raised};
	trial->call = (struct child_call){
	    .path = trial->path,
	    .folder = trial->folder,
	    .environment = trial->environment,
	    .timeout_ms = LONG_MS,
	};
}

static void
trial_init(struct trial *trial, const char *script)
{
	char *content;

	assert_true(asprintf(&content, "#!/bin/sh\n%s\n", script) > 0);
	trial_init_file(trial, content);
	free(content);
}

/* To be run in a thread. */
static void *
trial_run(void *arg)
{
	struct trial *trial = arg;

	trial->outcome = child_run(&trial->call, &trial->output, &trial->number);
	return NULL;
}

static const char *
trial_text(const struct trial *trial)
{
	return trial->output.data ? trial->output.data : "";
}

static void
trial_free(struct trial *trial)
{
	free(trial->path);
	free(trial->mark);
	folder_remove(trial->folder);
	buf_free(&trial->output);
}

static void
trial_await_file(const struct trial *trial, const char *name)
{
	char *path = path_in(trial->folder, name);
	long long end_ms = clock_ms() + LONG_MS;

	while (access(path, F_OK) < 0 && clock_ms() < end_ms)
		interrupt_sleep(NULL, STEP_MS);
	assert_int_equal(access(path, F_OK), 0);
	free(path);
}

/* Whether the file of process `pid` contains `text`. */
static bool
process_has(const char *pid, const char *file, const char *text)
{
	char path[300], content[8192];
	ssize_t len;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, content, sizeof content) : -1;
	if (fd >= 0)
		close(fd);
	return len > 0 && memmem(content, (size_t)len, text, strlen(text));
}

/*
 * How many processes have the mark in their environment, or this name (may be NULL). Zombies have
 * no environment any more, but a name.
 */
static int
count_alive(const char *mark, const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (*entry->d_name >= '0' && *entry->d_name <= '9')
			count += process_has(entry->d_name, "environ", mark) ||
			    (name && process_has(entry->d_name, "comm", name) &&
				!process_has(entry->d_name, "stat", ") Z "));
	closedir(dir);
	return count;
}

static int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void
check_nothing_left(const char *row, const struct trial *trial)
{
	sigset_t pending;

	check_int(row, count_alive(trial->mark, NULL), 0);
	check_int(row, waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(sigpending(&pending), 0);
	check_int(row, sigismember(&pending, SIGPIPE), 0);
}

/* --- outcomes --- */

struct row {
	const char *name, *script;
	enum child_outcome outcome;
	int number;
	const char *output;   /* NULL: as much as it takes */
	long long timeout_ms; /* 0: LONG_MS */
	size_t output_max;    /* 0: OUTPUT_MAX */
};

static const struct row outcomes[] = {
    {"nothing", "", CHILD_EXITED, 0, ""},
    {"status", "echo said; exit 7", CHILD_EXITED, 7, "said\n"},
    {"input", "wc -c", CHILD_EXITED, 0, "1048576\n"},
    {"a part of the input", "head -c 3", CHILD_EXITED, 0, "iii"},
    {"no input", "exec <&-; sleep 0.2; echo said", CHILD_EXITED, 0, "said\n"},
    {"signal", "echo said; kill -TERM $$", CHILD_SIGNALLED, SIGTERM, "said\n"},
    {"broken pipe", "kill -PIPE $$", CHILD_SIGNALLED, SIGPIPE, ""},
    {"its whole group", "sleep 1000 & kill -TERM 0", CHILD_SIGNALLED, SIGTERM, ""},
    {"hangs", "echo said; sleep 1000", CHILD_TIMED_OUT, 0, "said\n", SHORT_MS},
    {"ignores signals", "trap '' TERM INT HUP; while :; do sleep 1; done", CHILD_TIMED_OUT, 0, "",
	SHORT_MS},
    {"stops itself", "kill -STOP $$", CHILD_TIMED_OUT, 0, "", SHORT_MS},
    {"closes its output", "echo said; exec >&-; sleep 0.2; exit 5", CHILD_EXITED, 5, "said\n"},
    {"closes all", "exec <&- >&- 2>&-; sleep 0.2; exit 6", CHILD_EXITED, 6, ""},
    {"1 GB", "yes | head -c 1000000000", CHILD_TOO_MUCH, 0, NULL},
    {"1 GB of errors", "yes | head -c 1000000000 >&2", CHILD_EXITED, 0, ""},
    {"all that may be", "printf 1234567890", CHILD_EXITED, 0, "1234567890", 0, 10},
    {"one more", "printf 12345678901; exit 9", CHILD_TOO_MUCH, 0, NULL, 0, 10},
    {"much at its end", "head -c 60000 /dev/zero | tr '\\0' x", CHILD_EXITED, 0, NULL, 0, 60000},
    /* Each of these leaves a process that holds the output open, unless it says otherwise. */
    {"a child", "echo said; sleep 1000 &", CHILD_EXITED, 0, "said\n"},
    {"a session", "echo said; setsid sleep 1000 &", CHILD_EXITED, 0, "said\n"},
    {"a daemon",
	"echo said; setsid sh -c 'exec <&- >&- 2>&-; sleep 1000 & sleep 1000' &\nsleep 0.2",
	CHILD_EXITED, 0, "said\n"},
    {"a daemon, and hangs", "(setsid sh -c 'trap \"\" TERM; sleep 1000 & exit' &); sleep 1000",
	CHILD_TIMED_OUT, 0, "", SHORT_MS},
    {"one that ignores signals", "(trap '' TERM INT HUP; sleep 1000; sleep 1000) &", CHILD_EXITED,
	0, ""},
    {"groups of their own", "set -m; sleep 1000 & sleep 1000 | sleep 1000 &", CHILD_EXITED, 0, ""},
    {"200 sessions",
	"i=0; while [ $i -lt 200 ]; do setsid sh -c 'sleep 1000 & exit' & i=$((i+1)); done; wait",
	CHILD_EXITED, 0, ""},
    /* Each lives only until it has started the next one. */
    {"one that never stays", "setsid \"$0\" &", CHILD_EXITED, 0, ""},
    {"without its keeper", "echo said; sleep 1000 & kill -KILL $PPID; sleep 1000", CHILD_SIGNALLED,
	SIGKILL, "said\n"},
    {"its keeper stopped", "setsid sleep 1000 & kill -STOP $PPID", CHILD_TIMED_OUT, 0, "",
	SHORT_MS},
    {"1 GB, and others", "sleep 1000 & setsid yes 2>&- & yes", CHILD_TOO_MUCH, 0, NULL},
};

static void
test_outcomes(void **state)
{
	static char input[INPUT_LEN];

	(void)state;
	memset(input, 'i', sizeof input);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		const struct row *row = &outcomes[i];
		int before = count_descriptors();
		struct trial trial;

		trial_init(&trial, row->script);
		trial.call.input = input;
		trial.call.input_len = sizeof input;
		if (row->timeout_ms)
			trial.call.timeout_ms = row->timeout_ms;
		if (row->output_max)
			trial.output.max = row->output_max;
		trial_run(&trial);
		check_nothing_left(row->name, &trial);
		check_int(row->name, trial.outcome, row->outcome);
		check_int(row->name, trial.number, row->number);
		if (row->output)
			check_text(row->name, trial_text(&trial), row->output);
		else
			check_int(
			    row->name, (long long)trial.output.len, (long long)trial.output.max);
		check_int(row->name, count_descriptors(), before);
		trial_free(&trial);
	}
}

static void
test_any_bytes(void **state)
{
	struct trial trial;

	(void)state;
	trial_init(&trial, "cat; printf '\\000\\377'");
	trial.call.input = "a\0\n\200";
	trial.call.input_len = 4;
	trial_run(&trial);
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_int_equal(trial.output.len, 6);
	assert_memory_equal(trial.output.data, "a\0\n\200\0\377", 6);
	trial_free(&trial);
}

static void
test_not_started(void **state)
{
	static const struct {
		const char *name, *content;
		mode_t mode;
		int error;
		const char *path, *folder; /* NULL: unchanged */
	} rows[] = {
	    {"no such file", "", 0755, ENOENT, "/nowhere/program"},
	    {"not executable", "#!/bin/sh\n", 0644, EACCES},
	    {"a folder", "", 0755, EACCES, "/tmp"},
	    {"no interpreter", "#!/nowhere/sh\n", 0755, ENOENT},
	    {"no first line", "echo said\n", 0755, ENOEXEC},
	    {"empty", "", 0755, ENOEXEC},
	    {"nowhere to work", "#!/bin/sh\n", 0755, ENOENT, NULL, "/nowhere"},
	    {"works in a file", "#!/bin/sh\n", 0755, ENOTDIR, NULL, "/etc/passwd"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int before = count_descriptors();
		struct trial trial;

		trial_init_file(&trial, rows[i].content);
		assert_int_equal(chmod(trial.path, rows[i].mode), 0);
		if (rows[i].path)
			trial.call.path = rows[i].path;
		if (rows[i].folder)
			trial.call.folder = rows[i].folder;
		trial_run(&trial);
		check_int(rows[i].name, trial.outcome, CHILD_NOT_STARTED);
		check_int(rows[i].name, trial.number, rows[i].error);
		check_nothing_left(rows[i].name, &trial);
		check_int(rows[i].name, count_descriptors(), before);
		trial_free(&trial);
	}
}

/* --- standard error --- */

struct said {
	struct buf text; /* lines, each followed by '|' */
	size_t bytes, longest;
};

static void
on_error_line(void *arg, const char *line)
{
	struct said *said = arg;
	size_t len = strlen(line);

	said->bytes += len;
	if (len > said->longest)
		said->longest = len;
	buf_printf(&said->text, "%s|", line);
}

static void
test_errors(void **state)
{
	static const struct {
		const char *name, *script;
		size_t bytes, longest;
		const char *text; /* NULL: check only the numbers */
	} rows[] = {
	    {"none", "echo out", 0, 0, ""},
	    {"lines", "echo one >&2; echo out; echo two >&2", 6, 3, "one|two|"},
	    {"unfinished", "printf 'one\\n\\n\\ntwo' >&2", 6, 3, "one|two|"},
	    {"NUL", "printf 'a\\000b\\n' >&2", 3, 3, "a b|"},
	    {"died", "printf 'one' >&2; kill -KILL $$", 3, 3, "one|"},
	    {"long", "printf '%3000d\\nshort\\n' 0 >&2", CHILD_ERROR_LINE_MAX + 5,
		CHILD_ERROR_LINE_MAX},
	    {"many", "yes word | head -n 100000 >&2", CHILD_ERROR_MAX, 4},
	    {"one without end", "head -c 3000000 /dev/zero >&2", CHILD_ERROR_LINE_MAX,
		CHILD_ERROR_LINE_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct said said = {.text = BUF_INIT(1 << 20)};
		struct trial trial;

		trial_init(&trial, rows[i].script);
		trial.call.on_error_line = on_error_line;
		trial.call.arg = &said;
		trial_run(&trial);
		if (rows[i].text)
			check_text(
			    rows[i].name, said.text.data ? said.text.data : "", rows[i].text);
		check_int(rows[i].name, (long long)said.bytes, (long long)rows[i].bytes);
		check_int(rows[i].name, (long long)said.longest, (long long)rows[i].longest);
		buf_free(&said.text);
		trial_free(&trial);
	}
}

static void
on_error_line_slowly(void *arg, const char *line)
{
	on_error_line(arg, line);
	interrupt_sleep(NULL, SHORT_MS);
}

/* It has ended before its output is read, which is more than one read takes. */
static void
test_read_late(void **state)
{
	struct said said = {.text = BUF_INIT(1000)};
	struct trial trial;

	(void)state;
	trial_init(&trial,
	    "echo first >&2; head -c 60000 /dev/zero\n"
	    "head -c 60000 /dev/zero | tr '\\0' '\\n' >&2; echo last >&2");
	trial.call.on_error_line = on_error_line_slowly;
	trial.call.arg = &said;
	trial_run(&trial);
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_int_equal(trial.output.len, 60000);
	assert_string_equal(said.text.data, "first|last|");
	buf_free(&said.text);
	trial_free(&trial);
}

/* --- what it inherits --- */

static const char *const some_variables[] = {"B=2", "A=1 and\nmore", "EMPTY=", NULL};
static const char *const no_variables[] = {NULL};

static const struct {
	const char *name, *script, *output;
	const char *path;               /* instead of the script */
	const char *const *environment; /* NULL: the usual one */
} gifts[] = {
    {"environment", "", "B=2\nA=1 and\nmore\nEMPTY=\n", "/usr/bin/env", some_variables},
    {"no environment", "", "", "/usr/bin/env", no_variables},
    {"folder", "echo said >file; [ \"$PWD/program\" = \"$0\" ] && cat \"${0%/*}/file\"", "said\n"},
    {"arguments", "echo $#", "0\n"},
    /* The last one is that of the folder that is listed. */
    {"descriptors", "ls /proc/self/fd", "0\n1\n2\n3\n"},
    /* Of the others, 32 and 33 are the C library's own; ignored ones stay ignored. */
    {"signals",
	"for set in $(sed -n 's/^Sig\\(Blk\\|Ign\\):.*\\(........\\)$/\\2/p' /proc/self/status); "
	"do "
	"echo $((0x$set & 0x7fffffff)); done",
	"0\n0\n"},
    {"group", "read a b c d group rest </proc/$$/stat; [ $group = $$ ] && echo own", "own\n"},
    {"its keeper's session",
	"read a b c d e session rest </proc/$PPID/stat; [ $session = $PPID ] && echo own", "own\n"},
};

static void
test_given(void **state)
{
	sigset_t some, before;
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigaddset(&some, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &some, &before);
	/* Without O_CLOEXEC, as a library may have made them. */
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < COUNT(gifts); i++) {
		struct trial trial;

		trial_init(&trial, gifts[i].script);
		if (gifts[i].path)
			trial.call.path = gifts[i].path;
		if (gifts[i].environment)
			trial.call.environment = gifts[i].environment;
		trial_run(&trial);
		check_int(gifts[i].name, trial.outcome, CHILD_EXITED);
		check_text(gifts[i].name, trial_text(&trial), gifts[i].output);
		trial_free(&trial);
	}
	close(ends[0]);
	close(ends[1]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

/* With SIGCHLD ignored, as a web server may leave it, the kernel reaps, and there is no status. */
static void
test_children_ignored(void **state)
{
	struct trial trial;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	trial_init(&trial, "setsid sleep 1000 & exit 7");
	trial_run(&trial);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_int_equal(trial.number, 7);
	check_nothing_left("ignored", &trial);
	trial_free(&trial);
}

/* --- in threads --- */

static void
test_at_once(void **state)
{
	static const struct {
		const char *script;
		enum child_outcome outcome;
		const char *output;
		long long timeout_ms;
	} rows[] = {
	    {"cat; sleep 0.3; echo A", CHILD_EXITED, "inA\n", LONG_MS},
	    {"setsid sleep 1000 & cat; echo B", CHILD_EXITED, "inB\n", LONG_MS},
	    {"echo C; sleep 1000", CHILD_TIMED_OUT, "C\n", SHORT_MS},
	    {"sleep 0.2; kill -KILL $$", CHILD_SIGNALLED, "", LONG_MS},
	    {"yes | head -n 3", CHILD_EXITED, "y\ny\ny\n", LONG_MS},
	};
	enum { ROUNDS = 4 };
	struct trial trials[COUNT(rows)];
	pthread_t threads[COUNT(rows)];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			trial_init(&trials[i], rows[i].script);
			trials[i].call.timeout_ms = rows[i].timeout_ms;
			trials[i].call.input = "in";
			trials[i].call.input_len = 2;
		}
		for (size_t i = 0; i < COUNT(rows); i++)
			assert_int_equal(
			    pthread_create(&threads[i], NULL, trial_run, &trials[i]), 0);
		for (size_t i = 0; i < COUNT(rows); i++)
			pthread_join(threads[i], NULL);
		for (size_t i = 0; i < COUNT(rows); i++) {
			check_int(rows[i].script, trials[i].outcome, rows[i].outcome);
			check_text(rows[i].script, trial_text(&trials[i]), rows[i].output);
			check_nothing_left(rows[i].script, &trials[i]);
			trial_free(&trials[i]);
		}
	}
}

/* Milliseconds from the client's leaving to the end. */
static long long
interrupt_one(const char *row, bool by_asking)
{
	struct trial trial;
	pthread_t thread;
	long long start_ms;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	trial_init(&trial, "setsid sleep 1000 & echo >started; sleep 1000");
	trial.call.timeout_ms = 100LL * LONG_MS;
	trial.call.interrupt = &trial.interrupt;
	trial.interrupt.fd = by_asking ? -1 : ends[0];
	assert_int_equal(pthread_create(&thread, NULL, trial_run, &trial), 0);
	trial_await_file(&trial, "started");
	trial.raised = true;
	start_ms = clock_ms();
	close(ends[1]);
	pthread_join(thread, NULL);
	start_ms = clock_ms() - start_ms;
	check_int(row, trial.outcome, CHILD_INTERRUPTED);
	check_nothing_left(row, &trial);
	close(ends[0]);
	trial_free(&trial);
	return start_ms;
}

static void
test_interrupt(void **state)
{
	enum { TIMES = 8, ASKED_EACH_MS = 1000 };
	long long took_ms = 0;

	(void)state;
	interrupt_one("by asking", true);
	for (int i = 0; i < TIMES; i++)
		took_ms += interrupt_one("by a descriptor that hangs up", false);
	/* Polling alone would take nearly all of it. */
	assert_in_range(took_ms, 0, TIMES * ASKED_EACH_MS / 2);
}

/* A descriptor that is always readable says nothing unless the interrupt is raised. */
static void
test_interrupt_readable(void **state)
{
	struct trial trial;

	(void)state;
	trial_init(&trial, "sleep 0.3; exit 3");
	trial.call.interrupt = &trial.interrupt;
	trial.interrupt.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	trial_run(&trial);
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_int_equal(trial.number, 3);
	close(trial.interrupt.fd);
	trial_free(&trial);
}

static bool
is_raised_early(void *arg)
{
	*(int *)arg = count_descriptors();
	return true;
}

/* If it is raised before, the program does not even start. */
static void
test_interrupt_before(void **state)
{
	int before, when_asked = -1;
	struct trial trial;

	(void)state;
	trial_init(&trial, "exit 7");
	trial.interrupt.raised = is_raised_early;
	trial.interrupt.arg = &when_asked;
	trial.call.interrupt = &trial.interrupt;
	before = count_descriptors();
	trial_run(&trial);
	assert_int_equal(trial.outcome, CHILD_INTERRUPTED);
	assert_int_equal(when_asked, before);
	trial_free(&trial);
}

/* Closing a connection closes it, even if a program runs that was started before. */
static void
test_nothing_kept_open(void **state)
{
	struct pollfd connection = {.events = POLLIN};
	struct trial trial;
	pthread_t thread;
	int ends[2], result;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	trial_init(&trial, "echo >started; sleep 1000");
	trial.call.timeout_ms = 100LL * LONG_MS;
	trial.call.interrupt = &trial.interrupt;
	assert_int_equal(pthread_create(&thread, NULL, trial_run, &trial), 0);
	trial_await_file(&trial, "started");
	close(ends[1]);
	connection.fd = ends[0];
	result = poll(&connection, 1, LONG_MS);
	trial.raised = true;
	pthread_join(thread, NULL);
	assert_int_equal(result, 1);
	assert_true(connection.revents & POLLHUP);
	close(ends[0]);
	trial_free(&trial);
}

/* --- shortages, and when we are killed --- */

static void
test_many_times(void **state)
{
	struct trial trial;
	int before;

	(void)state;
	trial_init(&trial, "exit 7");
	before = count_descriptors();
	for (int i = 0; i < 50; i++)
		trial_run(&trial);
	check_int("number", trial.number, 7);
	check_int("descriptors", count_descriptors(), before);
	trial_free(&trial);
}

/* Each pipe in turn is the one that cannot be opened, until all can. */
static void
test_few_descriptors(void **state)
{
	enum { HELD = 5 /* the pipes' numbers are above these */, PIPES = 5, MORE_MAX = 40 };
	struct rlimit before, few;
	struct trial trial;
	int held[HELD], open_before, refused = 0;

	(void)state;
	trial_init(&trial, "exit 7");
	for (int i = 0; i < HELD; i++)
		held[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_before = count_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	trial.outcome = CHILD_NOT_STARTED;
	for (int i = 1; trial.outcome == CHILD_NOT_STARTED && i < MORE_MAX; i++) {
		few = (struct rlimit){(rlim_t)(held[HELD - 1] + i), before.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		trial_run(&trial);
		setrlimit(RLIMIT_NOFILE, &before);
		check_int("number", trial.number, trial.outcome == CHILD_EXITED ? 7 : EMFILE);
		check_int("descriptors", count_descriptors(), open_before);
		refused += trial.outcome == CHILD_NOT_STARTED;
	}
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_true(refused >= PIPES);
	for (int i = 0; i < HELD; i++)
		close(held[i]);
	trial_free(&trial);
}

/* The lowest numbers are free, so the pipes get them. */
static void
test_low_descriptors(void **state)
{
	enum { LOW = 5, HIGH = 100 };
	struct trial trial;
	int saved[LOW];

	(void)state;
	trial_init(&trial, "cat; echo out; echo err >&2; ls /proc/self/fd");
	trial.call.input = "in\n";
	trial.call.input_len = 3;
	for (int i = 0; i < LOW; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, HIGH);
	for (int i = 0; i < LOW; i++)
		close(i);
	trial_run(&trial);
	for (int i = 0; i < LOW; i++) {
		if (saved[i] < 0)
			continue;
		dup2(saved[i], i);
		close(saved[i]);
	}
	assert_int_equal(trial.outcome, CHILD_EXITED);
	assert_string_equal(trial.output.data, "in\nout\n0\n1\n2\n3\n");
	trial_free(&trial);
}

/* kill -9 of the caller, which the script triggers by a file, unless it kills by itself. */
static void
die(const char *row, const char *script, bool by_us)
{
	struct trial trial;
	char name[16];
	long long end_ms;
	pid_t caller;

	trial_init(&trial, script);
	snprintf(name, sizeof name, "kept-%d", (int)getpid());
	caller = fork();
	assert_true(caller >= 0);
	if (caller == 0) {
		/* The supervisor inherits the name; an executed program does not. */
		prctl(PR_SET_NAME, name);
		trial_run(&trial);
		_exit(0);
	}
	if (by_us) {
		trial_await_file(&trial, "started");
		/* The caller, the supervisor, the program, and at least one more. */
		assert_true(count_alive(trial.mark, name) >= 4);
		assert_int_equal(kill(caller, SIGKILL), 0);
	}
	assert_int_equal(waitpid(caller, NULL, 0), caller);
	end_ms = clock_ms() + LONG_MS / 4;
	while (count_alive(trial.mark, name) > 0 && clock_ms() < end_ms)
		interrupt_sleep(NULL, STEP_MS);
	check_int(row, count_alive(trial.mark, name), 0);
	trial_free(&trial);
}

static void
test_we_die(void **state)
{
	(void)state;
	die("we",
	    "trap '' TERM HUP; (setsid sh -c 'sleep 1000 & exit' &)\n"
	    "setsid sleep 1000 & echo >started; sleep 1000",
	    true);
	die("we and the keeper",
	    "read a b c caller rest </proc/$PPID/stat; kill -KILL $PPID $caller; exec sleep 1000",
	    false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_any_bytes),
	    cmocka_unit_test(test_not_started),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_read_late),
	    cmocka_unit_test(test_given),
	    cmocka_unit_test(test_children_ignored),
	    cmocka_unit_test(test_at_once),
	    cmocka_unit_test(test_interrupt),
	    cmocka_unit_test(test_interrupt_readable),
	    cmocka_unit_test(test_interrupt_before),
	    cmocka_unit_test(test_nothing_kept_open),
	    cmocka_unit_test(test_many_times),
	    cmocka_unit_test(test_few_descriptors),
	    cmocka_unit_test(test_low_descriptors),
	    cmocka_unit_test(test_we_die),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
