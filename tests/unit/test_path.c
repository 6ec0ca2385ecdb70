#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/path.h"

static const struct row {
	const char *pattern, *path;
	bool matches;
	const char *names; /* what they stand for, separated by '|' */
} rows[] = {
    {"/health", "/health", true, ""},
    {"/health", "/health/", false, ""},
    {"/health", "/healthy", false, ""},
    {"/health", "", false, ""},
    {"/{*}", "", false, ""},
    {"/{*}", "x", false, ""},
    {"/threads/{id}", "/threads/thread_1", true, "thread_1|"},
    {"/threads/{id}", "/threads/", false, ""},
    {"/threads/{id}", "/threads", false, ""},
    {"/threads/{id}/runs/{run}/cancel", "/threads/a/runs/b/cancel", true, "a|b|"},
    {"/threads/{id}/runs/{run}/cancel", "/threads/a/runs/b", false, ""},
    {"/threads/{id}/runs/{run}", "/threads/a/runs/b/cancel", false, ""},
    {"/files/{*}", "/files/a/content", true, ""},
    {"/files/{*}", "/files/", true, ""},
    {"/files/{*}", "/files", false, ""},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct path_part parts[PATH_NAMES_MAX] = {{NULL, 0}};
		char names[64] = "";
		size_t used = 0;

		assert_int_equal(
		    path_matches(rows[i].pattern, rows[i].path, parts), rows[i].matches);
		if (!rows[i].matches)
			continue;
		for (int p = 0; p < PATH_NAMES_MAX && parts[p].at; p++)
			used += (size_t)snprintf(names + used, sizeof names - used, "%.*s|",
			    (int)parts[p].len, parts[p].at);
		assert_string_equal(names, rows[i].names);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
