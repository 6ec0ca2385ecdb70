/* What clients may occupy: workers, memory, the machine's seats. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "http/occupancy.h"

enum { WORKERS = 10, MEMORY = 1000 };

static const struct address a = {{1}}, b = {{2}}, c = {{3}}, d = {{4}}, nobody = {{0}};

static struct occupancy *
open_occupancy(struct seats *seats)
{
	const struct occupancy_bounds bounds = {
	    .workers = WORKERS, .memory = MEMORY, .seats = seats};
	struct occupancy *occupancy = occupancy_new(&bounds);

	assert_non_null(occupancy);
	return occupancy;
}

static void
bodies_leave_a_worker_and_a_client_its_share(void **state)
{
	static const struct {
		const char *name;
		const struct address *client;
		unsigned missing;
		enum occupancy_result result;
	} table[] = {
	    {"one", &a, 0, OCCUPANCY_TAKEN},
	    {"two", &a, 0, OCCUPANCY_TAKEN},
	    {"a quarter", &a, 0, OCCUPANCY_ADDRESS_FULL},
	    {"another's", &b, 0, OCCUPANCY_TAKEN},
	    {"nobody's", &nobody, 0, OCCUPANCY_TAKEN},
	    {"nobody's, too", &nobody, 0, OCCUPANCY_TAKEN},
	    {"but no more", &nobody, 0, OCCUPANCY_ADDRESS_FULL},
	    {"workers are missing", &b, 4, OCCUPANCY_FULL},
	    {"fewer are", &b, 3, OCCUPANCY_TAKEN},
	    {"the last two", &c, 0, OCCUPANCY_TAKEN},
	    {"of those who read", &c, 0, OCCUPANCY_TAKEN},
	};
	struct occupancy *occupancy = open_occupancy(NULL);
	int seat;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		check_int(table[i].name,
		    occupancy_begin_body(occupancy, table[i].client, table[i].missing),
		    table[i].result);
	/* Of ten workers nine read, so none may wait, and one is left. */
	assert_int_equal(occupancy_begin_body(occupancy, &d, 0), OCCUPANCY_TAKEN);
	assert_false(occupancy_begin_wait(occupancy, 0, &seat));
	occupancy_end_body(occupancy, &d);
	assert_true(occupancy_begin_wait(occupancy, 0, &seat));
	assert_int_equal(occupancy_begin_body(occupancy, &d, 0), OCCUPANCY_FULL);
	occupancy_end_body(occupancy, &a);
	assert_int_equal(occupancy_begin_body(occupancy, &a, 0), OCCUPANCY_TAKEN);
	occupancy_end_body(occupancy, &b);
	assert_int_equal(occupancy_begin_body(occupancy, &a, 0), OCCUPANCY_ADDRESS_FULL);
	occupancy_end_wait(occupancy, seat);
	occupancy_free(occupancy);
}

static void
waiting_requests_leave_two_workers(void **state)
{
	struct occupancy *occupancy = open_occupancy(NULL);
	int seats[WORKERS], more;

	(void)state;
	for (int i = 0; i < WORKERS - OCCUPANCY_FREE; i++)
		assert_true(occupancy_begin_wait(occupancy, 0, &seats[i]));
	assert_false(occupancy_begin_wait(occupancy, 0, &more));
	occupancy_end_wait(occupancy, seats[0]);
	assert_false(occupancy_begin_wait(occupancy, 1, &more));
	assert_true(occupancy_begin_wait(occupancy, 0, &more));
	occupancy_free(occupancy);
}

static void
memory_is_held_until_it_is_given_back(void **state)
{
	struct occupancy *occupancy = open_occupancy(NULL);

	(void)state;
	assert_true(occupancy_hold(occupancy, &a, MEMORY / 2));
	assert_false(occupancy_hold(occupancy, &a, 1));
	assert_true(occupancy_hold(occupancy, &a, 0));
	assert_true(occupancy_hold(occupancy, &b, MEMORY / 2 - 10));
	assert_false(occupancy_hold(occupancy, &c, 11));
	assert_false(occupancy_hold(occupancy, &c, SIZE_MAX));
	assert_true(occupancy_hold(occupancy, &c, 10));
	occupancy_give_back(occupancy, &a, 10);
	assert_false(occupancy_hold(occupancy, &a, 11));
	assert_true(occupancy_hold(occupancy, &c, 10));
	occupancy_give_back(occupancy, &b, MEMORY / 2 - 10);
	occupancy_give_back(occupancy, &a, MEMORY / 2 - 10);
	occupancy_give_back(occupancy, &c, 20);
	assert_true(occupancy_hold(occupancy, &b, MEMORY / 2));
	occupancy_free(occupancy);
}

/* Processes share the file; each counts its own threads as well. */
static void
seats_are_shared_by_the_machine(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "seats");
	struct seats *mine = seats_open(path, 3), *others = seats_open(path, 3);
	int first, second, third, status;
	pid_t child;

	(void)state;
	assert_true(mine && others);
	first = seats_take(mine);
	second = seats_take(others);
	third = seats_take(mine);
	assert_true(first >= 0 && second >= 0 && third >= 0);
	assert_true(first != second && second != third && first != third);
	assert_int_equal(seats_take(mine), -1);
	assert_int_equal(seats_take(others), -1);
	seats_give_back(mine, first);
	/* A process that dies gives its seat back. */
	child = fork();
	if (child == 0) {
		struct seats *its = seats_open(path, 3);

		_exit(its && seats_take(its) == first ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(seats_take(others), first);
	seats_close(mine);
	assert_int_equal(seats_take(others), third);
	seats_close(others);
	free(path);
	folder_remove(folder);
}

/* This process has room, the machine has not. */
static void
without_a_seat_nothing_waits(void **state)
{
	char *folder = folder_new(), *path = path_in(folder, "seats");
	struct seats *seats = seats_open(path, 1);
	struct occupancy *one = open_occupancy(seats);
	int seat, none;

	(void)state;
	assert_true(occupancy_begin_wait(one, 0, &seat));
	assert_false(occupancy_begin_wait(one, 0, &none));
	occupancy_end_wait(one, seat);
	assert_true(occupancy_begin_wait(one, WORKERS - OCCUPANCY_FREE - 1, &seat));
	occupancy_end_wait(one, seat);
	occupancy_free(one);
	seats_close(seats);
	free(path);
	folder_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies_leave_a_worker_and_a_client_its_share),
	    cmocka_unit_test(waiting_requests_leave_two_workers),
	    cmocka_unit_test(memory_is_held_until_it_is_given_back),
	    cmocka_unit_test(seats_are_shared_by_the_machine),
	    cmocka_unit_test(without_a_seat_nothing_waits),
	};

	return cmocka_run_group_tests_name("occupancy", tests, NULL, NULL);
}
