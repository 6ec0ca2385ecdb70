/*
 * CGI/1.1 (RFC 3875): the request is in the environment and on standard input, the answer goes to
 * standard output. libfcgi is not used here: its set-up installs a signal handler that swallows the
 * SIGTERM by which web servers end a CGI program.
 */
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "text/text.h"

/*
 * SIGTERM: the client has left, or the web server is stopping. The current run must be cancelled.
 */
static volatile sig_atomic_t terminated;

static void
on_terminate(int number)
{
	(void)number;
	terminated = 1;
}

struct cgi_exchange {
	struct exchange exchange;
	long long unread; /* bytes of the body still to come; -1: up to the end of the input */
	bool left;        /* the client no longer waits */
};

static const char *
cgi_variable(struct exchange *exchange, const char *name)
{
	(void)exchange;
	return getenv(name);
}

static char *
cgi_variables(struct exchange *exchange, const char *name)
{
	const char *value = getenv(name);

	(void)exchange;
	return value ? strdup(value) : NULL;
}

static ssize_t
cgi_read(struct exchange *exchange, void *bytes, size_t size)
{
	struct cgi_exchange *self = (struct cgi_exchange *)exchange;
	ssize_t got;

	/*
	 * RFC 3875, 4.2: read no more than was announced. On a terminal or socket, a read would
	 * block.
	 */
	if (self->unread >= 0 && (long long)size > self->unread)
		size = (size_t)self->unread;
	while ((got = read(STDIN_FILENO, bytes, size)) < 0 && errno == EINTR && !terminated)
		;
	if (got > 0 && self->unread >= 0)
		self->unread -= got;
	return got;
}

static int
cgi_write(struct exchange *exchange, const void *bytes, size_t len)
{
	const char *at = bytes;

	(void)exchange;
	while (len > 0) {
		ssize_t done = write(STDOUT_FILENO, at, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		len -= (size_t)done;
	}
	return 0;
}

/* If the reader has gone, a pipe reports POLLERR, a socket POLLHUP. */
static bool
cgi_client_gone(void *arg)
{
	const struct cgi_exchange *self = arg;
	struct pollfd fd = {.fd = STDOUT_FILENO};

	return terminated ||
	    (!self->left && poll(&fd, 1, 0) > 0 && (fd.revents & (POLLERR | POLLHUP)));
}

/* Closes all that the web server watches, so that it considers the program ended. */
static void
let_go(void)
{
	int null = open("/dev/null", O_RDWR);

	/* mod_cgi waits for the end of standard error, mod_cgid for that of standard input. */
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* Web servers kill a CGI program that goes on after its answer, unless they cannot reach it. */
static void
cgi_leave(struct exchange *exchange)
{
	struct cgi_exchange *self = (struct cgi_exchange *)exchange;

	let_go();
	self->left = true;
}

/*
 * The body's length. A POST with a chunked body has none. A POST without a body has none either;
 * its input ends at once.
 */
static long long
body_length(void)
{
	const char *length = getenv("CONTENT_LENGTH"), *method = getenv("REQUEST_METHOD");
	long long announced;

	if (length && parse_number(length, 0, INT64_MAX, &announced) == 0)
		return announced;
	return method && strcmp(method, "POST") == 0 ? -1 : 0;
}

void
server_run_cgi(server_handler_fn *handler, void *arg)
{
	struct cgi_exchange self = {
	    .exchange =
		{
		    .variable = cgi_variable,
		    .variables = cgi_variables,
		    .read = cgi_read,
		    .write = cgi_write,
		    .leave = cgi_leave,
		    .client = {.fd = -1, .raised = cgi_client_gone, .arg = &self},
		},
	    .unread = body_length(),
	};
	const struct sigaction terminate = {.sa_handler = on_terminate};

	signal(SIGPIPE, SIG_IGN);
	/*
	 * Without SA_RESTART, so that it interrupts sleeps. Apache sends SIGKILL 3 seconds later.
	 */
	sigaction(SIGTERM, &terminate, NULL);
	handler(arg, &self.exchange);
}

/* Copies the answer as it comes, until it ends or nobody takes it. */
static void
hand_on(int from)
{
	char piece[16 << 10];
	ssize_t got;

	while ((got = read(from, piece, sizeof piece)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || cgi_write(NULL, piece, (size_t)got) < 0)
			return;
	}
}

bool
server_detach_cgi(server_outlives_fn *outlives, void *arg)
{
	struct cgi_exchange self = {
	    .exchange = {.variable = cgi_variable, .variables = cgi_variables},
	};
	int ends[2];
	pid_t child;

	if (!outlives(arg, &self.exchange) || pipe(ends) < 0)
		return false;
	child = fork();
	if (child > 0) {
		close(ends[1]);
		hand_on(ends[0]);
		_exit(EXIT_SUCCESS);
	}
	if (child == 0) {
		/* A session of its own: signals to the other process group do not reach it. */
		setsid();
		dup2(ends[1], STDOUT_FILENO);
	}
	close(ends[0]);
	close(ends[1]);
	return child == 0;
}

void
server_leave_cgi(void)
{
	/*
	 * Nothing checks the flag from here on. Whatever is left undone, the next process finishes.
	 */
	signal(SIGTERM, SIG_DFL);
	let_go();
}

bool
server_outlive_cgi(void)
{
	pid_t child = fork();

	if (child > 0)
		_exit(EXIT_SUCCESS);
	if (child == 0) {
		setsid();
		server_leave_cgi();
	}
	return child == 0;
}
