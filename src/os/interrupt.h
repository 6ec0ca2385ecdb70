/*
 * What may end a wait before its time: the client that waits for the answer goes away, somebody
 * cancels the run, the program is told to stop. Passed down by whoever waits for a client to
 * whoever sleeps.
 */
#ifndef OS_INTERRUPT_H
#define OS_INTERRUPT_H

#include <stdbool.h>

struct interrupt {
	int fd; /* becomes readable, or hangs up, when it may have been raised; -1: only asking
		   tells */
	bool (*raised)(void *arg); /* asked after every wake-up, and at least once a second */
	void *arg;
};

/* False for NULL, too. */
bool interrupt_raised(const struct interrupt *interrupt);

/* Sleeps; true as soon as it is raised, false after `ms` milliseconds. */
bool interrupt_sleep(const struct interrupt *interrupt, long long ms);

#endif
