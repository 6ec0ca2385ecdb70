/*
 * The Assistants API, as OpenAI published it (v2), on this program's own database: the only
 * entrance to src/assistants/. It knows nothing of HTTP. A method, a path and a JSON body go in; a
 * status and a JSON object, or a stream of events, come out.
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
struct blobs;

/*
 * Borrows `db` and `model`. The folder `state_dir` has the files by which processes see each other.
 * Of a thread, a model is sent at most `context_tokens`, 4 bytes each. NULL: out of memory.
 */
struct api *api_new(struct db *db, struct model *model, const char *state_dir,
    unsigned run_timeout_s, unsigned context_tokens);

/* Sets what tenants may spend; copied. Call it once, before all others. */
void api_set_budgets(struct api *api, const struct budgets *budgets);

/*
 * Sets where the model server is. It fetches images by their URLs, so if it is in a private
 * network, URLs of such networks are refused. Borrowed. Call it once, before all others; without
 * it, all URLs are accepted.
 */
void api_set_model_url(struct api *api, const char *url);

/*
 * Makes each run that no client waits for take one of these seats; borrowed. Call it once, before
 * all others.
 */
void api_set_seats(struct api *api, struct seats *seats);

/*
 * Deletes what is past its time, a little at a time: in api_sweep(), or continually after
 * api_resume(). That is threads that were idle for this many days, 0: none, and expired files. Call
 * it once, after api_set_files(), before all others. -1: out of memory.
 */
int api_set_retention(struct api *api, unsigned days);

/*
 * Sets where the bytes of files are, and how many a tenant may keep; borrowed. Call it once, before
 * all others.
 */
void api_set_files(struct api *api, const struct blobs *blobs, long long quota);

/* Whether api_sweep() has something to do, which takes some 100 ms. */
bool api_sweep_is_due(struct api *api);
void api_sweep(struct api *api);

/* Starts threads: for queued runs, which killed processes may have left, and for api_sweep(). */
void api_resume(struct api *api);

/* Waits for the runs that no client waits for. */
void api_await(struct api *api);

/*
 * Ends the runs that no client waits for, by interrupting their model requests, waits for their
 * threads, and frees.
 */
void api_free(struct api *api);

/* The API's operations: a row each in api.c, with method and path. */
enum api_operation {
	API_ASSISTANT_CREATE,
	API_ASSISTANT_LIST,
	API_ASSISTANT_RETRIEVE,
	API_ASSISTANT_MODIFY,
	API_ASSISTANT_DELETE,
	API_THREAD_CREATE,
	API_THREAD_CREATE_AND_RUN, /* before the paths of single threads */
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
	/* Version 1's. */
	API_ASSISTANT_FILE_CREATE,
	API_ASSISTANT_FILE_LIST,
	API_ASSISTANT_FILE_RETRIEVE,
	API_ASSISTANT_FILE_DELETE,
	API_MESSAGE_FILE_LIST,
	API_MESSAGE_FILE_RETRIEVE,
	API_FILE_CREATE,
	API_FILE_LIST,
	API_FILE_RETRIEVE,
	API_FILE_CONTENT,
	API_FILE_DELETE,
	API__MAX
};

/* An operation's HTTP method, and its path's pattern, such as "/threads/{id}". */
const char *api_method(enum api_operation operation);
const char *api_pattern(enum api_operation operation);

/* The bytes of a new file, complete and on disk. */
struct api_upload {
	const char *filename, *blob;
	long long bytes;
};

struct api_request {
	const char *tenant; /* owns what is made; no other tenant sees it */
	/* The request, by method and path ("/threads/thread_x/messages": what follows /v1), … */
	const char *method, *path;
	/* … or, if `path` is NULL, by operation and the ids in its path. */
	enum api_operation operation;
	const char *ids[PATH_NAMES_MAX];
	const char *query; /* "limit=20&order=asc", still encoded; NULL: none */
	/*
	 * Continues a list that was cut: replaces the query's `after` and `limit`. NULL: use the
	 * query.
	 */
	const char *rest_after;
	long long rest_limit;
	struct json_object *body;        /* borrowed; NULL: none */
	const struct api_upload *upload; /* the body's file; NULL: none */
	/* The request is version 1's, which allowed runs that version 2 refuses. */
	bool first_version;
	/*
	 * Receives the events of a run created with `stream`; the call returns when the run is
	 * over. NULL: such a run is refused.
	 */
	const struct listener *listener;
	bool answers_calls; /* see struct run_hearing */
};

/* Why a call was refused or failed, as far as code decides by it. */
enum api_error {
	API_OK,
	API_REFUSED,       /* the status says how */
	API_BAD_THREAD_ID, /* it cannot be a thread's id */
	API_THREAD_BUSY,   /* the thread has an active run */
	API_NO_ASSISTANT,  /* the run's assistant does not exist */
	API_NO_TOKENS,     /* the tenant's budget is empty for retry_after_s */
};

struct api_response {
	int status; /* HTTP's */
	enum api_error error;
	/*
	 * The object, or {"error":{message,type,param,code}}; the caller releases it; NULL after a
	 * stream.
	 */
	struct json_object *body;
	long retry_after_s; /* the model server's; -1: none */
	/*
	 * Of a list that was cut because its objects are large: how many more were asked for and
	 * exist, after its last_id. 0: complete.
	 */
	long long left_out;
	const char *route; /* its path's pattern, "/threads/{id}"; NULL: none */
	/* A file's content, in place of an object: the caller closes it. -1: none. */
	int content_fd;
	long long content_len;
};

/* Whether it can be expected to work: the database answers. */
bool api_ready(struct api *api);

/* Renews leases. Call it about once a second while answering a run's calls. */
void api_keep(struct api *api);

void api_handle(struct api *api, const struct api_request *request, struct api_response *response);

/*
 * Whether POST /assistants would accept this body, apart from the database. False: `error` says why
 * not.
 */
bool api_would_create_assistant(struct json_object *body, char error[ERROR_SIZE]);

#endif
