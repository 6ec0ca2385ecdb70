/*
 * Tables of calls of the HTTP client, for two test programs. All rows run at once, with one client,
 * as the program's workers do. So together they take as long as the slowest.
 */
#ifndef HTTP_ROWS_H
#define HTTP_ROWS_H

#include "support.h"

#include <stdatomic.h>
#include <unistd.h>

#include "net/http_client.h"
#include "obs/log.h"
#include "os/clock.h"

enum { ANSWER_MAX = 100, PATIENCE_MS = 30000, SHORT_MS = 700, RAISE_AFTER_MS = 500, ROWS_MAX = 64 };

/* When the interrupt is raised. The last two become readable, or hang up, without being raised. */
enum raising { NEVER, BY_PIPE, BY_ASKING, AT_ONCE, FALSE_ALARM, HUNG_UP };

struct row {
	const char *name;
	struct server_turn turns[2]; /* the second, if set, is for all requests but the first */
	/* The call; by default a GET with a long timeout. */
	const char *method;
	bool repeatable, listens;
	bool refused;      /* nobody listens */
	int last, stop_at; /* the number of the last event, or of the one to stop at */
	long long timeout_ms;
	enum raising raising;
	/* The expected result. */
	enum http_outcome outcome;
	long status;
	const char *body;
	const char *events;      /* "name:data|"; NULL: no stream */
	const char *type;        /* NULL: any */
	const char *retry_after; /* seconds; NULL: none */
	int requests;            /* 0: one */
	bool waiting;            /* it ended while waiting to repeat */
	long long at_least_ms;
};

#define OK "HTTP/1.1 200 OK\r\n"
#define LEN(len) "Content-Length: " #len "\r\n\r\n"
#define STREAM OK "Content-Type: text/event-stream\r\n\r\n"

/* A row being run. */
struct running {
	const struct row *row;
	struct http_client *client;
	struct server server;
	int events_seen, pipe[2];
	atomic_int asked;
	atomic_bool raised;
	long long start_ms, took_ms;
	pthread_t thread;
	struct buf events;
	enum http_outcome outcome;
	struct http_answer answer;
};

static int
write_event_down(void *arg, const char *event, const char *data, size_t len)
{
	struct running *running = arg;

	(void)len;
	buf_printf(&running->events, "%s:%s|", event, data);
	if (++running->events_seen == running->row->stop_at)
		return -1;
	return running->events_seen == running->row->last ? 1 : 0;
}

static bool
is_raised(void *arg)
{
	struct running *running = arg;

	running->asked++;
	if (running->row->raising == BY_ASKING)
		return clock_ms() - running->start_ms >= RAISE_AFTER_MS;
	return running->raised;
}

static void *
raise_later(void *arg)
{
	struct running *running = arg;

	interrupt_sleep(NULL, RAISE_AFTER_MS);
	running->raised = true;
	if (write(running->pipe[1], "x", 1) != 1)
		abort();
	return NULL;
}

/* Runs in a thread, so nothing is checked here. */
static void *
run_row(void *arg)
{
	struct running *running = arg;
	const struct row *row = running->row;
	bool piped =
	    row->raising == BY_PIPE || row->raising == FALSE_ALARM || row->raising == HUNG_UP;
	const struct interrupt interrupt = {
	    .fd = piped ? running->pipe[0] : -1, .raised = is_raised, .arg = running};
	char url[96];
	const struct http_call call = {
	    .method = row->method ? row->method : "GET",
	    .url = url,
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = row->timeout_ms ? row->timeout_ms : PATIENCE_MS,
	    .repeatable = row->repeatable,
	    .on_event = row->listens ? write_event_down : NULL,
	    .event_arg = running,
	    .interrupt = row->raising == NEVER ? NULL : &interrupt,
	};
	pthread_t raiser;
	bool later =
	    row->raising == BY_PIPE && pthread_create(&raiser, NULL, raise_later, running) == 0;

	log_set_request_id(row->name);
	snprintf(url, sizeof url, "%s/path", running->server.url);
	running->outcome = http_client_call(running->client, &call, &running->answer);
	running->took_ms = clock_ms() - running->start_ms;
	if (later)
		pthread_join(raiser, NULL);
	return NULL;
}

static void
start_row(struct running *running, const struct row *row, struct http_client *client)
{
	*running = (struct running){.row = row, .client = client, .events = BUF_INIT(1000)};
	server_start(
	    &running->server, row->refused ? NULL : row->turns, row->turns[1].pieces[0] ? 2 : 1);
	assert_int_equal(pipe(running->pipe), 0);
	running->raised = row->raising == AT_ONCE;
	if (row->raising == FALSE_ALARM)
		assert_int_equal(write(running->pipe[1], "x", 1), 1);
	if (row->raising == HUNG_UP) {
		close(running->pipe[1]);
		running->pipe[1] = -1;
	}
	running->start_ms = clock_ms();
	assert_int_equal(pthread_create(&running->thread, NULL, run_row, running), 0);
}

/* How many lines the row's thread has logged, one for each repetition. */
static int
lines_of(const char *log, const char *name)
{
	char mark[160];
	int lines = 0;

	snprintf(mark, sizeof mark, "\"request_id\":\"%s\"", name);
	while ((log = strstr(log, mark))) {
		lines++;
		log++;
	}
	return lines;
}

static void
check_row(struct running *running, const char *log)
{
	const struct row *row = running->row;
	struct http_answer *answer = &running->answer;
	int tries = row->requests ? row->requests : 1;
	char seconds[32];

	check_text(row->name, http_outcome_strerror(running->outcome),
	    http_outcome_strerror(row->outcome));
	check_int(row->name, answer->status, row->status);
	check_text(
	    row->name, answer->body.data ? answer->body.data : "", row->body ? row->body : "");
	check_text(row->name, running->events.data, row->events);
	check_int(row->name, answer->streamed, row->events != NULL);
	if (row->type)
		check_text(row->name, answer->content_type, row->type);
	snprintf(seconds, sizeof seconds, "%ld", answer->retry_after_s);
	check_text(row->name, seconds, row->retry_after ? row->retry_after : "-1");
	/* If it was raised at once, the request may or may not have been sent. */
	if (row->raising != AT_ONCE)
		check_int(row->name, running->server.requests, row->refused ? 0 : tries);
	check_int(row->name, lines_of(log, row->name), tries - 1 + row->waiting);
	/* It neither waits after the end nor spins. */
	if (running->took_ms < row->at_least_ms || running->took_ms > PATIENCE_MS / 2)
		fail_msg("%s: took %lld ms", row->name, running->took_ms);
	if (running->asked > 100)
		fail_msg("%s: asked %d times", row->name, running->asked);
}

/* Checks come last, because a failing one leaves the rest unfreed. */
static void
check_rows(const struct row *rows, size_t rows_len)
{
	static struct running runnings[ROWS_MAX];
	struct http_client *client;
	struct capture capture;
	char *log;

	assert_in_range(rows_len, 1, ROWS_MAX);
	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	client = http_client_new(NULL);
	assert_non_null(client);
	capture_start(&capture);
	for (size_t i = 0; i < rows_len; i++)
		start_row(&runnings[i], &rows[i], client);
	for (size_t i = 0; i < rows_len; i++) {
		pthread_join(runnings[i].thread, NULL);
		server_stop(&runnings[i].server);
	}
	log = capture_end(&capture);
	http_client_free(client);
	for (size_t i = 0; i < rows_len; i++)
		check_row(&runnings[i], log);
	for (size_t i = 0; i < rows_len; i++) {
		http_answer_free(&runnings[i].answer);
		buf_free(&runnings[i].events);
		server_free(&runnings[i].server);
		close(runnings[i].pipe[0]);
		if (runnings[i].pipe[1] >= 0)
			close(runnings[i].pipe[1]);
	}
	free(log);
}

#endif
