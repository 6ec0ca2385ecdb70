/*
 * Threads for queued work that no client waits for. They start as needed, at most eight, and end
 * when nothing is queued.
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

/*
 * Makes a runner take one of these seats before it looks for work. Call it once, before the first
 * wake.
 */
void runners_set_seats(struct runners *runners, struct seats *seats);

/* Starts a runner if need be. Call it when work was, or may have been, queued. */
void runners_wake(struct runners *runners);

/* Waits until the runners find nothing more to do. */
void runners_await(struct runners *runners);

/* Stops the runners, waits for them and frees. What is queued stays queued. */
void runners_free(struct runners *runners);

/* Whether runners should stop, because the program is ending. */
bool runners_stop(struct runners *runners);

#endif
