/*
 * The file behind metrics.h: numbers in which several processes count together. Each maps it; there
 * are no locks. Its size is fixed, and all its blocks are allocated when it is made, because a full
 * disk would otherwise be a SIGBUS on a write to memory. Only for metrics.c.
 */
#ifndef OBS_METRICS_FILE_H
#define OBS_METRICS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERIES_WORDS = 29, SERIES_SIZE = SERIES_WORDS * 8, METRICS_GAUGES = 2 };

/* A counter's name and labels, padded with NULs. One of SERIES_SIZE bytes or more does not fit. */
struct series {
	size_t len;
	union {
		char text[SERIES_SIZE];
		uint64_t words[SERIES_WORDS];
	};
};

struct metrics_file;

/*
 * Opens or creates the file. Replaces a file that is no such file, or of another version; processes
 * that have it mapped keep it, without a name. NULL with errno.
 */
struct metrics_file *metrics_file_open(const char *path);
void metrics_file_close(struct metrics_file *file);

/*
 * Adds to a counter, which starts at 0. If there is no room for a new counter, nothing is added,
 * and metrics_file_dropped() counts that.
 */
void metrics_file_add(struct metrics_file *file, const struct series *series, uint64_t amount);

/* The counter's value. */
uint64_t metrics_file_read(struct metrics_file *file, const struct series *series);
uint64_t metrics_file_dropped(const struct metrics_file *file);

/*
 * Reads the next counter, from place *at on (0 at first), and advances *at. False: there are no
 * more. The text is printable ASCII, even if the file is damaged.
 */
bool metrics_file_next(
    const struct metrics_file *file, size_t *at, struct series *series, uint64_t *value);

/*
 * Gauges, from 0 to METRICS_GAUGES - 1. Each process changes its own; the value is the sum over
 * living processes.
 */
void metrics_file_change(struct metrics_file *file, unsigned gauge, int by);
long long metrics_file_gauge(const struct metrics_file *file, unsigned gauge);

#endif
