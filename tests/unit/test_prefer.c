/* The header Prefer. */
#include "support.h"

#include "http/prefer.h"

static void
test_prefer(void **state)
{
	static const struct {
		const char *header;
		bool async;
		long long wait_s;
		const char *applied;
	} rows[] = {
	    {NULL, false, -1, ""},
	    {"", false, -1, ""},
	    {"respond-async", true, -1, "respond-async"},
	    {"Respond-Async", true, -1, "respond-async"},
	    {"wait=10", false, 10, "wait=10"},
	    {"wait=0", false, 0, "wait=0"},
	    {"Wait = 10", false, 10, "wait=10"},
	    {"wait=\"10\"", false, 10, "wait=10"},
	    {"respond-async, wait=10", true, 10, "respond-async, wait=10"},
	    {"wait=10;x=1 , respond-async; y", true, 10, "respond-async, wait=10"},
	    {"wait=10, wait=20", false, 10, "wait=10"},
	    {"wait=99999999", false, 86400, "wait=86400"},
	    {"wait=99999999999999999999", false, -1, ""},
	    {"wait", false, -1, ""},
	    {"wait=", false, -1, ""},
	    {"wait=-1", false, -1, ""},
	    {"wait=1.5", false, -1, ""},
	    {"wait=10s", false, -1, ""},
	    {"\"respond-async\"", false, -1, ""},
	    {"x=\"a, respond-async\"", false, -1, ""},
	    {"x=\"a, respond-async", false, -1, ""},
	    {"x=\"a\\\", respond-async, \"", false, -1, ""},
	    {"x=\"a\\\\\", respond-async", true, -1, "respond-async"},
	    {"x=\"\\", false, -1, ""},
	    {"wait=\"10", false, -1, ""},
	    {"wait=\"", false, -1, ""},
	    {"wait=\"1\\\"", false, -1, ""},
	    {"return=minimal;wait=10", false, -1, ""},
	    {",,respond-async,,", true, -1, "respond-async"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct prefer prefer = prefer_read(rows[i].header);
		char applied[PREFER_APPLIED_SIZE];

		prefer_print(&prefer, applied);
		if (prefer.async != rows[i].async || prefer.wait_s != rows[i].wait_s ||
		    strcmp(applied, rows[i].applied) != 0)
			fail_msg("%s: %d, %lld, \"%s\"", rows[i].header, prefer.async,
			    prefer.wait_s, applied);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_prefer)};

	return cmocka_run_group_tests_name("prefer", tests, NULL, NULL);
}
