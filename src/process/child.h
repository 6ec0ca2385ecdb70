/*
 * Runs an outside program once, blocking: input in, output out, and when the call returns nothing
 * of it is left, whatever it did: it hung, put children into sessions of their own, let them hold
 * its output open, ignored signals, printed without end.
 *
 * What it hides: a second process, the keeper (process/child_supervisor.h), which starts the
 * program and ends all that came of it, also when we are killed. It is a fork of ours, so what we
 * write to meanwhile is in memory twice.
 *
 * Any number of threads may call at once. A call takes ten descriptors for a moment, and five while
 * the program runs.
 *
 * Out of reach are a program that kills its keeper after it has left the session, or stops it again
 * and again until it is given up, one that becomes another user, and one that the kernel does not
 * let die; of the last two the log tells.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include <stddef.h>

#include "os/interrupt.h"
#include "text/buf.h"

enum {
	CHILD_ERROR_LINE_MAX = 1000, /* bytes of a line; longer ones are cut */
	CHILD_ERROR_MAX = 16 << 10   /* bytes of all lines of a call; what follows is dropped */
};

struct child_call {
	const char *path;               /* absolute, of the executable; it gets no arguments */
	const char *folder;             /* where it works */
	const char *const *environment; /* "NAME=value", NULL-terminated: the whole of it */
	const char *input;              /* on its standard input, which it need not read */
	size_t input_len;
	long long timeout_ms;
	/*
	 * Gets what it writes to standard error, in this thread, while it runs: each line that is
	 * not empty, without its newline, also an unfinished last one. A NUL in it becomes a blank.
	 * NULL: nobody wants it.
	 */
	void (*on_error_line)(void *arg, const char *line);
	void *arg;
	const struct interrupt *interrupt; /* ends it; NULL: nothing does */
};

enum child_outcome {
	CHILD_EXITED,      /* the number is its exit status */
	CHILD_SIGNALLED,   /* the number is the signal that ended it */
	CHILD_NOT_STARTED, /* the number is the errno of what failed: exec, its folder, a fork */
	CHILD_TIMED_OUT,
	CHILD_TOO_MUCH, /* more output than `output` takes, or than there is memory for */
	CHILD_INTERRUPTED,
	CHILD__MAX
};

/*
 * `output`, made with BUF_INIT(max), gets what came on standard output, any bytes, whatever the
 * outcome. `number` is 0 where the outcome gives it no meaning.
 *
 * The program has signals as they are by default, a process group of its own, and none of our
 * descriptors. What it leaves running when it ends is killed, and not waited for.
 */
enum child_outcome child_run(const struct child_call *call, struct buf *output, int *number);

#endif
