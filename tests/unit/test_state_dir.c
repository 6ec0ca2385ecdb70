/* The state folder: made if it is missing. Web servers must not be able to serve it. */
#include "support.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

/* The program's own folder. */
static char *
program_folder(void)
{
	char *program = realpath("/proc/self/exe", NULL);

	assert_non_null(program);
	*strrchr(program, '/') = '\0';
	return program;
}

static int
prepare(char *path, char *error)
{
	struct config config = {.state_dir = path};

	error[0] = '\0';
	return config_prepare_state_dir(&config, error);
}

static void
test_state_dir(void **state)
{
	static const char *const good[] = {"a", "b/c/d", "b/c/e/", "b//f", "b/./g"};
	char *folder = folder_new(), error[ERROR_SIZE];
	mode_t mask = umask(0);

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char *path = path_in(folder, good[i]);
		struct stat info;

		/* The second time it exists already. */
		check_int(good[i], prepare(path, error), 0);
		check_int(good[i], prepare(path, error), 0);
		assert_int_equal(stat(path, &info), 0);
		check_int(good[i], info.st_mode & 07777, 0700);
		free(path);
	}
	umask(mask);
	folder_remove(folder);
}

static void
test_state_dir_refused(void **state)
{
	char *folder = folder_new(), *program = program_folder(),
	     *below = path_in(program, "state-of-a-test");
	char *link = path_in(folder, "link"), *through = path_in(link, "state-of-a-test");
	char *file = path_in(folder, "file"), *below_file = path_in(file, "a");
	const struct {
		const char *name;
		char *path;
		const char *said;
	} refused[] = {
	    {"the program's own folder", program, "inside the program's own folder"},
	    {"below it", below, "inside the program's own folder"},
	    {"a link to it", link, "inside the program's own folder"},
	    {"below a link to it", through, "inside the program's own folder"},
	    {"a file", file, "cannot be used"},
	    {"below a file", below_file, "cannot be used: Not a directory"},
	};
	char error[ERROR_SIZE];
	int again;

	(void)state;
	file_write(file, "content");
	assert_int_equal(symlink(program, link), 0);
	for (size_t i = 0; i < COUNT(refused); i++) {
		check_int(refused[i].name, prepare(refused[i].path, error), -1);
		check_has(refused[i].name, error, refused[i].said);
		check_has(refused[i].name, error, "ASSISTANTS_STATE_DIR");
		/* It is not even made there. */
		assert_int_equal(rmdir(below), -1);
	}
	/* A folder whose name only begins like it is another folder. */
	free(below);
	assert_true(asprintf(&below, "%s-state", program) > 0);
	assert_int_equal(prepare(below, error), 0);
	again = prepare(below, error);
	assert_int_equal(rmdir(below), 0);
	assert_int_equal(again, 0);
	free(program);
	free(below);
	free(link);
	free(through);
	free(file);
	free(below_file);
	folder_remove(folder);
}

static void
test_key_refused(void **state)
{
	char *folder = folder_new(), *program = program_folder(), error[ERROR_SIZE] = "";
	char *empty = path_in(folder, "config"), *key = path_in(program, "key-of-a-test");
	struct config config;
	int result;

	(void)state;
	file_write(empty, "");
	file_write(key, "sk-secret");
	unsetenv("OPENAI_API_KEY");
	setenv("ASSISTANTS_CONFIG", empty, 1);
	setenv("OPENAI_API_KEY_FILE", key, 1);
	result = config_load(&config, error);
	unlink(key);
	assert_int_equal(result, -1);
	check_has("key", error, "OPENAI_API_KEY_FILE: ");
	check_has("key", error, "inside the program's own folder");
	config_free(&config);
	free(empty);
	free(key);
	free(program);
	folder_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_state_dir),
	    cmocka_unit_test(test_state_dir_refused),
	    cmocka_unit_test(test_key_refused),
	};

	return cmocka_run_group_tests_name("state_dir", tests, NULL, NULL);
}
