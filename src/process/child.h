/*
 * Runs an outside program once, blocking: input in, output out. When the call returns nothing of
 * the program is left, whatever it did: hung, started children in sessions of their own that keep
 * its output open, ignored signals, printed without end.
 *
 * This file hides a second process, the supervisor (process/child_supervisor.h). It starts the
 * program and kills everything that came of it, even if this process is killed. It is a fork of
 * this process, so pages that are written to meanwhile are in memory twice.
 *
 * Any number of threads may call at once. A call needs ten descriptors for a moment, and five while
 * the program runs.
 *
 * It cannot handle a program that kills the supervisor after leaving its session, or stops it until
 * we give up; one that becomes another user; and one that the kernel does not let die. The last two
 * are logged.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include <stddef.h>

#include "os/interrupt.h"
#include "text/buf.h"

enum {
	CHILD_ERROR_LINE_MAX = 1000, /* bytes of a line; longer lines are cut */
	CHILD_ERROR_MAX = 16 << 10   /* bytes of all lines of a call; the rest is dropped */
};

struct child_call {
	const char *path;   /* absolute path of the executable, which gets no arguments */
	const char *folder; /* its working directory */
	const char *const *environment; /* the whole environment: "NAME=value", NULL-terminated */
	const char *input;              /* for its standard input, which it need not read */
	size_t input_len;
	long long timeout_ms;
	/*
	 * Receives its standard error, in this thread, while it runs: each non-empty line without
	 * its newline, including an unfinished last one. A NUL becomes a blank. NULL: not wanted.
	 */
	void (*on_error_line)(void *arg, const char *line);
	void *arg;
	const struct interrupt *interrupt; /* ends it; NULL: nothing does */
};

enum child_outcome {
	CHILD_EXITED,      /* `number` is its exit status */
	CHILD_SIGNALLED,   /* `number` is the signal that ended it */
	CHILD_NOT_STARTED, /* `number` is the errno of the failed exec, chdir or fork */
	CHILD_TIMED_OUT,
	CHILD_TOO_MUCH, /* more output than `output` takes, or memory */
	CHILD_INTERRUPTED,
	CHILD__MAX
};

/*
 * `output`, made with BUF_INIT(max), receives the standard output, any bytes, whatever the outcome.
 * `number` is 0 where the outcome gives it no meaning.
 *
 * The program starts with default signal handling, in a process group of its own, with none of our
 * descriptors. What it leaves running when it ends is killed, not waited for.
 */
enum child_outcome child_run(const struct child_call *call, struct buf *output, int *number);

#endif
