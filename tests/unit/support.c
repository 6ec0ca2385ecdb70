#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/interrupt.h"

enum { PIECE_PAUSE_MS = 10, REQUEST_MAX = 4 << 20, ANSWER_MAX = 4 << 20 };

void
check_int(const char *row, long long got, long long expected)
{
	if (got != expected)
		fail_msg("%s: got %lld, expected %lld", row, got, expected);
}

void
check_text(const char *row, const char *got, const char *expected)
{
	if (!got != !expected || (got && strcmp(got, expected) != 0))
		fail_msg("%s: got \"%s\", expected \"%s\"", row, got ? got : "(null)",
		    expected ? expected : "(null)");
}

void
check_has(const char *row, const char *got, const char *part)
{
	if (!got || !strstr(got, part))
		fail_msg("%s: got \"%s\", expected in it \"%s\"", row, got ? got : "(null)", part);
}

/* --- files --- */

char *
folder_new(void)
{
	const char *below = getenv("TMPDIR");
	char *folder = path_in(below && *below ? below : "/tmp", "assistants-unit.XXXXXX");

	assert_non_null(mkdtemp(folder));
	return folder;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)kind;
	(void)where;
	return remove(path);
}

void
folder_remove(char *folder)
{
	assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(folder);
}

char *
path_in(const char *folder, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
	return path;
}

void
file_write(const char *path, const char *content)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* --- standard error --- */

void
capture_start(struct capture *capture)
{
	fflush(stderr);
	capture->file = memfd_create("stderr", MFD_CLOEXEC);
	/* Several threads write at once, as to a log file. */
	assert_int_equal(fcntl(capture->file, F_SETFL, O_APPEND), 0);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->file >= 0 && capture->saved >= 0);
	assert_true(dup2(capture->file, STDERR_FILENO) >= 0);
}

char *
capture_end(struct capture *capture)
{
	off_t len = lseek(capture->file, 0, SEEK_END);
	char *text;

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	assert_true(len >= 0);
	text = calloc(1, (size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(pread(capture->file, text, (size_t)len, 0), len);
	close(capture->file);
	return text;
}

/* --- a request --- */

static const char *
fake_variable(struct exchange *exchange, const char *name)
{
	const struct fake *fake = (const struct fake *)exchange;
	size_t len = strlen(name);

	for (const char *const *at = fake->variables; at && *at; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			return *at + len + 1;
	return NULL;
}

static char *
fake_variables(struct exchange *exchange, const char *name)
{
	const struct fake *fake = (const struct fake *)exchange;
	struct buf all = BUF_INIT(ANSWER_MAX);
	size_t len = strlen(name);

	for (const char *const *at = fake->variables; at && *at; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			buf_printf(&all, "%s%s", all.len ? "," : "", *at + len + 1);
	return all.data ? buf_take(&all) : NULL;
}

static ssize_t
fake_read(struct exchange *exchange, void *bytes, size_t size)
{
	struct fake *fake = (struct fake *)exchange;
	size_t left = fake->body_len - fake->body_at;
	size_t len = left < size ? left : size;

	if (left == 0) {
		fake->ends++;
		return fake->breaks ? -1 : 0;
	}
	if (fake->piece && len > fake->piece)
		len = fake->piece;
	memcpy(bytes, fake->body + fake->body_at, len);
	fake->body_at += len;
	return (ssize_t)len;
}

static int
fake_write(struct exchange *exchange, const void *bytes, size_t len)
{
	struct fake *fake = (struct fake *)exchange;

	return fake->deaf ? -1 : buf_append(&fake->answer, bytes, len);
}

void
fake_init(struct fake *fake, const char *const *variables, const char *body)
{
	*fake = (struct fake){
	    .exchange = {.variable = fake_variable,
		.variables = fake_variables,
		.read = fake_read,
		.write = fake_write},
	    .variables = variables,
	    .body = body,
	    .body_len = body ? strlen(body) : 0,
	    .answer = BUF_INIT(ANSWER_MAX),
	};
	fake->exchange.client.fd = -1;
}

void
fake_free(struct fake *fake)
{
	buf_free(&fake->answer);
}

/* --- a server --- */

/* One thread per connection, because a client may open several at once. */
struct connection {
	struct server *server;
	int fd;
};

/* Waits for data. False: the server is stopping. */
static bool
wait_readable(const struct server *server, int fd)
{
	struct pollfd fds[2] = {
	    {.fd = server->stop[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0)
		;
	return !fds[0].revents;
}

/* Reads one request with its body. False: the client closed before its end. */
static bool
read_request(const struct server *server, int fd, struct buf *request)
{
	char piece[65536];

	buf_drop(request, request->len);
	while (wait_readable(server, fd)) {
		ssize_t got = recv(fd, piece, sizeof piece, 0);
		const char *end, *length;

		if (got <= 0 || buf_append(request, piece, (size_t)got) < 0)
			return false;
		end = strstr(request->data, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(request->data, "\r\ncontent-length:");
		if (!length || length > end ||
		    strlen(end + 4) >= strtoul(length + strlen("\r\ncontent-length:"), NULL, 10))
			return true;
	}
	return false;
}

static const struct server_turn *
next_turn(struct server *server, const struct buf *request)
{
	size_t turn;

	pthread_mutex_lock(&server->lock);
	turn = server->requests++;
	buf_drop(&server->last_request, server->last_request.len);
	buf_append(&server->last_request, request->data, request->len);
	pthread_mutex_unlock(&server->lock);
	return &server->turns[turn < server->turns_len ? turn : server->turns_len - 1];
}

/* False: the connection has ended. */
static bool
take_turn(const struct server *server, int fd, const struct server_turn *turn)
{
	for (size_t i = 0; i < COUNT(turn->pieces) && turn->pieces[i]; i++) {
		const char *piece = turn->pieces[i];
		size_t len = strlen(piece);

		if (i > 0)
			interrupt_sleep(NULL, PIECE_PAUSE_MS);
		if (send(fd, piece, len, MSG_NOSIGNAL) != (ssize_t)len)
			return false;
	}
	if (turn->then == SERVER_HOLD)
		wait_readable(server, fd);
	if (turn->then == SERVER_VANISH)
		shutdown(server->listener, SHUT_RD);
	return turn->then == SERVER_KEEP;
}

/*
 * Reads what is left: closing with unread data would reset the connection, and the client might
 * lose the answer.
 */
static void
end_connection(int fd)
{
	struct timeval patience = {.tv_usec = 200000};
	char rest[4096];

	shutdown(fd, SHUT_WR);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (recv(fd, rest, sizeof rest, 0) > 0)
		;
	close(fd);
}

static void *
serve(void *arg)
{
	struct connection connection = *(struct connection *)arg;
	struct server *server = connection.server;
	struct buf request = BUF_INIT(REQUEST_MAX);

	free(arg);
	while (read_request(server, connection.fd, &request))
		if (!take_turn(server, connection.fd, next_turn(server, &request)))
			break;
	end_connection(connection.fd);
	buf_free(&request);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct server *server = arg;
	int yes = 1;

	while (wait_readable(server, server->listener) &&
	    server->connections < SERVER_CONNECTIONS_MAX) {
		struct connection *connection = malloc(sizeof *connection);

		if (!connection)
			abort();
		*connection = (struct connection){server, accept(server->listener, NULL, NULL)};
		if (connection->fd < 0) {
			free(connection);
			break;
		}
		/* Each piece must be a segment of its own. */
		setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		if (pthread_create(
			&server->threads[server->connections++], NULL, serve, connection) != 0)
			abort();
	}
	return NULL;
}

static int
bind_somewhere(unsigned *port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = 0};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

void
server_start(struct server *server, const struct server_turn *turns, size_t turns_len)
{
	unsigned port;

	*server = (struct server){
	    .turns = turns, .turns_len = turns_len, .last_request = BUF_INIT(REQUEST_MAX)};
	server->listener = bind_somewhere(&port);
	/*
	 * A port that is bound but not listening belongs to no one else, and refuses connections.
	 */
	if (turns)
		assert_int_equal(listen(server->listener, SERVER_CONNECTIONS_MAX), 0);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", port);
	assert_int_equal(pipe(server->stop), 0);
	pthread_mutex_init(&server->lock, NULL);
	if (turns)
		assert_int_equal(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
}

void
server_stop(struct server *server)
{
	close(server->stop[1]);
	if (server->turns)
		pthread_join(server->acceptor, NULL);
	for (unsigned i = 0; i < server->connections; i++)
		pthread_join(server->threads[i], NULL);
	close(server->stop[0]);
	close(server->listener);
	pthread_mutex_destroy(&server->lock);
}

void
server_free(struct server *server)
{
	buf_free(&server->last_request);
}
