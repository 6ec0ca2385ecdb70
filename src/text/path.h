/*
 * Paths of URLs against patterns: "/threads/{id}/messages". A {name} stands for one segment that is
 * not empty, a last {*} for all that follows.
 */
#ifndef TEXT_PATH_H
#define TEXT_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_NAMES_MAX = 3 };

/* A part of a path. */
struct path_part {
	const char *at;
	size_t len;
};

/* Whether the path is of that pattern. `parts` get what stands for the {names}, in order. */
bool path_matches(const char *pattern, const char *path, struct path_part parts[PATH_NAMES_MAX]);

#endif
