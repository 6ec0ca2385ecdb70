/*
 * The process between us and an outside program, for process/child.c alone. Whatever comes of the
 * program stays below it: it is a subreaper, so whoever loses his parent becomes its child. When
 * the program has ended, or the life line hangs up, because we let go of it or were killed, it
 * kills until it has no child left, and reports.
 *
 * It is forked from a process with threads, so all here is async-signal-safe: no malloc, no stdio.
 */
#ifndef PROCESS_CHILD_SUPERVISOR_H
#define PROCESS_CHILD_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

/* The keeper's descriptors; the first three are the program's, too. */
enum {
	KEEPER_IN,
	KEEPER_OUT,
	KEEPER_ERR,
	KEEPER_REPORT, /* struct keeper_report is written here */
	KEEPER_LIFE,   /* a pipe that nobody writes to: its end is the order to end */
	KEEPER_ENDS
};

struct keeper_start {
	const char *path, *folder;
	const char *const *environment;
	int ends[KEEPER_ENDS]; /* each at least KEEPER_ENDS, so that none is in another's place */
};

/* One write(2) each, that pipes keep whole. */
struct keeper_report {
	enum {
		KEEPER_NOT_STARTED, /* with the errno; KEEPER_ENDED may follow, or the end */
		KEEPER_ENDED        /* with the program's wait status */
	} kind;
	int number;
	bool incomplete; /* something could not be killed */
};

/* In the child of a fork, with all signals blocked. */
_Noreturn void keeper_run(const struct keeper_start *start);

/*
 * For a keeper that was killed itself, and not yet waited for: kills what is still in its session.
 */
void keeper_end_session(pid_t keeper);

#endif
