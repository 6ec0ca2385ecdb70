/*
 * What may end a wait early: the client leaves, the run is cancelled, or the program must end. Code
 * that serves a client passes it down to code that sleeps.
 */
#ifndef OS_INTERRUPT_H
#define OS_INTERRUPT_H

#include <stdbool.h>

struct interrupt {
	int fd; /* readable, or hung up, when it may have been raised; -1: only `raised` can tell */
	bool (*raised)(void *arg); /* called after each wake-up, and at least once a second */
	void *arg;
};

/* NULL is never raised. */
bool interrupt_raised(const struct interrupt *interrupt);

/* Sleeps. True: it was raised. False: `ms` milliseconds have passed. */
bool interrupt_sleep(const struct interrupt *interrupt, long long ms);

#endif
