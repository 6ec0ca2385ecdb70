#include "text/path.h"

bool
path_matches(const char *pattern, const char *path, struct path_part parts[PATH_NAMES_MAX])
{
	int len = 0;

	if (*path != '/')
		return false;
	for (;;) {
		size_t pattern_len = strcspn(pattern + 1, "/"), path_len = strcspn(path + 1, "/");

		if (strcmp(pattern + 1, "{*}") == 0)
			return true;
		if (pattern[1] == '{') {
			if (path_len == 0)
				return false;
			parts[len++] = (struct path_part){path + 1, path_len};
		} else if (pattern_len != path_len ||
		    strncmp(pattern + 1, path + 1, path_len) != 0) {
			return false;
		}
		pattern += 1 + pattern_len;
		path += 1 + path_len;
		if (!*pattern || !*path)
			return !*pattern && !*path;
	}
}
