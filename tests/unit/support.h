/*
 * Shared by several unit tests: checks that name the row, a temporary folder, captured standard
 * error, a request without a web server, a server without a network.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "http/exchange.h"
#include "text/buf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fail with the row's name. NULL is a valid value. */
void check_int(const char *row, long long got, long long expected);
void check_text(const char *row, const char *got, const char *expected);
void check_has(const char *row, const char *got, const char *part);

/* Makes an empty folder. folder_remove() removes it with its content, and frees the name. */
char *folder_new(void);
void folder_remove(char *folder);

/* "folder/name", the caller's to free. */
char *path_in(const char *folder, const char *name);
void file_write(const char *path, const char *content);

/*
 * Captures what is written to descriptor 2 from start to end; no check may fail in between. The
 * text is the caller's to free.
 */
struct capture {
	int saved, file;
};
void capture_start(struct capture *capture);
char *capture_end(struct capture *capture);

/* A request, and what receives its answer. */
struct fake {
	struct exchange exchange;
	const char *const *variables; /* "NAME=value", NULL-terminated */
	const char *body;
	size_t body_len, body_at;
	size_t piece;  /* the most that one read returns; 0: no limit */
	bool breaks;   /* the body breaks off before its end */
	bool deaf;     /* the server takes no answer */
	unsigned ends; /* how often the body's end was read */
	struct buf answer;
};
void fake_init(struct fake *fake, const char *const *variables, const char *body);
void fake_free(struct fake *fake);

/* What the server does with a request, once it has read it. */
struct server_turn {
	const char *pieces[6]; /* sent unchanged, with a short pause in between */
	enum {
		SERVER_CLOSE,
		SERVER_KEEP,
		SERVER_HOLD,  /* keep the connection open, silently */
		SERVER_VANISH /* refuse every further connection */
	} then;
};

#define CLOSES(...)                                                                                \
	{                                                                                          \
		.pieces = {__VA_ARGS__}, .then = SERVER_CLOSE                                      \
	}
#define KEEPS(...)                                                                                 \
	{                                                                                          \
		.pieces = {__VA_ARGS__}, .then = SERVER_KEEP                                       \
	}
#define HOLDS(...)                                                                                 \
	{                                                                                          \
		.pieces = {__VA_ARGS__}, .then = SERVER_HOLD                                       \
	}
#define VANISHES(...)                                                                              \
	{                                                                                          \
		.pieces = {__VA_ARGS__}, .then = SERVER_VANISH                                     \
	}

enum { SERVER_CONNECTIONS_MAX = 32 };

/* An HTTP server on a free port of 127.0.0.1, with threads of its own. */
struct server {
	char url[64]; /* without a slash at its end */
	/* Read these after server_stop(). */
	unsigned requests, connections;
	struct buf last_request;

	const struct server_turn *turns; /* one per request; the last one is for all further ones */
	size_t turns_len;
	int listener, stop[2];
	pthread_t acceptor, threads[SERVER_CONNECTIONS_MAX];
	pthread_mutex_t lock; /* protects the counters and last_request */
};
/* Without `turns` it refuses all connections. */
void server_start(struct server *server, const struct server_turn *turns, size_t turns_len);
void server_stop(struct server *server);
void server_free(struct server *server);

#endif
