/*
 * How requests reach the program: by FastCGI, over a listening socket, in worker threads; or by
 * CGI, one request in environment and standard input. libfcgi is known here only.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "http/exchange.h"

/* Answers one request, start to end. */
typedef void server_handler_fn(void *arg, struct exchange *exchange);

/* Whether descriptor 0 is a listening socket, so that a web server started us for FastCGI. */
bool server_inherits_socket(void);

/*
 * Opens a listening socket: "unix:/path" with mode `mode` (a stale socket is replaced, one that
 * answers is not) or "127.0.0.1:9000", "[::1]:9000". -1 with a sentence in `error`.
 */
int server_listen(const char *address, mode_t mode, char *error, size_t error_size);

struct server_options {
	unsigned workers; /* threads at most */
	unsigned
	    idle_s; /* threads that were idle for so long end: a peak's within twice the time */
	unsigned grace_s; /* seconds that requests in flight have when the program must end */
	server_handler_fn *handler;
	void *arg;
};

/*
 * Answers requests from `fd`, in threads that start as they are needed, until SIGTERM or SIGINT.
 * Then no more are accepted, and those in flight may finish; what still runs after the grace is
 * interrupted. `address` is what server_listen() opened `fd` from, and is closed and removed then;
 * NULL for an inherited socket, which other processes may share. 0; -1 when it could not start
 * (logged); 1 when a request did not end even then: its thread still uses what it was given, and
 * the program must end without freeing that.
 */
int server_run_fastcgi(int fd, const char *address, const struct server_options *options);

/*
 * Blocks the signals that server_run_fastcgi() waits for; threads started afterwards leave them to
 * it.
 */
void server_block_signals(void);

/* Answers the one request of a CGI program. */
void server_run_cgi(server_handler_fn *handler, void *arg);

/*
 * Makes a process of its own for a CGI request whose work may outlive it: web servers end a CGI
 * program when its client leaves. The process that they know stays behind, and hands the answer on.
 * Returns in the new one; before any thread is started and any file opened. False when the
 * request's work does not outlive it, by `outlives`, or none could be made: this is still the only
 * one.
 */
typedef bool server_outlives_fn(void *arg, struct exchange *exchange);
bool server_detach_cgi(server_outlives_fn *outlives, void *arg);

/* The answer is complete: the web server need not wait for this process any more. Ends the log,
 * too. */
void server_leave_cgi(void);

/*
 * The same by a process of its own, in which it returns: web servers end one that goes on after its
 * answer. To be called while there is but one thread, and nothing open that a fork would harm.
 * False when none could be made.
 */
bool server_outlive_cgi(void);

#endif
