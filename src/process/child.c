#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/clock.h"
#include "process/child_supervisor.h"

enum {
	ASK_MS = 1000,         /* see struct interrupt */
	KEEPER_MAX_MS = 30000, /* for the supervisor to kill everything */
	PIECE_SIZE = 16 << 10
};

/* Standard error, split into lines. */
struct lines {
	char line[CHILD_ERROR_LINE_MAX + 1];
	size_t len;
	size_t passed; /* bytes of the lines reported so far */
};

struct run {
	const struct child_call *call;
	struct buf *output;
	int ends[KEEPER_ENDS]; /* our ends of the pipes; -1: closed */
	pid_t keeper;
	size_t given;           /* bytes of the input written so far */
	long long end_ms;       /* deadline of the program; once it has to end, of the supervisor */
	int interrupt_fd;       /* -1: none */
	bool settled;           /* the outcome is known */
	bool reported, is_over; /* the supervisor has reported the end; its pipe is closed */
	int status;             /* the program's wait status, if reported */
	enum child_outcome outcome;
	int number;
	struct lines lines;
};

static void
close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The first outcome counts: what was killed for its slowness has timed out. */
static void
settle(struct run *run, enum child_outcome outcome, int number)
{
	if (run->settled)
		return;
	run->settled = true;
	run->outcome = outcome;
	run->number = number;
}

static void
order_end(struct run *run, enum child_outcome outcome)
{
	settle(run, outcome, 0);
	close_end(&run->ends[KEEPER_LIFE]);
	run->end_ms = clock_ms() + KEEPER_MAX_MS;
}

/* --- what goes in and comes out --- */

/* write(2) to a pipe whose reader may have gone, without SIGPIPE. */
static ssize_t
write_pipe(int fd, const char *bytes, size_t len)
{
	const struct timespec at_once = {0};
	sigset_t pending, broken, before;
	ssize_t done;

	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &broken, &before);
	done = write(fd, bytes, len);
	if (done < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
		sigtimedwait(&broken, NULL, &at_once);
		errno = EPIPE;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return done;
}

static void
give_input(struct run *run)
{
	size_t left = run->call->input_len - run->given;
	ssize_t done = 0;

	if (left > 0)
		done = write_pipe(run->ends[KEEPER_IN], run->call->input + run->given, left);
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (done > 0)
		run->given += (size_t)done;
	if (done < 0 || run->given == run->call->input_len)
		close_end(&run->ends[KEEPER_IN]);
}

static void
end_line(struct run *run)
{
	struct lines *lines = &run->lines;

	if (lines->len > CHILD_ERROR_MAX - lines->passed)
		lines->len = CHILD_ERROR_MAX - lines->passed;
	lines->line[lines->len] = '\0';
	if (lines->len > 0 && run->call->on_error_line)
		run->call->on_error_line(run->call->arg, lines->line);
	lines->passed += lines->len;
	lines->len = 0;
}

static void
take_errors(struct run *run, const char *bytes, size_t len)
{
	struct lines *lines = &run->lines;

	/* It is read and dropped, because otherwise the program would block. */
	if (lines->passed == CHILD_ERROR_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			end_line(run);
		else if (lines->len < CHILD_ERROR_LINE_MAX)
			lines->line[lines->len++] = (char)(bytes[i] ? bytes[i] : ' ');
	}
}

static void
take_output(struct run *run, const char *bytes, size_t len)
{
	size_t room = run->output->max - run->output->len;

	if (buf_append(run->output, bytes, len < room ? len : room) < 0 || len > room)
		order_end(run, CHILD_TOO_MUCH);
}

/* False: nothing more for now, or at all. */
static bool
take_piece(struct run *run, int end)
{
	char bytes[PIECE_SIZE];
	ssize_t got = read(run->ends[end], bytes, sizeof bytes);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0)
		close_end(&run->ends[end]);
	else if (end == KEEPER_OUT)
		take_output(run, bytes, (size_t)got);
	else
		take_errors(run, bytes, (size_t)got);
	return got > 0;
}

static void
take_report(struct run *run)
{
	struct keeper_report report;
	ssize_t got = read(run->ends[KEEPER_REPORT], &report, sizeof report);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got != (ssize_t)sizeof report) {
		run->is_over = true;
		return;
	}
	if (report.kind == KEEPER_NOT_STARTED) {
		settle(run, CHILD_NOT_STARTED, report.number);
		return;
	}
	run->is_over = run->reported = true;
	run->status = report.number;
	if (report.incomplete)
		log_warn("processes that %s started could not be ended", run->call->path);
}

/*
 * Reads what is still in a pipe, but no more than it holds, because a process that could not be
 * killed may go on writing. A short read means that the pipe is empty.
 */
static void
drain(struct run *run, int end)
{
	int pieces = fcntl(run->ends[end], F_GETPIPE_SZ) / PIECE_SIZE + 1;

	while (run->ends[end] >= 0 && pieces-- > 0 && take_piece(run, end))
		;
}

/* --- the wait --- */

static void
look_at_clock(struct run *run)
{
	long long now_ms = clock_ms();
	bool ordered = run->ends[KEEPER_LIFE] < 0;

	if (!ordered && interrupt_raised(run->call->interrupt)) {
		order_end(run, CHILD_INTERRUPTED);
	} else if (!ordered && now_ms >= run->end_ms) {
		order_end(run, CHILD_TIMED_OUT);
	} else if (ordered && now_ms >= run->end_ms) {
		kill(run->keeper, SIGKILL);
		run->end_ms = now_ms + ASK_MS;
	} else if (ordered) {
		/* The program may have stopped it. */
		kill(run->keeper, SIGCONT);
	}
}

static void
wait_once(struct run *run)
{
	/* Nothing is read from the life line, so its place is used for the interrupt. */
	struct pollfd fds[KEEPER_ENDS];
	long long left_ms = run->end_ms - clock_ms();
	int ms = left_ms < 0 ? 0 : left_ms < ASK_MS ? (int)left_ms : ASK_MS;
	bool ordered = run->ends[KEEPER_LIFE] < 0;

	/* poll() skips negative descriptors. */
	for (int i = 0; i < KEEPER_ENDS; i++)
		fds[i] = (struct pollfd){.fd = ordered ? -1 : run->ends[i], .events = POLLIN};
	fds[KEEPER_IN].events = POLLOUT;
	fds[KEEPER_REPORT].fd = run->ends[KEEPER_REPORT];
	fds[KEEPER_LIFE].fd = ordered ? -1 : run->interrupt_fd;
	fds[KEEPER_LIFE].events = POLLIN | POLLRDHUP;
	if (poll(fds, KEEPER_ENDS, ms) > 0) {
		if (fds[KEEPER_IN].revents)
			give_input(run);
		if (fds[KEEPER_ERR].revents)
			take_piece(run, KEEPER_ERR);
		if (fds[KEEPER_OUT].revents)
			take_piece(run, KEEPER_OUT);
		if (fds[KEEPER_REPORT].revents)
			take_report(run);
		/* Readable but not raised: poll() would return at once, forever. */
		if (fds[KEEPER_LIFE].revents && !interrupt_raised(run->call->interrupt))
			run->interrupt_fd = -1;
	}
	if (!run->is_over)
		look_at_clock(run);
}

/* --- the supervisor's start and end --- */

/* Makes a pipe between us and the supervisor. The owner of the arrays closes both ends. */
static int
open_end(int end, int *ours, int *theirs)
{
	bool to_keeper = end == KEEPER_IN || end == KEEPER_LIFE;
	int ends[2], above;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*ours = ends[to_keeper];
	*theirs = ends[!to_keeper];
	if (fcntl(*ours, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	if (*theirs >= KEEPER_ENDS)
		return 0;
	above = fcntl(*theirs, F_DUPFD_CLOEXEC, KEEPER_ENDS);
	if (above < 0)
		return -1;
	close(*theirs);
	*theirs = above;
	return 0;
}

/* -1 with errno. */
static int
start_keeper(struct run *run)
{
	struct keeper_start start = {
	    .path = run->call->path,
	    .folder = run->call->folder,
	    .environment = run->call->environment,
	    .ends = {-1, -1, -1, -1, -1},
	};
	sigset_t all, before;
	int error;

	run->keeper = -1;
	for (int i = 0; i < KEEPER_ENDS; i++)
		if (open_end(i, &run->ends[i], &start.ends[i]) < 0)
			goto out;
	/* No signal handler of ours may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run->keeper = fork();
	if (run->keeper == 0)
		keeper_run(&start);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
out:
	error = errno;
	for (int i = 0; i < KEEPER_ENDS; i++)
		close_end(&start.ends[i]);
	errno = error;
	return run->keeper < 0 ? -1 : 0;
}

/* If SIGCHLD is ignored, the kernel reaps it, and there is no status. */
static void
end_keeper(struct run *run)
{
	int status = 0;

	/* It is not reaped yet, so its number still names its session. */
	if (!run->reported)
		keeper_end_session(run->keeper);
	while (waitpid(run->keeper, &status, 0) < 0 && errno == EINTR)
		;
	if (!run->reported)
		settle(run, CHILD_SIGNALLED, WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL);
	else if (WIFSIGNALED(run->status))
		settle(run, CHILD_SIGNALLED, WTERMSIG(run->status));
	else
		settle(run, CHILD_EXITED, WEXITSTATUS(run->status));
}

enum child_outcome
child_run(const struct child_call *call, struct buf *output, int *number)
{
	struct run run = {
	    .call = call,
	    .output = output,
	    .ends = {-1, -1, -1, -1, -1},
	    .end_ms = clock_ms() + call->timeout_ms,
	    .interrupt_fd = call->interrupt ? call->interrupt->fd : -1,
	};

	if (interrupt_raised(call->interrupt)) {
		settle(&run, CHILD_INTERRUPTED, 0);
	} else if (start_keeper(&run) < 0) {
		settle(&run, CHILD_NOT_STARTED, errno);
	} else {
		while (!run.is_over)
			wait_once(&run);
		drain(&run, KEEPER_OUT);
		drain(&run, KEEPER_ERR);
		end_line(&run);
		end_keeper(&run);
	}
	for (int i = 0; i < KEEPER_ENDS; i++)
		close_end(&run.ends[i]);
	*number = run.number;
	return run.outcome;
}
