/*
 * FastCGI by libfcgi's fcgiapp. Each worker thread accepts, answers and finishes; one starts the
 * next when the last idle one takes a request, so that there is always one in accept, up to the
 * maximum.
 */
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/interrupt.h"
#include "util/log.h"
#include "util/text.h"

enum {
	LISTEN_BACKLOG = 1024,
	ACCEPT_PAUSE_MS = 100,
	KICK_STEP_MS = 20,
	/* After the grace, for interrupted requests to write their end. */
	FAREWELL_MS = 5000,
#ifdef __SANITIZE_ADDRESS__
	STACK_SIZE = 2 << 20
#else
	STACK_SIZE = 256 << 10
#endif
};

struct worker {
	struct server *server;
	pthread_t thread;
	bool accepting; /* in FCGX_Accept_r, and may be kicked out of it; under the server's lock */
};

struct server {
	int fd;
	unsigned workers_max;
	server_handler_fn *handler;
	void *arg;
	/* Workers that start, take a request or end, and the end of the program, race for what
	 * follows. */
	pthread_mutex_t lock;
	struct worker *workers;
	unsigned workers_len; /* started */
	unsigned idle;
	unsigned alive;
	atomic_bool stopping; /* nothing is accepted any more */
	atomic_bool stop_now; /* requests in flight are interrupted */
};

struct fastcgi_exchange {
	struct exchange exchange;
	struct server *server;
	FCGX_Request *request;
};

static void start_worker(struct server *server);

bool
server_inherits_socket(void)
{
	int listening = 0;
	socklen_t len = sizeof listening;

	/* FCGX_IsCGI() is wrong about some sockets, and swallows SIGTERM for a CGI program. */
	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
	       listening;
}

static int
listen_unix(const char *path, mode_t mode, char *error, size_t error_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, bound;

	if (strlen(path) >= sizeof address.sun_path) {
		snprintf(error, error_size, "the socket's path %s is longer than %zu bytes", path,
		    sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		snprintf(error, error_size, "another program answers on the socket %s", path);
		close(fd);
		return -1;
	}
	/* Nobody answers there: a socket that a killed program left behind. */
	if (errno == ECONNREFUSED)
		unlink(path);
	mask = umask(0777 & ~mode);
	bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (bound < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		snprintf(
		    error, error_size, "cannot listen on the socket %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* The address and port of "127.0.0.1:9000" or "[::1]:9000". */
static int
parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	char host[64];
	long long port;
	size_t host_len;

	if (!colon || parse_number(colon + 1, 1, 65535, &port) < 0)
		return -1;
	host_len = (size_t)(colon - text);
	if (host_len >= sizeof host)
		return -1;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	*address = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		*len = sizeof *in;
		return 0;
	}
	if (host[0] != '[' || host[host_len - 1] != ']')
		return -1;
	host[host_len - 1] = '\0';
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	*len = sizeof *in6;
	return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 ? 0 : -1;
}

static int
listen_inet(const char *text, char *error, size_t error_size)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, one = 1;

	if (parse_address(text, &address, &len) < 0) {
		snprintf(error, error_size,
		    "--listen %s: accepted are unix:/path, 127.0.0.1:9000 and [::1]:9000", text);
		return -1;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int
server_listen(const char *address, mode_t mode, char *error, size_t error_size)
{
	if (strncmp(address, "unix:/", 6) == 0)
		return listen_unix(address + 5, mode, error, error_size);
	return listen_inet(address, error, error_size);
}

void
server_unlisten(const char *address)
{
	if (strncmp(address, "unix:/", 6) == 0)
		unlink(address + 5);
}

static const char *
fastcgi_variable(struct exchange *exchange, const char *name)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;

	return FCGX_GetParam(name, self->request->envp);
}

static ssize_t
fastcgi_read(struct exchange *exchange, void *bytes, size_t size)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;
	int got = FCGX_GetStr(bytes, (int)(size < INT16_MAX ? size : INT16_MAX), self->request->in);

	if (got <= 0 && FCGX_GetError(self->request->in) != 0)
		return -1;
	return got;
}

static int
fastcgi_write(struct exchange *exchange, const void *bytes, size_t len)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;
	FCGX_Stream *out = self->request->out;
	const char *at = bytes;

	while (len > 0) {
		int piece = (int)(len < INT16_MAX ? len : INT16_MAX);

		if (FCGX_PutStr(at, piece, out) != piece)
			return -1;
		at += piece;
		len -= (size_t)piece;
	}
	FCGX_FFlush(out);
	/* FCGX_FFlush() itself says only once that it failed. */
	return FCGX_GetError(out) == 0 ? 0 : -1;
}

/* Unread body makes the socket readable, so only its other end's going away counts. */
static bool
fastcgi_client_gone(void *arg)
{
	struct fastcgi_exchange *self = arg;
	struct pollfd fd = {.fd = self->request->ipcFd, .events = POLLRDHUP};

	if (atomic_load(&self->server->stop_now) || FCGX_GetError(self->request->out) != 0)
		return true;
	return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void
answer(struct server *server, FCGX_Request *request)
{
	struct fastcgi_exchange self = {
	    .exchange =
		{
		    .variable = fastcgi_variable,
		    .read = fastcgi_read,
		    .write = fastcgi_write,
		    .client = {.fd = request->ipcFd, .raised = fastcgi_client_gone},
		},
	    .server = server,
	    .request = request,
	};

	self.exchange.client.arg = &self;
	server->handler(server->arg, &self.exchange);
	/* A connection that the web server keeps open and idle would keep this worker. */
	request->keepConnection = 0;
	FCGX_Finish_r(request);
}

/* A request has come, or none any more: whether this worker goes on. */
static bool
accepted(struct worker *worker, FCGX_Request *request)
{
	struct server *server = worker->server;
	int result;

	pthread_mutex_lock(&server->lock);
	server->idle++;
	worker->accepting = true;
	pthread_mutex_unlock(&server->lock);

	while (!atomic_load(&server->stopping)) {
		result = FCGX_Accept_r(request);
		if (result == 0 || atomic_load(&server->stopping))
			break;
		/* Too many open files, say: that passes. */
		log_error("no request could be accepted: %s", strerror(-result));
		interrupt_sleep(NULL, ACCEPT_PAUSE_MS);
	}

	pthread_mutex_lock(&server->lock);
	worker->accepting = false;
	server->idle--;
	if (server->idle == 0 && !atomic_load(&server->stopping))
		start_worker(server);
	pthread_mutex_unlock(&server->lock);
	return request->in != NULL;
}

static void *
work(void *arg)
{
	struct worker *worker = arg;
	struct server *server = worker->server;
	FCGX_Request request;

	FCGX_InitRequest(&request, server->fd, 0);
	while (!atomic_load(&server->stopping) && accepted(worker, &request))
		answer(server, &request);
	FCGX_Free(&request, 1);
	pthread_mutex_lock(&server->lock);
	server->alive--;
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* With the lock held. Failing is no harm while another worker lives. */
static void
start_worker(struct server *server)
{
	struct worker *worker = &server->workers[server->workers_len];
	pthread_attr_t attr;
	int error;

	if (server->workers_len == server->workers_max)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	worker->server = server;
	error = pthread_create(&worker->thread, &attr, work, worker);
	pthread_attr_destroy(&attr);
	if (error != 0) {
		log_warn("a worker thread could not be started, %u are there: %s",
		    server->workers_len, strerror(error));
		return;
	}
	server->workers_len++;
	server->alive++;
}

static void
kicked(int signal)
{
	(void)signal;
}

/*
 * Wakes the workers that wait in accept(), until none does. One that began to accept just before
 * `stopping` was set may sleep after the first signal, hence again and again, in growing steps: the
 * same signal would cut short the read of a request that comes right now. How many still live after
 * `wait_ms`.
 */
static unsigned
end_workers(struct server *server, long long wait_ms)
{
	long long end = clock_ms() + wait_ms, pause_ms = 1;
	unsigned alive;

	for (;;) {
		pthread_mutex_lock(&server->lock);
		alive = server->alive;
		for (unsigned i = 0; i < server->workers_len; i++)
			if (server->workers[i].accepting)
				pthread_kill(server->workers[i].thread, SIGUSR2);
		pthread_mutex_unlock(&server->lock);
		if (alive == 0 || clock_ms() >= end)
			return alive;
		interrupt_sleep(NULL, pause_ms);
		if (pause_ms < KICK_STEP_MS)
			pause_ms *= 2;
	}
}

static void
fill_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGUSR1);
}

void
server_block_signals(void)
{
	sigset_t signals;

	fill_signals(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
wait_for_end(void)
{
	sigset_t signals;
	int signal;

	fill_signals(&signals);
	do
		sigwait(&signals, &signal);
	while (signal == SIGUSR1);
}

static void
server_free(struct server *server)
{
	if (!server)
		return;
	pthread_mutex_destroy(&server->lock);
	free(server->workers);
	free(server);
}

static struct server *
server_new(int fd, unsigned workers, server_handler_fn *handler, void *arg)
{
	struct server *server = calloc(1, sizeof *server);

	if (!server)
		return NULL;
	server->fd = fd;
	server->workers_max = workers;
	server->handler = handler;
	server->arg = arg;
	pthread_mutex_init(&server->lock, NULL);
	server->workers = calloc(workers, sizeof *server->workers);
	if (server->workers)
		return server;
	server_free(server);
	return NULL;
}

int
server_run_fastcgi(
    int fd, unsigned workers, unsigned grace_s, server_handler_fn *handler, void *arg)
{
	struct sigaction kick = {.sa_handler = kicked};
	struct server *server = server_new(fd, workers, handler, arg);

	if (!server || FCGX_Init() != 0) {
		log_error("FastCGI cannot start");
		server_free(server);
		return -1;
	}
	sigaction(SIGUSR2, &kick, NULL);
	pthread_mutex_lock(&server->lock);
	start_worker(server);
	pthread_mutex_unlock(&server->lock);
	if (server->workers_len == 0) {
		server_free(server);
		return -1;
	}
	wait_for_end();
	atomic_store(&server->stopping, true);
	FCGX_ShutdownPending();
	if (end_workers(server, (long long)grace_s * 1000) > 0) {
		atomic_store(&server->stop_now, true);
		if (end_workers(server, FAREWELL_MS) > 0)
			return 1;
	}
	for (unsigned i = 0; i < server->workers_len; i++)
		pthread_join(server->workers[i].thread, NULL);
	server_free(server);
	return 0;
}
