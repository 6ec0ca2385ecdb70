/*
 * Counters for Prometheus, shared by all processes of a state folder: a file there, which each
 * process maps and adds to, without locks. So counts are right behind servers that start several
 * processes, or one a request, and survive a restart. What a killed process has added stays; an
 * addition that was under way is lost.
 *
 * While it is off, the default, each call is one branch.
 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <stdbool.h>

#include "text/buf.h"

/* A row each in metrics.c's table, with its labels in this order. */
enum metric {
	METRIC_REQUESTS,        /* counter: method, route, status */
	METRIC_WORKERS_BUSY,    /* gauge */
	METRIC_WAITING,         /* gauge */
	METRIC_RUNS,            /* counter: status */
	METRIC_FIRST_WORD,      /* histogram */
	METRIC_RUN_DURATION,    /* histogram */
	METRIC_TOKENS,          /* counter: type */
	METRIC_UPSTREAM_ERRORS, /* counter: upstream, kind */
	METRIC_WRITE_WAIT,      /* histogram */
	METRIC__MAX
};

/*
 * Turns metrics on: opens or creates the file `metrics` in `folder`. Call it before threads start.
 * A failure is logged once, and nothing is counted.
 */
void metrics_open(const char *folder);
void metrics_close(void);

/* Whether metrics are on. */
bool metrics_on(void);

/*
 * Adds to a counter. Label values come from our own tables, never from outside: no quotes,
 * backslashes or line breaks. NULL where the metric has fewer labels.
 */
void metrics_add(
    enum metric metric, long long amount, const char *first, const char *second, const char *third);

/* Microseconds, to measure from; 0: metrics are off. */
long long metrics_clock(void);

/* Adds the time since metrics_clock() returned `since_us` to a histogram. */
void metrics_observe(enum metric metric, long long since_us);

/* Changes a gauge of this process. */
void metrics_change(enum metric metric, int by);

/* Prints everything in Prometheus' text format 0.0.4. -1: metrics are off, or out of memory. */
int metrics_print(struct buf *out);

#endif
