/*
 * What is counted for Prometheus, by all processes of one state folder together: a file in it,
 * which each of them maps and adds to, without locks. So it counts right behind servers that start
 * several processes, or one a request, and goes on where it was when the program starts anew. What
 * a killed process had added stays; what it was just busy with is forgotten.
 *
 * Off, which is how it begins, each call is one branch.
 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <stdbool.h>

#include "text/buf.h"

/* A row each in metrics.c's table, with its labels in order. */
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
 * Turns it on: opens the file `metrics` in `folder`, or makes it. Before threads start. When that
 * fails it is said in the log, once, and nothing is counted.
 */
void metrics_open(const char *folder);
void metrics_close(void);

/* Whether it was turned on. */
bool metrics_on(void);

/*
 * Adds to a counter. The labels' values come out of our own tables, never from outside; no quotes,
 * backslashes or line breaks. NULL where the metric has fewer.
 */
void metrics_add(
    enum metric metric, long long amount, const char *first, const char *second, const char *third);

/* Microseconds, to measure from; 0 when it is off. */
long long metrics_clock(void);

/* Adds to a histogram how long it has been since metrics_clock() said `since_us`. */
void metrics_observe(enum metric metric, long long since_us);

/* Moves a gauge of this process. */
void metrics_change(enum metric metric, int by);

/*
 * All of it, in Prometheus' text format 0.0.4. -1 when nothing is counted, or memory is out.
 */
int metrics_print(struct buf *out);

#endif
