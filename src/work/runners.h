/*
 * Threads that do queued work which no client waits for. They start as they are needed, at most
 * eight, and end when nothing is queued.
 */
#ifndef WORK_RUNNERS_H
#define WORK_RUNNERS_H

#include <stdbool.h>

#include "os/seats.h"

struct runners;

/* Does the next piece of work. False: none is queued, or the database failed. */
typedef bool work_fn(void *arg);

/* NULL: out of memory. */
struct runners *runners_new(work_fn *work, void *arg);

/* A runner takes one of these seats before it looks for work. To be called once, before waking. */
void runners_set_seats(struct runners *runners, struct seats *seats);

/* Work was queued, or may be. */
void runners_wake(struct runners *runners);

/* Waits until they have nothing more to do. */
void runners_await(struct runners *runners);

/* Lets them end, and awaits them; what is queued stays so. */
void runners_free(struct runners *runners);

/* Whether they are to end: the program does. */
bool runners_stop(struct runners *runners);

#endif
