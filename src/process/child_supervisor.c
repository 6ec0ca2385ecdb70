#include "process/child_supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"

enum {
	ROUND_MS = 10,       /* between two searches for remaining processes */
	GIVE_UP_MS = 2000,   /* after which we give up if no kill has any effect */
	SESSION_ROUNDS = 100 /* for processes that fork during the search */
};

/* Of /proc/PID/stat. */
struct process {
	char state;
	pid_t parent, group, session;
};

/* --- remaining processes --- */

static const char *
parse_pid(const char *at, pid_t *pid)
{
	while (*at == ' ')
		at++;
	for (*pid = 0; *at >= '0' && *at <= '9'; at++)
		*pid = *pid * 10 + (*at - '0');
	return at;
}

/* False: it is no process, or has gone. */
static bool
read_process(int proc, const char *name, struct process *process)
{
	static const char file[] = "/stat";
	char path[32], text[512];
	size_t len = strnlen(name, sizeof path);
	const char *at;
	ssize_t got;
	int fd;

	if (*name < '0' || *name > '9' || len + sizeof file > sizeof path)
		return false;
	memcpy(path, name, len);
	memcpy(path + len, file, sizeof file);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	/* The program chose the name in brackets, which may have brackets, too. */
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || !at[2])
		return false;
	process->state = at[2];
	at = parse_pid(at + 3, &process->parent);
	at = parse_pid(at, &process->group);
	parse_pid(at, &process->session);
	return true;
}

/*
 * Kills `pid` and its process group, which holds the children of a process that forks faster than
 * we look. Nothing else is in it: no process joins a group of another session. True: it will end.
 * False: the kernel holds it, it has become another user's, or it is gone.
 */
static bool
kill_process(pid_t pid, const struct process *process, pid_t keeper)
{
	if (process->group > 1 && process->group != keeper)
		kill(-process->group, SIGKILL);
	return kill(pid, SIGKILL) == 0 && !strchr("DZX", process->state);
}

/*
 * Kills the supervisor's children, or everything in its session. True: at least one that was killed
 * will end.
 */
static bool
kill_all(pid_t keeper, bool by_session)
{
	_Alignas(struct dirent64) char entries[8 << 10];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool hope = false;
	ssize_t len;

	while (proc >= 0 && (len = getdents64(proc, entries, sizeof entries)) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			struct process process;
			pid_t pid;

			at += entry->d_reclen;
			if (!read_process(proc, entry->d_name, &process))
				continue;
			parse_pid(entry->d_name, &pid);
			if ((by_session ? process.session : process.parent) == keeper)
				hope |= kill_process(pid, &process, keeper);
		}
	}
	if (proc >= 0)
		close(proc);
	return hope;
}

void
keeper_end_session(pid_t keeper)
{
	for (int i = 0; i < SESSION_ROUNDS && kill_all(keeper, true); i++)
		poll(NULL, 0, ROUND_MS);
}

/* --- the program --- */

static void
report(int kind, int number, bool incomplete)
{
	const struct keeper_report words = {kind, number, incomplete};

	while (write(KEEPER_REPORT, &words, sizeof words) < 0 && errno == EINTR)
		;
}

static pid_t
start_program(const struct keeper_start *start)
{
	pid_t keeper = getpid(), pid = _Fork();
	sigset_t none;

	if (pid != 0)
		return pid;
	setpgid(0, 0);
	/* In case the supervisor is killed. It may have been, just now. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == keeper && chdir(start->folder) == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execle(start->path, start->path, (char *)NULL, start->environment);
	}
	report(KEEPER_NOT_STARTED, errno, false);
	_exit(127);
}

/*
 * Whether the program has ended. It is not reaped yet, so its number still names its group. Orphans
 * that have ended are reaped.
 */
static bool
has_ended(pid_t pid)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 &&
		    errno != EINTR)
			return true;
		if (info.si_pid == pid)
			return true;
		if (info.si_pid == 0)
			return false;
		waitpid(info.si_pid, NULL, __WALL);
	}
}

/* Sleeps until a child ends, or the life line closes; true: the life line. */
static bool
sleep_until_change(int signals, int life, int ms)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = life, .events = POLLIN}};
	struct signalfd_siginfo signal;

	if (poll(fds, 2, ms) <= 0)
		return false;
	while (read(signals, &signal, sizeof signal) > 0)
		;
	return fds[1].revents != 0;
}

/*
 * Reaps children that have ended, and keeps the program's status. Returns how many; -1: no children
 * are left.
 */
static int
reap(pid_t program, int *program_status)
{
	int status, count = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		count++;
		if (pid == program)
			*program_status = status;
	}
	return pid < 0 && errno == ECHILD ? -1 : count;
}

/* True: nothing is left. */
static bool
end_all(pid_t program, int signals, int *status)
{
	long long give_up_ms = clock_ms() + GIVE_UP_MS;
	int reaped;

	/*
	 * By its own number, too: it may not have reached its group yet, or /proc may be missing.
	 */
	kill(-program, SIGKILL);
	kill(program, SIGKILL);
	while ((reaped = reap(program, status)) >= 0) {
		if (kill_all(getpid(), false) || reaped > 0)
			give_up_ms = clock_ms() + GIVE_UP_MS;
		else if (clock_ms() >= give_up_ms)
			return false;
		sleep_until_change(signals, -1, ROUND_MS);
	}
	return true;
}

static void
keep(pid_t program, int signals)
{
	int status = SIGKILL; /* if the program cannot be reaped */
	bool complete;

	/* While they are open here, the other end does not notice that the program closes them. */
	close(KEEPER_IN);
	close(KEEPER_OUT);
	close(KEEPER_ERR);
	while (!has_ended(program) && !sleep_until_change(signals, KEEPER_LIFE, -1))
		;
	complete = end_all(program, signals, &status);
	report(KEEPER_ENDED, status, !complete);
}

/* --- the supervisor --- */

/* A program that takes long must not keep any connection of ours open. */
static int
take_ends(const int ends[KEEPER_ENDS])
{
	for (int i = 0; i < KEEPER_ENDS; i++)
		if (dup3(ends[i], i, i > KEEPER_ERR ? O_CLOEXEC : 0) < 0)
			return -1;
	closefrom(KEEPER_ENDS);
	return 0;
}

/* All signals are blocked, so no handler of ours runs here. exec keeps ignored ones ignored. */
static void
reset_signals(void)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &standard, NULL);
}

void
keeper_run(const struct keeper_start *start)
{
	pid_t program = -1;
	sigset_t child;
	int signals;

	/* Signals for the web server's process group are not meant for this process. */
	setsid();
	/* Wakes this process when we die, even if the program has stopped it. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	if (take_ends(start->ends) < 0)
		_exit(EXIT_FAILURE);
	reset_signals();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0)
		program = start_program(start);
	if (program > 0)
		keep(program, signals);
	else
		report(KEEPER_NOT_STARTED, errno, false);
	_exit(EXIT_SUCCESS);
}
