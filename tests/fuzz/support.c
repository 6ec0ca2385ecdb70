#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

#include "model/model.h"
#include "obs/log.h"

static int report_fd = STDERR_FILENO;
static char *folder;

__attribute__((constructor)) static void
prepare(void)
{
	/* tools/fuzz.sh lets libFuzzer close standard error, against the flood of log lines. */
	report_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	/* Log everything, so that the logger is tested, too. */
	log_set_level(LOG_LEVEL_DEBUG);
}

void
finding(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	dprintf(report_fd, "FINDING: ");
	vdprintf(report_fd, format, args);
	dprintf(report_fd, "\n");
	va_end(args);
	abort();
}

char *
text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)kind;
	(void)where;
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(folder);
}

const char *
folder_new(void)
{
	const char *below = getenv("TMPDIR");

	folder = path_in(below && *below ? below : "/tmp", "assistants-fuzz.XXXXXX");
	CHECK(mkdtemp(folder));
	CHECK(atexit(remove_folder) == 0);
	return folder;
}

char *
path_in(const char *in, const char *name)
{
	char *path;

	CHECK(asprintf(&path, "%s/%s", in, name) > 0);
	return path;
}

void
file_write(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

/* --- the database --- */

const char gateways_own[] = "the gateway's own";

#define CONTENT(words)                                                                             \
	"'[{\"type\":\"text\",\"text\":{\"value\":\"" words "\",\"annotations\":[]}}]'"
#define YEAR_2100 "4102444800"

static const char *const contents[] = {
    "DELETE FROM assistants",
    "DELETE FROM threads",
    "INSERT INTO assistants (seq, id, tenant, created_at, body) VALUES "
    "(1, 'asst_g', 'gateway', 1, "
    "'{\"name\":\"assistants-fcgi\",\"model\":\"m\",\"instructions\":\"the gateway''s own\"}'), "
    "(2, 'asst_a', 'api', 2, '{\"name\":\"a\",\"model\":\"m\",\"tools\":[],\"metadata\":{}}')",
    "INSERT INTO threads (seq, id, tenant, created_at, body) VALUES "
    "(1, 'thread_g', 'gateway', 1, '{\"metadata\":{\"a\":\"the gateway''s own\"}}'), "
    "(2, 'thread_a', 'api', 2, '{\"metadata\":{}}'), "
    "(3, 'thread_b', 'api', 3, '{\"metadata\":{}}')",
    "INSERT OR REPLACE INTO run_options (seq, hash, body) VALUES (1, '', '{\"model\":\"m\"}')",
    "INSERT INTO runs (seq, id, thread, assistant_id, created_at, expires_at, status, options) "
    "VALUES "
    "(1, 'run_b', 3, 'asst_a', 1, " YEAR_2100 ", 'requires_action', 1)",
    "INSERT INTO messages (seq, id, thread, created_at, role, content, body) VALUES "
    "(1, 'msg_g', 1, 1, 'user', " CONTENT(
	"the gateway''s own") ", '{}'), "
			      "(2, 'msg_a', 2, 2, 'user', " CONTENT(
				  "Hello") ", '{}'), "
					   "(3, 'msg_b', 3, 3, 'user', " CONTENT(
					       "Hello") ", '{}'), "
							"(4, 'msg_c', 2, 4, 'user', " CONTENT(
							    "Hello?") ", '{}'), "
								      "(5, 'msg_d', 2, 5, "
								      "'user', " CONTENT(
									  "Hello!") ", '{}')",
};

void
state_open(struct state *state)
{
	char error[ERROR_SIZE];
	struct model *model = model_offline_new();
	char *path;

	state->folder = folder_new();
	path = path_in(state->folder, "assistants.db");
	state->db = db_open(path, false, error);
	free(path);
	if (!state->db)
		finding("%s", error);
	state->api = api_new(state->db, model, state->folder, 600, 100000);
	CHECK(model && state->api);
	state_reset(state);
}

void
state_reset(struct state *state)
{
	struct db_tx *tx = db_begin(state->db, DB_WRITE);

	CHECK(tx);
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct db_stmt *stmt = db_prepare(tx, contents[i]);

		CHECK(db_finish(stmt, db_step(stmt)) == DB_DONE);
	}
	CHECK(db_commit(tx) == 0);
}
