/*
 * How requests arrive: by FastCGI, from a listening socket, in worker threads; or by CGI, one
 * request in the environment and on standard input. Only this folder uses libfcgi.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "http/exchange.h"

/* Answers one request. */
typedef void server_handler_fn(void *arg, struct exchange *exchange);

/* Whether descriptor 0 is a listening socket: a web server started us for FastCGI. */
bool server_inherits_socket(void);

/*
 * Opens a listening socket: "unix:/path" with `mode`, or "127.0.0.1:9000", "[::1]:9000". A stale
 * Unix socket is replaced, one that answers is not. -1 with a sentence in `error`.
 */
int server_listen(const char *address, mode_t mode, char *error, size_t error_size);

struct server_options {
	unsigned workers; /* the most threads */
	unsigned idle_s;  /* seconds; threads idle for this long end, those of a peak within twice
			     the time */
	unsigned grace_s; /* seconds for requests under way when the program must end */
	server_handler_fn *handler;
	void *arg;
};

/*
 * Answers requests from `fd`, in threads that start as needed, until SIGTERM or SIGINT. Then
 * nothing more is accepted; requests under way may finish, and after the grace they are
 * interrupted. `address` is what server_listen() opened `fd` from; its socket is closed and removed
 * then. NULL: an inherited socket, which other processes may share. 0. -1: could not start, logged.
 * 1: a request did not end even then; its thread still uses its data, so the program must exit
 * without freeing that.
 */
int server_run_fastcgi(int fd, const char *address, const struct server_options *options);

/*
 * Blocks the signals that server_run_fastcgi() waits for. Call it before other threads start, so
 * that they do not receive them.
 */
void server_block_signals(void);

/* Answers the one request of a CGI program. */
void server_run_cgi(server_handler_fn *handler, void *arg);

/*
 * Forks a process for a CGI request whose work may go on after its answer, because web servers kill
 * a CGI program when its client leaves. The process that the web server knows stays and copies the
 * answer. Returns in the new process. Call it before any thread is started and any file opened.
 * False: `outlives` says no, or the fork failed; there is still only one process.
 */
typedef bool server_outlives_fn(void *arg, struct exchange *exchange);
bool server_detach_cgi(server_outlives_fn *outlives, void *arg);

/* The answer is complete: lets the web server stop waiting for this process. Logging ends, too. */
void server_leave_cgi(void);

/*
 * The same by a fork, for a web server that kills a process which goes on after its answer; returns
 * in the new process. Call it with a single thread, and nothing open that a fork would harm. False:
 * the fork failed.
 */
bool server_outlive_cgi(void);

#endif
