/* The file of keys: what is a key, what is complained about, and that changes are noticed. */
#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/hash.h"
#include "v1/keys.h"

static char *folder, *path;

static int
set_up(void **state)
{
	(void)state;
	folder = folder_new();
	path = path_in(folder, "keys");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(path);
	folder_remove(folder);
	return 0;
}

/* The SHA-256 of "one" and "two". */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

/* The tenant of the key "one"; "-": no such key. The caller frees `said`, what was logged. */
static const char *
owner_of_one(struct keys *keys, char tenant[KEYS_TENANT_SIZE], char **said)
{
	struct capture capture;
	enum keys_answer answer;

	capture_start(&capture);
	answer = keys_find(keys, "one", tenant);
	*said = capture_end(&capture);
	return answer == KEYS_KNOWN ? tenant : answer == KEYS_NONE ? "none" : "-";
}

static void
test_lines(void **state)
{
	static const struct {
		const char *name, *content, *owner, *complaint;
	} rows[] = {
	    {"a key", "me sha256:" ONE "\n", "me", NULL},
	    {"another's", "me sha256:" TWO "\n", "-", NULL},
	    {"several", "x sha256:" TWO "\nme sha256:" ONE "\ny sha256:" TWO "\n", "me", NULL},
	    {"two of a name", "me sha256:" TWO "\nme sha256:" ONE "\n", "me", NULL},
	    {"no end of the line", "me sha256:" ONE, "me", NULL},
	    {"CRLF", "# mine\r\n\r\nme sha256:" ONE "\r\n", "me", NULL},
	    {"blanks behind", "me sha256:" ONE " \t\n", "me", NULL},
	    {"comments, empty lines", "# me\n\n  \nme sha256:" ONE "\n#", "me", NULL},
	    {"a name of all kinds", "Aa0_.- sha256:" ONE "\n", "Aa0_.-", NULL},
	    {"nothing", "", "none", NULL},
	    {"comments alone", "# me sha256:" ONE "\n", "none", NULL},
	    {"no name", " sha256:" ONE "\n", "none", "line 1"},
	    {"the key itself", "me one\n", "none", "line 1"},
	    {"another hash", "me md5:" ONE "\n", "none", "line 1"},
	    {"capitals", "me sha256:7692C3AD\n", "none", "line 1"},
	    {"too short", "x sha256:" TWO "\n\nme sha256:769\n", "-", "line 3"},
	    {"too long", "me sha256:" ONE "0\n", "none", "line 1"},
	    {"two blanks", "me  sha256:" ONE "\n", "none", "line 1"},
	    {"a blank before", " me sha256:" ONE "\n", "none", "line 1"},
	    {"the longest name",
		"1234567890123456789012345678901234567890123456789012345678901234 sha256:" ONE,
		"1234567890123456789012345678901234567890123456789012345678901234", NULL},
	    {"too long a name",
		"12345678901234567890123456789012345678901234567890123456789012345 sha256:" ONE,
		"none", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct keys *keys = keys_new(path);
		char tenant[KEYS_TENANT_SIZE], *said;

		file_write(path, rows[i].content);
		check_text(rows[i].name, owner_of_one(keys, tenant, &said), rows[i].owner);
		check_has(rows[i].name, said, rows[i].complaint ? rows[i].complaint : "");
		if (!rows[i].complaint)
			check_text(rows[i].name, said, "");
		/* Logged once, not with each request; and never the content. */
		if (strstr(said, "sha256:7") || strstr(said, "me one"))
			fail_msg("%s: said %s", rows[i].name, said);
		free(said);
		owner_of_one(keys, tenant, &said);
		check_text(rows[i].name, said, "");
		free(said);
		keys_free(keys);
	}
}

/* A NUL, at which a C string would end. */
static void
test_nul(void **state)
{
	static const char content[] = "x\0y\nme sha256:" ONE "\n";
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct keys *keys = keys_new(path);
	char tenant[KEYS_TENANT_SIZE], *said;

	(void)state;
	assert_int_equal(write(fd, content, sizeof content - 1), sizeof content - 1);
	close(fd);
	check_text("NUL", owner_of_one(keys, tenant, &said), "me");
	check_has("NUL", said, "line 1");
	free(said);
	keys_free(keys);
}

/* What may be there instead of a file with keys. */
static void
test_files(void **state)
{
	struct keys *keys = keys_new(path);
	char tenant[KEYS_TENANT_SIZE], *said, *other = path_in(folder, "other"), *large;
	enum { LARGE = 5 << 20 };

	(void)state;
	unlink(path);
	check_text("missing", owner_of_one(keys, tenant, &said), "none");
	check_text("missing", said, "");
	free(said);

	assert_int_equal(mkfifo(path, 0600), 0);
	check_text("a pipe", owner_of_one(keys, tenant, &said), "none");
	check_has("a pipe", said, "cannot be read");
	free(said);
	unlink(path);

	assert_int_equal(mkdir(path, 0700), 0);
	check_text("a folder", owner_of_one(keys, tenant, &said), "none");
	check_has("a folder", said, "cannot be read");
	free(said);
	rmdir(path);

	file_write(other, "me sha256:" ONE "\n");
	assert_int_equal(symlink(other, path), 0);
	check_text("a link", owner_of_one(keys, tenant, &said), "me");
	check_text("a link", said, "");
	free(said);

	assert_int_equal(chmod(other, 0666), 0);
	check_text("everybody's", owner_of_one(keys, tenant, &said), "me");
	check_has("everybody's", said, "chmod o-w");
	free(said);
	assert_int_equal(chmod(other, 0644), 0);
	check_text("to be read", owner_of_one(keys, tenant, &said), "me");
	check_text("to be read", said, "");
	free(said);

	large = malloc(LARGE + 1);
	memset(large, '#', LARGE);
	large[LARGE] = '\0';
	file_write(other, large);
	check_text("large", owner_of_one(keys, tenant, &said), "none");
	check_has("large", said, "cannot be read");
	free(said);
	free(large);

	unlink(path);
	check_text("gone again", owner_of_one(keys, tenant, &said), "none");
	free(said);
	free(other);
	keys_free(keys);
}

/* A removed key is refused at once, an added one is accepted at once. */
static void
test_changes(void **state)
{
	struct keys *keys = keys_new(path);
	char tenant[KEYS_TENANT_SIZE], *said;

	(void)state;
	for (int i = 0; i < 20; i++) {
		const char *owner = i % 2 ? "b" : "a";
		char content[128];

		/* Of the same length each time. */
		snprintf(content, sizeof content, "%s sha256:" ONE "\n", owner);
		file_write(path, content);
		/* File times have the resolution of a jiffy. */
		usleep(20000);
		assert_int_equal(chmod(path, 0600), 0);
		check_text("changed", owner_of_one(keys, tenant, &said), owner);
		free(said);
	}
	file_write(path, "a sha256:" TWO "\n");
	check_text("taken out", owner_of_one(keys, tenant, &said), "-");
	free(said);
	keys_free(keys);
}

static void
test_make(void **state)
{
	struct keys *keys = keys_new(path);
	char key[KEYS_KEY_SIZE], tenant[KEYS_TENANT_SIZE], error[ERROR_SIZE], *said;
	struct stat status;

	(void)state;
	unlink(path);
	assert_int_equal(keys_make(path, "new", key, error), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	check_int("made", keys_find(keys, key, tenant), KEYS_KNOWN);
	check_text("made", tenant, "new");

	/* After a last line without a newline, which stays as it was. */
	file_write(path, "me sha256:" ONE);
	assert_int_equal(keys_make(path, "new", key, error), 0);
	check_text("appended", owner_of_one(keys, tenant, &said), "me");
	check_text("appended", said, "");
	free(said);
	check_int("appended", keys_find(keys, key, tenant), KEYS_KNOWN);

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(keys_make(path, "new", key, error), -1);
	check_has("a pipe", error, "cannot be stored");
	unlink(path);
	keys_free(keys);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_make),
	};

	return cmocka_run_group_tests_name("keys", tests, set_up, tear_down);
}
