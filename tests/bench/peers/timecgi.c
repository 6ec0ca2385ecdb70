/*
 * Run a CGI program COUNT times, from exec to the last byte of its answer:
 * timecgi COUNT BODY PROGRAM
 *
 * Its environment is this program's; where PATH_INFO has a %, the next line of standard input takes
 * the place of it. For each run it prints a line: microseconds until the answer's end, microseconds
 * of processor time, the most memory in KiB, and the answer's first line.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void
check(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(EXIT_FAILURE);
}

/* A pipe's reading end with all of `body` in it, which must fit. */
static int
filled_pipe(const char *body)
{
	size_t len = strlen(body);
	int ends[2];

	check(pipe(ends) == 0, "pipe");
	check(write(ends[1], body, len) == (ssize_t)len, "write");
	close(ends[1]);
	return ends[0];
}

static void
run(char **command, const char *body)
{
	posix_spawn_file_actions_t actions;
	char answer[65536];
	size_t len = 0;
	ssize_t got;
	struct rusage used;
	long long begun, ended;
	int in = filled_pipe(body), out[2], status;
	pid_t pid;

	check(pipe(out) == 0, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	begun = now_us();
	check(posix_spawn(&pid, command[0], &actions, NULL, command, environ) == 0, command[0]);
	close(out[1]);
	while ((got = read(out[0], answer + len, sizeof answer - 1 - len)) > 0)
		len += (size_t)got;
	ended = now_us();
	check(wait4(pid, &status, 0, &used) == pid, "wait4");
	close(out[0]);
	close(in);
	posix_spawn_file_actions_destroy(&actions);
	answer[len] = '\0';
	answer[strcspn(answer, "\r\n")] = '\0';
	printf("%lld %lld %ld %s\n", ended - begun,
	    (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec +
		used.ru_stime.tv_usec,
	    used.ru_maxrss, answer);
}

/* Put PATH_INFO and REQUEST_URI together around what is read from standard input. */
static void
next_path(const char *pattern, const char *gap)
{
	char line[256], path[512];

	check(fgets(line, sizeof line, stdin) != NULL, "standard input");
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, sizeof path, "%.*s%s%s", (int)(gap - pattern), pattern, line, gap + 1);
	setenv("PATH_INFO", path, 1);
	setenv("REQUEST_URI", path, 1);
}

int
main(int argc, char **argv)
{
	/* A copy: its first form goes when the variable is set. */
	char *pattern = strdup(getenv("PATH_INFO") ? getenv("PATH_INFO") : "");
	char *gap = strchr(pattern, '%');

	if (argc < 4) {
		fputs("usage: timecgi COUNT BODY PROGRAM\n", stderr);
		return EXIT_FAILURE;
	}
	for (long left = strtol(argv[1], NULL, 10); left > 0; left--) {
		if (gap)
			next_path(pattern, gap);
		run(argv + 3, argv[2]);
	}
	free(pattern);
	return 0;
}
