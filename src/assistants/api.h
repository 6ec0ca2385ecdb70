/*
 * The Assistants API, as OpenAI published it (v2), on this program's own database: the one way into
 * src/assistants/. It knows nothing of HTTP: method, path and a JSON body go in, a status and a
 * JSON object come out, or a stream of events.
 */
#ifndef ASSISTANTS_API_H
#define ASSISTANTS_API_H

#include <json.h>
#include <stdbool.h>

#include "db/db.h"
#include "model/model.h"
#include "os/interrupt.h"
#include "os/seats.h"
#include "records/budget.h"
#include "runs/event.h"
#include "text/path.h"
#include "text/text.h"

struct api;

/*
 * `db` and `model` are borrowed, and must live longer. In the folder `state_dir` a process shows
 * the others that it lives. Of a thread a model is sent `context_tokens` at most, 4 bytes being
 * one. NULL: out of memory.
 */
struct api *api_new(struct db *db, struct model *model, const char *state_dir,
    unsigned run_timeout_s, unsigned context_tokens);

/* What tenants may spend; copied. To be called once, before the others. */
void api_set_budgets(struct api *api, const struct budgets *budgets);

/*
 * Where the model server is, which fetches images by their URLs: one in a private network is not
 * made to fetch from there. Borrowed. To be called once, before the others; without it all are
 * taken.
 */
void api_set_model_url(struct api *api, const char *url);

/*
 * Runs that no client waits for are carried out while they have one of these seats; borrowed. To be
 * called once, before the others; without it they need none.
 */
void api_set_seats(struct api *api, struct seats *seats);

/*
 * Threads that were idle for so many days are deleted, a few at a time: by api_sweep(), or all the
 * time once api_resume() was called. To be called once, before the others. -1: out of memory.
 */
int api_set_retention(struct api *api, unsigned days);

/* Whether api_sweep() has something to do; if it has, that takes some 100 ms. */
bool api_sweep_is_due(struct api *api);
void api_sweep(struct api *api);

/* Takes up the runs that are queued, in threads of its own: those that a killed process left. */
void api_resume(struct api *api);

/* Waits until the runs that no client waits for are done. */
void api_await(struct api *api);

/*
 * Ends the runs that no client waits for (their model requests are interrupted), waits for their
 * threads, and frees.
 */
void api_free(struct api *api);

/* What can be asked of the API: a row each in api.c, which says by which method and path. */
enum api_operation {
	API_ASSISTANT_CREATE,
	API_ASSISTANT_LIST,
	API_ASSISTANT_RETRIEVE,
	API_ASSISTANT_MODIFY,
	API_ASSISTANT_DELETE,
	API_THREAD_CREATE,
	API_THREAD_CREATE_AND_RUN, /* before the threads' own paths */
	API_THREAD_LIST,
	API_THREAD_RETRIEVE,
	API_THREAD_MODIFY,
	API_THREAD_DELETE,
	API_MESSAGE_CREATE,
	API_MESSAGE_LIST,
	API_MESSAGE_RETRIEVE,
	API_MESSAGE_MODIFY,
	API_MESSAGE_DELETE,
	API_RUN_CREATE,
	API_RUN_LIST,
	API_RUN_RETRIEVE,
	API_RUN_MODIFY,
	API_RUN_CANCEL,
	API_RUN_SUBMIT_TOOL_OUTPUTS,
	API_RUN_STEP_LIST,
	API_RUN_STEP_RETRIEVE,
	/* The first version's. */
	API_ASSISTANT_FILE_CREATE,
	API_ASSISTANT_FILE_LIST,
	API_ASSISTANT_FILE_RETRIEVE,
	API_ASSISTANT_FILE_DELETE,
	API_MESSAGE_FILE_LIST,
	API_MESSAGE_FILE_RETRIEVE,
	/* Not served here yet. */
	API_FILE_RETRIEVE,
	API__MAX
};

/* HTTP's method of an operation, and its path's pattern: "/threads/{id}". */
const char *api_method(enum api_operation operation);
const char *api_pattern(enum api_operation operation);

struct api_request {
	const char *tenant; /* owns what is made; no other tenant sees it */
	/* What is asked, by method and path ("/threads/thread_x/messages": what follows /v1), … */
	const char *method, *path;
	/* … or, where `path` is NULL, as an operation with the ids in its path. */
	enum api_operation operation;
	const char *ids[PATH_NAMES_MAX];
	const char *query; /* "limit=20&order=asc", still encoded; NULL: none */
	/*
	 * In place of the query's `after` and `limit`: what was left out of a list. NULL: the
	 * query counts.
	 */
	const char *rest_after;
	long long rest_limit;
	struct json_object *body; /* borrowed; NULL: none */
	/* Asked as the first version was: it took runs that the second one refuses. */
	bool first_version;
	/*
	 * Hears of a run that is created with `stream`; the call does not return while it is
	 * carried out. NULL: such a run is refused.
	 */
	const struct listener *listener;
	bool answers_calls; /* see struct run_hearing */
};

/* Why a call was refused or failed, as far as a program decides by it. */
enum api_error {
	API_OK,
	API_REFUSED,       /* the status tells */
	API_BAD_THREAD_ID, /* it is none of a thread's */
	API_THREAD_BUSY,   /* its thread has an active run */
	API_NO_ASSISTANT,  /* the run's assistant does not exist */
	API_NO_TOKENS,     /* the tenant's budget is empty for retry_after_s */
};

struct api_response {
	int status; /* HTTP's */
	enum api_error error;
	/*
	 * The object, or {"error":{message,type,param,code}}; NULL after a stream. The caller's to
	 * put.
	 */
	struct json_object *body;
	long retry_after_s; /* what the model server asked for, -1 if it did not */
	/*
	 * Of a list that was cut short, since its objects are large: how many more were asked for
	 * than came, and are there, behind its last_id. 0: it is whole.
	 */
	long long left_out;
	const char *route; /* the pattern of its path, "/threads/{id}"; NULL: none */
};

/* Whether it can be expected to work: the database answers. */
bool api_ready(struct api *api);

/* To be called about once a second while a run's calls are being answered. */
void api_keep(struct api *api);

void api_handle(struct api *api, const struct api_request *request, struct api_response *response);

/*
 * What POST /assistants would say to this body, apart from the database: true, or false with its
 * words in `error`.
 */
bool api_would_create_assistant(struct json_object *body, char error[ERROR_SIZE]);

#endif
