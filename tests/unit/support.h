/*
 * What several unit tests need: tables' checks that name the row, a folder that goes away, what the
 * program said on standard error, a request without a web server, a web server without a network.
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

/* Fail with the row's name. NULL is a value, too. */
void check_int(const char *row, long long got, long long expected);
void check_text(const char *row, const char *got, const char *expected);
void check_has(const char *row, const char *got, const char *part);

/* A fresh, empty folder; folder_remove() removes it with all that is in it, and frees the name. */
char *folder_new(void);
void folder_remove(char *folder);

/* "folder/name", the caller's to free. */
char *path_in(const char *folder, const char *name);
void file_write(const char *path, const char *content);

/*
 * What is written to descriptor 2 from start to end; no check may fail between. The text is the
 * caller's to free.
 */
struct capture {
	int saved, file;
};
void capture_start(struct capture *capture);
char *capture_end(struct capture *capture);

/* A request, and where its answer goes. */
struct fake {
	struct exchange exchange;
	const char *const *variables; /* "NAME=value", NULL-terminated */
	const char *body;
	size_t body_len, body_at;
	size_t piece;  /* bytes that one read gives at most; 0: as many as are asked for */
	bool breaks;   /* the body breaks off instead of ending */
	bool deaf;     /* the server takes no answer */
	unsigned ends; /* how often the body's end was met */
	struct buf answer;
};
void fake_init(struct fake *fake, const char *const *variables, const char *body);
void fake_free(struct fake *fake);

/* What the server does with a request, after it has read it whole. */
struct server_turn {
	const char *pieces[6]; /* sent as they are, with a short pause between */
	enum {
		SERVER_CLOSE,
		SERVER_KEEP,
		SERVER_HOLD,  /* open, and silent */
		SERVER_VANISH /* and every connection is refused from now on */
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
	/* To be read after server_stop(). */
	unsigned requests, connections;
	struct buf last_request;

	const struct server_turn *turns; /* one a request; the last one is for all that follow */
	size_t turns_len;
	int listener, stop[2];
	pthread_t acceptor, threads[SERVER_CONNECTIONS_MAX];
	pthread_mutex_t lock; /* the counters, and last_request */
};
/* Without `turns` it refuses every connection. */
void server_start(struct server *server, const struct server_turn *turns, size_t turns_len);
void server_stop(struct server *server);
void server_free(struct server *server);

#endif
