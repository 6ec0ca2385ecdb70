/*
 * The threads that carry out runs that no client waits for; they start as they are needed. Only for
 * src/assistants/.
 */
#ifndef ASSISTANTS_RUNNER_POOL_H
#define ASSISTANTS_RUNNER_POOL_H

#include "assistants/internal.h"

/* NULL: out of memory. */
struct runner_pool *runner_pool_new(struct api *api);

/* A run has been queued. */
void runner_pool_wake(struct runner_pool *pool);

/* Waits until they have nothing more to do. */
void runner_pool_await(struct runner_pool *pool);

/* Interrupts and awaits them; runs that are still queued stay so. */
void runner_pool_free(struct runner_pool *pool);

/* Whether they are to end: the program does. */
bool runner_pool_stops(struct runner_pool *pool);

#endif
