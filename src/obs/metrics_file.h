/*
 * The file behind metrics.h: numbers that several processes count in together, each having it
 * mapped, without locks. Of fixed size, all its blocks taken when it is made: to find the disk full
 * later, by writing to memory, would be a SIGBUS. Only for metrics.c.
 */
#ifndef OBS_METRICS_FILE_H
#define OBS_METRICS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERIES_WORDS = 29, SERIES_SIZE = SERIES_WORDS * 8, METRICS_GAUGES = 2 };

/* A counter's name and labels, filled up with NULs. One of SERIES_SIZE bytes or more has no place.
 */
struct series {
	size_t len;
	union {
		char text[SERIES_SIZE];
		uint64_t words[SERIES_WORDS];
	};
};

struct metrics_file;

/*
 * Opens the file, or makes it, also in place of one that is no such file or of another version; who
 * has that mapped keeps it, without a name. NULL with errno.
 */
struct metrics_file *metrics_file_open(const char *path);
void metrics_file_close(struct metrics_file *file);

/*
 * Adds to a counter, which is 0 before. Where there is no room for a new one nothing is added, and
 * metrics_file_dropped() tells how often that was.
 */
void metrics_file_add(struct metrics_file *file, const struct series *series, uint64_t amount);

/* What was added so far. */
uint64_t metrics_file_read(struct metrics_file *file, const struct series *series);
uint64_t metrics_file_dropped(const struct metrics_file *file);

/*
 * The next counter from place *at, 0 for the first: *at moves on behind it. False when there is
 * none any more. Its text is printable ASCII, whatever may have damaged the file.
 */
bool metrics_file_next(
    const struct metrics_file *file, size_t *at, struct series *series, uint64_t *value);

/*
 * Gauges, from 0 to METRICS_GAUGES: each process moves its own, and what is told is the sum of
 * those that live.
 */
void metrics_file_change(struct metrics_file *file, unsigned gauge, int by);
long long metrics_file_gauge(const struct metrics_file *file, unsigned gauge);

#endif
