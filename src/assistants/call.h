/* One call of the Assistants API: the request and its answer. Only for src/assistants/. */
#ifndef ASSISTANTS_CALL_H
#define ASSISTANTS_CALL_H

#include "assistants/api.h"
#include "records/record.h"
#include "runs/runs.h"

struct blobs;
struct kind;
struct retention;

struct api {
	struct runs runs;
	const char *model_url;       /* NULL: see api_set_model_url() */
	struct retention *retention; /* NULL: none */
	const struct blobs *blobs;   /* the files' bytes */
	long long files_quota;       /* bytes of a tenant's files */
	bool stays; /* the process goes on after this call, and may execute other runs */
};

struct call {
	struct api *api;
	const struct api_request *request;
	struct api_response *response; /* status 0: not answered yet */
	const char *ids[PATH_NAMES_MAX];
	struct json_object *message_ids; /* of the body's new messages, in order; NULL: none */
	const struct kind *kind; /* of the operation's objects; NULL: it has handlers of its own */
};

/* --- transactions --- */

/*
 * Runs a call's database work. `work` answers the call, and may run again. If it has not answered,
 * or the database failed, the call is answered 503.
 */
void call_read(struct call *call, db_work_fn *work, void *arg);
void call_write(struct call *call, db_work_fn *work, void *arg);

/* --- answers; the last one counts --- */

/* Takes `body` over. */
void call_answer(struct call *call, int status, struct json_object *body);

/* 400 invalid_request_error; `param` may be NULL. */
void call_refuse(struct call *call, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with another status. */
void call_refuse_with(struct call *call, int status, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with a code, such as "invalid_type". */
void call_refuse_as(struct call *call, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * 404 `No KIND found with id 'ID'.`, or 400 if `id` does not look like one ("thread" for
 * "thread_…"). Call it only when nothing was found, because imported ids may have any form. The
 * error's param is "KIND_id", or `param`.
 */
void call_refuse_unknown(struct call *call, const char *kind, const char *prefix, const char *id);
void call_refuse_unknown_at(
    struct call *call, const char *param, const char *kind, const char *prefix, const char *id);

/* 404 `No such KIND: ID`, with the param "id". */
void call_refuse_no_such(struct call *call, const char *kind, const char *id);

/* 429: the tenant's budget is empty for `wait_s` seconds. */
void call_refuse_empty(struct call *call, long long wait_s);

/* 404, or, with `known`, 405: the path has other methods. */
void call_refuse_path(struct call *call, bool known);

/* 503: memory is out, or the database is busy or broken, which has been logged. */
void call_fail(struct call *call);

/* --- the path's objects --- */

/* The seq of the path's thread, or run. False: there is none, or the database failed. */
bool call_thread(struct call *call, struct db_tx *tx, long long *thread);
bool call_run(struct call *call, struct db_tx *tx, long long *thread, long long *run);

/* The body, an empty object if there is none; the caller releases it. NULL: no object; refused. */
struct json_object *call_body(struct call *call);

#endif
