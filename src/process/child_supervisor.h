/*
 * The supervisor: the process between us and an outside program, for process/child.c only.
 * Everything that comes of the program stays below it, because it is a subreaper: orphans become
 * its children. When the program has ended, or the life line closes, because we closed it or were
 * killed, it kills until no child is left, and reports.
 *
 * It is forked from a process with threads, so everything here is async-signal-safe: no malloc, no
 * stdio.
 */
#ifndef PROCESS_CHILD_SUPERVISOR_H
#define PROCESS_CHILD_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

/* The supervisor's descriptors; the first three are also the program's. */
enum {
	KEEPER_IN,
	KEEPER_OUT,
	KEEPER_ERR,
	KEEPER_REPORT, /* struct keeper_report is written here */
	KEEPER_LIFE,   /* nothing is written here: closing it is the order to end */
	KEEPER_ENDS
};

struct keeper_start {
	const char *path, *folder;
	const char *const *environment;
	int ends[KEEPER_ENDS]; /* each >= KEEPER_ENDS, so that dup3() overwrites none */
};

/* Each is one write(2), which a pipe keeps whole. */
struct keeper_report {
	enum {
		KEEPER_NOT_STARTED, /* with the errno; KEEPER_ENDED or end of file follows */
		KEEPER_ENDED        /* with the program's wait status */
	} kind;
	int number;
	bool incomplete; /* something could not be killed */
};

/* To be called in the child of a fork, with all signals blocked. */
_Noreturn void keeper_run(const struct keeper_start *start);

/*
 * For a supervisor that was killed itself and is not reaped yet: kills what is left in its session.
 */
void keeper_end_session(pid_t keeper);

#endif
