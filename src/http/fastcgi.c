/*
 * FastCGI by libfcgi's fcgiapp. Each worker thread accepts, answers and finishes. When the last
 * idle worker takes a connection it starts another, up to the maximum, so that one is always in
 * accept(). Workers left over from a peak end. accept() serves waiting threads in turn, so each
 * works now and then even if few are needed. What counts is how many were idle all the time.
 *
 * accept() is called here, not by libfcgi. libfcgi would go on to read the request, so a silent
 * connection would count as an idle worker. libfcgi is given each connection as if it had been kept
 * open.
 */
#include "http/server.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "text/buf.h"

enum {
	ACCEPT_PAUSE_MS = 100,
	COMPLAINT_PAUSE_MS = 60000,
	IDLE_KEPT = 8,
	KICK_STEP_MS = 20,
	/*
	 * A web server that sends nothing for this long in the middle of a request, or takes
	 * nothing of an answer, has given it up.
	 */
	READ_TIMEOUT_S = 60,
	HURRIED_WAIT_MS = 100,
	VARIABLES_MAX = 64 << 10,
	READ_GRACE_MS = 1000, /* for requests that are arriving when the program must end */
	/* After the grace: for interrupted requests to cancel their runs and answer. */
	FAREWELL_MS = 15000,
#ifdef __SANITIZE_ADDRESS__
	STACK_SIZE = 2 << 20
#else
	STACK_SIZE = 256 << 10
#endif
};

enum worker_state { WORKER_NONE, WORKER_RUNS, WORKER_ENDED /* to be joined */ };

struct worker {
	struct server *server;
	enum worker_state state;
	pthread_t thread;
	bool accepting; /* in accept(); a signal may interrupt it */
	int reading;    /* the connection whose request is being read; -1: none */
	bool last;      /* the last one left over from a peak */
};

struct server {
	int fd;
	bool owned; /* the socket is open, and this program's alone */
	const struct server_options *options;
	atomic_llong complaint_ms; /* before this time a failing accept() is not logged again */
	/*
	 * Workers that start, take a request or end race with each other and with the program's
	 * end, for all that follows and for the state of each worker.
	 */
	pthread_mutex_t lock;
	struct worker *workers;
	unsigned workers_len; /* the most there have been */
	unsigned alive;
	unsigned idle;
	unsigned idle_least; /* the lowest value in the period that ends at period_ms */
	unsigned surplus;    /* workers that were idle all of the last period, and may end */
	long long period_ms;
	atomic_uint missing;  /* workers that the system would not start */
	atomic_bool stopping; /* nothing more is accepted */
	atomic_bool stop_now; /* requests under way are interrupted */
};

struct fastcgi_exchange {
	struct exchange exchange;
	struct server *server;
	FCGX_Request *request;
	bool left;
};

static void start_worker(struct server *server);

bool
server_inherits_socket(void)
{
	int listening = 0;
	socklen_t len = sizeof listening;

	/* Not FCGX_IsCGI(): it is wrong about some sockets, and swallows SIGTERM in CGI. */
	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
	    listening;
}

static const char *
fastcgi_variable(struct exchange *exchange, const char *name)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;

	return FCGX_GetParam(name, self->request->envp);
}

static char *
fastcgi_variables(struct exchange *exchange, const char *name)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;
	struct buf all = BUF_INIT(VARIABLES_MAX);
	size_t len = strlen(name);

	for (char **at = self->request->envp; *at; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			buf_printf(&all, "%s%s", all.len ? "," : "", *at + len + 1);
	return all.data ? buf_take(&all) : NULL;
}

/* FCGX_GetStr() waits for as many bytes as it is asked for, so ask for those that are there. */
static ssize_t
fastcgi_read(struct exchange *exchange, void *bytes, size_t size)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;
	const struct timeval moment = {.tv_usec = HURRIED_WAIT_MS * 1000};
	FCGX_Stream *in = self->request->in;
	ptrdiff_t there;
	int first;

	if (exchange->hurried)
		setsockopt(self->request->ipcFd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
	first = FCGX_GetChar(in);
	there = in->stop - in->rdNext;
	if (first < 0)
		return FCGX_GetError(in) != 0 ? -1 : 0;
	*(char *)bytes = (char)first;
	if ((size_t)there > size - 1)
		there = (ptrdiff_t)size - 1;
	return 1 + FCGX_GetStr((char *)bytes + 1, (int)there, in);
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
	/* FCGX_FFlush() reports a failure only once. */
	return FCGX_GetError(out) == 0 ? 0 : -1;
}

/* An unread body makes the socket readable, so only a hang-up counts. */
static bool
fastcgi_client_gone(void *arg)
{
	struct fastcgi_exchange *self = arg;
	struct pollfd fd = {.fd = self->request->ipcFd, .events = POLLRDHUP};

	if (atomic_load(&self->server->stop_now))
		return true;
	if (self->left)
		return false;
	if (FCGX_GetError(self->request->out) != 0)
		return true;
	return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/*
 * Most web servers treat an answer without FastCGI's end record as broken. nginx does not need that
 * record, so it gets one with an impossible version.
 */
static void
fastcgi_break_off(struct exchange *exchange)
{
	static const unsigned char no_record[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;
	int fd = self->request->ipcFd;

	if (send(fd, no_record, sizeof no_record, MSG_NOSIGNAL) >= 0)
		shutdown(fd, SHUT_RDWR);
}

/* The descriptor stays open: an interrupt that watches it must not watch another connection. */
static void
fastcgi_leave(struct exchange *exchange)
{
	struct fastcgi_exchange *self = (struct fastcgi_exchange *)exchange;

	FCGX_FClose(self->request->err);
	FCGX_FClose(self->request->out);
	shutdown(self->request->ipcFd, SHUT_RDWR);
	self->left = true;
}

static void
answer(struct server *server, FCGX_Request *request)
{
	struct fastcgi_exchange self = {
	    .exchange =
		{
		    .variable = fastcgi_variable,
		    .variables = fastcgi_variables,
		    .read = fastcgi_read,
		    .write = fastcgi_write,
		    .break_off = fastcgi_break_off,
		    .leave = fastcgi_leave,
		    .client = {.fd = request->ipcFd, .raised = fastcgi_client_gone},
		    .workers_missing = atomic_load(&server->missing),
		},
	    .server = server,
	    .request = request,
	};

	self.exchange.client.arg = &self;
	server->options->handler(server->options->arg, &self.exchange);
	/*
	 * A connection that the web server keeps open would occupy this worker. libfcgi's own close
	 * waits up to two seconds for the web server to close, because bytes that still arrive
	 * could make the system drop the answer. That is pointless once the request was read to its
	 * end, and too long if it is hurried.
	 */
	if (FCGX_HasSeenEOF(request->in) || self.exchange.hurried) {
		FCGX_FClose(request->err);
		FCGX_FClose(request->out);
		close(request->ipcFd);
		request->ipcFd = -1;
	}
	FCGX_Finish_r(request);
	if (request->ipcFd >= 0)
		close(request->ipcFd);
	request->ipcFd = -1;
}

/* For example too many open files: that passes, and many workers see it again and again. */
static void
complain(struct server *server, int error)
{
	long long due = atomic_load(&server->complaint_ms), now = clock_ms();

	if (now >= due &&
	    atomic_compare_exchange_strong(&server->complaint_ms, &due, now + COMPLAINT_PAUSE_MS))
		log_error("no connection could be accepted: %s", strerror(error));
}

/* -1: none came within idle_s, or the program is ending. */
static int
wait_for_connection(struct server *server)
{
	while (!atomic_load(&server->stopping)) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0 || errno == EAGAIN)
			return fd;
		if (errno == EINTR || errno == ECONNABORTED || atomic_load(&server->stopping))
			continue;
		complain(server, errno);
		interrupt_sleep(NULL, ACCEPT_PAUSE_MS);
	}
	return -1;
}

/* Whether an idle worker may end. With the lock held. */
static bool
is_surplus(struct worker *worker)
{
	struct server *server = worker->server;
	long long now = clock_ms();

	if (now >= server->period_ms) {
		server->surplus =
		    server->idle_least > IDLE_KEPT ? server->idle_least - IDLE_KEPT : 0;
		server->idle_least = server->idle;
		server->period_ms = now + (long long)server->options->idle_s * 1000;
		/* The system may have threads again by now. */
		atomic_store(&server->missing, 0);
	}
	if (server->surplus == 0)
		return false;
	worker->last = --server->surplus == 0;
	return true;
}

/* The next connection. -1: the program is ending, or this worker is no longer needed. */
static int
accept_connection(struct worker *worker)
{
	struct server *server = worker->server;
	const struct timeval timeout = {.tv_sec = READ_TIMEOUT_S};
	int fd = -1;

	pthread_mutex_lock(&server->lock);
	server->idle++;
	worker->accepting = true;
	while (fd < 0 && !atomic_load(&server->stopping) && !is_surplus(worker)) {
		pthread_mutex_unlock(&server->lock);
		fd = wait_for_connection(server);
		pthread_mutex_lock(&server->lock);
	}
	worker->accepting = false;
	worker->reading = fd;
	server->idle--;
	if (server->idle < server->idle_least)
		server->idle_least = server->idle;
	if (server->idle == 0 && !atomic_load(&server->stopping))
		start_worker(server);
	pthread_mutex_unlock(&server->lock);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	}
	return fd;
}

/* With the lock held. Joining frees the stacks of ended threads. */
static void
join_ended(struct server *server)
{
	for (unsigned i = 0; i < server->workers_len; i++) {
		if (server->workers[i].state != WORKER_ENDED)
			continue;
		pthread_join(server->workers[i].thread, NULL);
		server->workers[i].state = WORKER_NONE;
	}
}

/*
 * Whether the worker ends. If a new peak has begun, it is needed again. The last worker left over
 * from a peak returns memory to the system, which takes a while.
 */
static bool
end_worker(struct worker *worker)
{
	struct server *server = worker->server;
	bool ends;

	if (worker->last && !atomic_load(&server->stopping))
		malloc_trim(0);
	pthread_mutex_lock(&server->lock);
	ends = server->idle > 0 || atomic_load(&server->stopping);
	if (ends) {
		join_ended(server);
		server->alive--;
		worker->state = WORKER_ENDED;
	}
	pthread_mutex_unlock(&server->lock);
	return ends;
}

static void *
work(void *arg)
{
	struct worker *worker = arg;
	struct server *server = worker->server;
	FCGX_Request request;
	int fd;

	/*
	 * Without a listening socket, because libfcgi would accept the next connection after a bad
	 * one.
	 */
	FCGX_InitRequest(&request, -1, 0);
	do {
		while ((fd = accept_connection(worker)) >= 0) {
			bool whole;

			request.ipcFd = fd;
			request.keepConnection = 1;
			whole = FCGX_Accept_r(&request) == 0;
			pthread_mutex_lock(&server->lock);
			worker->reading = -1;
			pthread_mutex_unlock(&server->lock);
			if (whole)
				answer(server, &request);
		}
	} while (!end_worker(worker));
	return NULL;
}

/* With the lock held: a free entry for one more worker; NULL: none. */
static struct worker *
free_place(struct server *server)
{
	struct worker *worker = server->workers, *end = worker + server->workers_len;

	join_ended(server);
	while (worker < end && worker->state == WORKER_RUNS)
		worker++;
	if (worker < end)
		return worker;
	if (server->workers_len == server->options->workers)
		return NULL;
	server->workers_len++;
	return worker;
}

/* With the lock held. If the system refuses a thread, no more are started in this period. */
static void
start_worker(struct server *server)
{
	struct worker *worker = atomic_load(&server->missing) == 0 ? free_place(server) : NULL;
	pthread_attr_t attr;
	int error;

	if (!worker)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	worker->server = server;
	worker->reading = -1;
	worker->last = false;
	error = pthread_create(&worker->thread, &attr, work, worker);
	pthread_attr_destroy(&attr);
	if (error != 0) {
		atomic_store(&server->missing, server->options->workers - server->alive);
		log_warn("a worker thread could not be started, %u are running: %s", server->alive,
		    strerror(error));
		return;
	}
	worker->state = WORKER_RUNS;
	server->alive++;
}

static void
kicked(int signal)
{
	(void)signal;
}

/*
 * With the lock held. Wakes workers in accept() and, after a moment, those that wait for the rest
 * of a request. True if one was still in accept(): it may have checked `stopping` just before it
 * was set, and gone to sleep after the first signal.
 */
static bool
wake_workers(struct server *server, bool patient)
{
	bool accepting = false;

	for (unsigned i = 0; i < server->workers_len; i++) {
		struct worker *worker = &server->workers[i];

		if (worker->accepting) {
			accepting = true;
			pthread_kill(worker->thread, SIGUSR2);
		} else if (worker->reading >= 0 && !patient) {
			shutdown(worker->reading, SHUT_RD);
		}
	}
	return accepting;
}

/* Waits for the workers to end. Returns how many are left after `wait_ms`. */
static unsigned
end_workers(struct server *server, long long wait_ms)
{
	long long start = clock_ms(), pause_ms = 1;
	unsigned alive;

	for (;;) {
		long long waited_ms = clock_ms() - start;

		pthread_mutex_lock(&server->lock);
		alive = server->alive;
		if (!wake_workers(server, waited_ms < READ_GRACE_MS) && server->owned) {
			/*
			 * No worker uses it any more. Closing also refuses the connections in its
			 * queue.
			 */
			close(server->fd);
			server->owned = false;
		}
		pthread_mutex_unlock(&server->lock);
		if (alive == 0 || waited_ms >= wait_ms)
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
server_new(int fd, const struct server_options *options)
{
	struct server *server = calloc(1, sizeof *server);

	if (!server)
		return NULL;
	server->fd = fd;
	server->options = options;
	pthread_mutex_init(&server->lock, NULL);
	server->workers = calloc(options->workers, sizeof *server->workers);
	if (server->workers)
		return server;
	server_free(server);
	return NULL;
}

/* Accepts nothing more. If the socket is ours alone, clients learn that at once. */
static void
stop_accepting(struct server *server, const char *address)
{
	atomic_store(&server->stopping, true);
	if (!address)
		return;
	/*
	 * Remove our file first: after shutdown() a new program may have put its own in its place.
	 */
	if (strncmp(address, "unix:/", 6) == 0)
		unlink(address + 5);
	shutdown(server->fd, SHUT_RD);
	server->owned = true;
}

int
server_run_fastcgi(int fd, const char *address, const struct server_options *options)
{
	const struct timeval idle = {.tv_sec = options->idle_s};
	struct sigaction kick = {.sa_handler = kicked};
	struct server *server = server_new(fd, options);
	bool started;

	if (!server || FCGX_Init() != 0) {
		log_error("FastCGI cannot start");
		server_free(server);
		return -1;
	}
	sigaction(SIGUSR2, &kick, NULL);
	/* This also limits accept(), unless the socket was opened as non-blocking. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	pthread_mutex_lock(&server->lock);
	start_worker(server);
	started = server->alive > 0;
	pthread_mutex_unlock(&server->lock);
	if (!started) {
		server_free(server);
		return -1;
	}
	wait_for_end();
	stop_accepting(server, address);
	if (end_workers(server, (long long)options->grace_s * 1000) > 0) {
		atomic_store(&server->stop_now, true);
		if (end_workers(server, FAREWELL_MS) > 0)
			return 1;
	}
	join_ended(server);
	server_free(server);
	return 0;
}
