/*
 * An Assistants API, embedded in this process or remote: the gateway's only way to assistants.
 * Which of the two it is, nobody above can tell.
 */
#ifndef OPENAI_OPENAI_H
#define OPENAI_OPENAI_H

#include <json.h>

#include "assistants/api.h"
#include "net/http_client.h"
#include "os/interrupt.h"

struct openai;

/*
 * The one in this process. What it makes belongs to the tenant "gateway". Borrowed arguments must
 * live longer. NULL: out of memory.
 */
struct openai *openai_embedded_new(struct api *api);

struct openai_server {
	const char *url;      /* what stands before /assistants and /threads: "https://host/v1" */
	const char *key;      /* NULL: none is sent */
	long long timeout_ms; /* until a run is given up */
	const struct budgets *budgets; /* the tenant "gateway" pays for runs; borrowed */
};

struct openai *openai_remote_new(struct http_client *client, const struct openai_server *server);

void openai_free(struct openai *openai);

/* Says where the API is, for a cache that must not outlive it: "embedded", or its URL. */
const char *openai_place(const struct openai *openai);

/* Whether it can be expected to work: the embedded one's database answers. */
bool openai_ready(struct openai *openai);

enum openai_failure {
	OPENAI_ANSWERED,    /* there is a status, perhaps one that says no */
	OPENAI_UNREACHABLE, /* no answer that could be understood */
	OPENAI_SILENT,      /* none in time */
	OPENAI_INTERRUPTED,
};

struct openai_answer {
	enum openai_failure failure;
	int status;               /* HTTP's, when it answered */
	enum api_error error;     /* API_OK when the status is good, or there is none */
	struct json_object *body; /* the object, or the error; NULL if none */
	long retry_after_s;       /* -1: not told */
};

void openai_answer_free(struct openai_answer *answer);

/* Whether it answered that the call was carried out. */
bool openai_did(const struct openai_answer *answer);

/* The error's message, "" if there is none: outside words. */
const char *openai_answer_error(const struct openai_answer *answer);

/* Everything is borrowed. */
struct openai_call {
	enum api_operation operation;
	const char *ids[PATH_NAMES_MAX]; /* in its path; each has an id's form */
	const char *query;               /* "order=asc&limit=100"; NULL: none */
	struct json_object *body;        /* NULL: none */
	const struct interrupt *interrupt;
};

/*
 * A call to a model server's side may take a while: `interrupt` ends it. What failed has been
 * logged as an error, but for the answers 400 and 404, which are mostly the client's affair.
 */
void openai_call(
    struct openai *openai, const struct openai_call *call, struct openai_answer *answer);

/* Gets an object of a list, borrowed. */
typedef void openai_item_fn(void *arg, struct json_object *item);

/*
 * Reads a list to its end, page by page; the call has a query. 0, or -1 with the answer that
 * failed. `answer` must be initialised, and be freed in both cases.
 */
int openai_list(struct openai *openai, const struct openai_call *call, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer);

/* The same a page at a time, of which nothing is kept: the caller may do what takes long between.
 */
enum { OPENAI_CURSOR_SIZE = 512 };
struct openai_cursor {
	struct openai_call call;
	char after[OPENAI_CURSOR_SIZE]; /* "" at first */
	int pages;
};

/* 1 there is more, 0 that was the last page, -1 with the answer that failed. */
int openai_list_page(struct openai *openai, struct openai_cursor *cursor, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer);

/*
 * Creates a run (API_RUN_CREATE), or gives one the outputs that it waits for
 * (API_RUN_SUBMIT_TOOL_OUTPUTS), with `stream`, and waits until it is over, whether the server can
 * stream or must be polled. The listener's interrupt counts, not the call's. Of the events these
 * can be relied on: one of the run as soon as the server has told its id; EVENT_MESSAGE for each
 * message of the run, oldest first, perhaps more than once for one id; and last, if the call was
 * carried out, EVENT_RUN with a status that is over, or RUN_REQUIRES_ACTION. When the interrupt is
 * raised, or time is over, the run is cancelled before the call returns; only a server that does
 * not tell the run's id within 5 s after that keeps it.
 */
void openai_stream(struct openai *openai, const struct openai_call *call,
    const struct listener *listener, struct openai_answer *answer);

/* To be called about once a second while outputs are made that a run waits for. */
void openai_keep(struct openai *openai);

#endif
