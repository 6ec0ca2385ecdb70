/*
 * Matches URL paths against patterns such as "/threads/{id}/messages". {name} stands for one
 * non-empty segment, a final {*} for all that follows.
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

/* Whether the path matches. `parts` get what the {names} stand for, in order. */
bool path_matches(const char *pattern, const char *path, struct path_part parts[PATH_NAMES_MAX]);

#endif
