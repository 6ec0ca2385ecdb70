/*
 * An Assistants API, embedded in this process or remote: the gateway's only way to assistants. The
 * callers cannot tell which.
 */
#ifndef OPENAI_OPENAI_H
#define OPENAI_OPENAI_H

#include <json.h>

#include "assistants/api.h"
#include "net/http_client.h"
#include "os/interrupt.h"

struct openai;

/*
 * The API in this process. Its objects belong to the tenant "gateway". Arguments are borrowed.
 * NULL: out of memory.
 */
struct openai *openai_embedded_new(struct api *api);

struct openai_server {
	const char *url;      /* what comes before /assistants and /threads: "https://host/v1" */
	const char *key;      /* NULL: none is sent */
	long long timeout_ms; /* after which a run is given up */
	const struct budgets *budgets; /* the tenant "gateway" pays for runs; borrowed */
};

struct openai *openai_remote_new(struct http_client *client, const struct openai_server *server);

void openai_free(struct openai *openai);

/* Where the API is, for a cache of its ids: "embedded", or its URL. */
const char *openai_place(const struct openai *openai);

/* Whether it can be expected to work: for the embedded API, the database answers. */
bool openai_ready(struct openai *openai);

enum openai_failure {
	OPENAI_ANSWERED,    /* there is a status, perhaps of an error */
	OPENAI_UNREACHABLE, /* no answer, or one that makes no sense */
	OPENAI_SILENT,      /* no answer in time */
	OPENAI_INTERRUPTED,
};

struct openai_answer {
	enum openai_failure failure;
	int status;               /* HTTP's, if it was answered */
	enum api_error error;     /* API_OK if the status is a success, or there is none */
	struct json_object *body; /* the object or the error; NULL: none */
	long retry_after_s;       /* -1: not given */
};

void openai_answer_free(struct openai_answer *answer);

/* Whether the call was carried out. */
bool openai_did(const struct openai_answer *answer);

/* The error's message, foreign text; "": none. */
const char *openai_answer_error(const struct openai_answer *answer);

/* All members are borrowed. */
struct openai_call {
	enum api_operation operation;
	const char *ids[PATH_NAMES_MAX]; /* for its path; each has the form of an id */
	const char *query;               /* "order=asc&limit=100"; NULL: none */
	struct json_object *body;        /* NULL: none */
	const struct interrupt *interrupt;
};

/*
 * Makes a call; `interrupt` ends it. Failures are logged as errors, except for 400 and 404, which
 * are mostly the client's fault, and an empty budget. `answer` need not be initialised; the caller
 * frees it.
 */
void openai_call(
    struct openai *openai, const struct openai_call *call, struct openai_answer *answer);

/* Receives an object of a list, borrowed. */
typedef void openai_item_fn(void *arg, struct json_object *item);

/*
 * Reads a list to its end, page by page; the call has a query. 0, or -1 with the failed answer.
 * `answer` must be initialised, and freed in both cases.
 */
int openai_list(struct openai *openai, const struct openai_call *call, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer);

/*
 * The same, one page a call. Nothing is kept between calls, so the caller may do slow things in
 * between.
 */
enum { OPENAI_CURSOR_SIZE = 512 };
struct openai_cursor {
	struct openai_call call;
	char after[OPENAI_CURSOR_SIZE]; /* "" at first */
	int pages;
};

/* 1: there is more. 0: that was the last page. -1: `answer` failed. */
int openai_list_page(struct openai *openai, struct openai_cursor *cursor, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer);

/*
 * Creates a run (API_RUN_CREATE), or submits the outputs that a run waits for
 * (API_RUN_SUBMIT_TOOL_OUTPUTS), with `stream`. Waits until the run is over, whether the server
 * streams or must be polled. The listener's interrupt counts, not the call's.
 *
 * The listener can rely on these events: one of the run as soon as its id is known; EVENT_MESSAGE
 * for each message of the run, oldest first, perhaps more than once for an id; and, if the call was
 * carried out, a last EVENT_RUN with RUN_REQUIRES_ACTION or a status that is over.
 *
 * When the interrupt is raised, or time is over, the run is cancelled before the call returns. Only
 * if the server does not report the run's id within 5 s does the run go on.
 */
void openai_stream(struct openai *openai, const struct openai_call *call,
    const struct listener *listener, struct openai_answer *answer);

/* Call it about once a second while producing outputs that a run waits for. */
void openai_keep(struct openai *openai);

#endif
