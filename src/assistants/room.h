/*
 * What the rooms of the Assistants API share: the call at hand, errors, checks of bodies, lists.
 * Only for src/assistants/.
 */
#ifndef ASSISTANTS_ROOM_H
#define ASSISTANTS_ROOM_H

#include <stdbool.h>

#include "assistants/api.h"
#include "util/id.h"
#include "util/json.h"

enum { PATH_PARAMS_MAX = 3 };

struct leases;
struct runner;

struct api {
	struct db *db;
	struct model *model;
	unsigned run_timeout_s;
	struct leases *leases;
	struct runner *runner;
};

/* One call. */
struct call {
	struct api *api;
	const struct api_request *request;
	struct api_response *response;
	char *params[PATH_PARAMS_MAX]; /* what stood for the path's {names} */
};

/* --- answers; each sets the response, and is its call's last word --- */

/* Takes `body` over. */
void answer(struct call *call, int status, struct json_object *body);

/* 400 invalid_request_error; `param` may be NULL. */
void refuse(struct call *call, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * 404 `No KIND found with id 'ID'.`, or 400 when `id` does not even look like one ("thread" for
 * "thread_…"). To be called only when nothing was found: an imported id may have any form.
 */
void refuse_unknown(struct call *call, const char *kind, const char *prefix, const char *id);

/* 503 server_error: the database is busy or broken; the cause has been logged. */
void fail(struct call *call);

/*
 * Deletes the object of the path's first name by `sql`, with its id and tenant bound, and answers
 * {id, object: "KIND.deleted", deleted: true}.
 */
void delete_object(struct call *call, const char *sql, const char *kind, const char *prefix);

/* --- bodies --- */

enum field_type {
	FIELD_STRING = 1,
	FIELD_NUMBER = 2, /* integers, too */
	FIELD_INTEGER = 4,
	FIELD_BOOLEAN = 8,
	FIELD_OBJECT = 16,
	FIELD_ARRAY = 32,
	FIELD_METADATA = 64, /* an object of at most 16 strings of 512, names of 64 */
};

/* A member that a body may have. null counts as left out, as it does in the API. */
struct field {
	const char *name;
	unsigned types; /* mask of enum field_type */
	bool required;
	double min,
	    max; /* of a number; of a string's characters, an array's elements; max 0: no bound */
	const char *const *words; /* what a string may be, NULL-terminated; NULL: anything */
};

/*
 * Checks `object` against the table; unknown members are refused by name. `prefix` goes before
 * names in the error's param: "messages[0].". False when it was refused.
 */
bool check_fields(struct call *call, struct json_object *object, const struct field *fields,
    size_t fields_len, const char *prefix);

/* Checks the elements of an array of tools, NULL for none. False when it was refused. */
bool check_tools(struct call *call, struct json_object *tools);

/* The words of `reasoning_effort`. */
extern const char *const reasoning_efforts[];

/*
 * The call's body, or an empty object for none; the caller's to put. NULL when it is no object:
 * refused.
 */
struct json_object *body_object(struct call *call);

/* Sets `to[name]` to a reference of what `from` has there, or to null. */
void copy_member(struct json_object *to, struct json_object *from, const char *name);

/* --- lists --- */

struct page {
	long long limit;
	bool ascending;
	char *after, *before; /* ids, NULL if none */
	char *run_id;         /* messages only */
};

/*
 * Reads limit, order, after, before and, where `with_run_id`, run_id. False when refused; else
 * page_free.
 */
bool page_read(struct call *call, struct page *page, bool with_run_id);
void page_free(struct page *page);

/*
 * A list's statements have, after their own parameters, two of `seq > ? AND seq < ?` and the limit,
 * and come in both orders.
 */
struct list {
	struct db_tx *tx;
	const char *sql_ascending, *sql_descending;
	const char *cursor_sql;    /* (id, owner) → seq of an object of the list */
	const char *kind, *prefix; /* of its objects, for errors */
	long long owner; /* the first parameter of all three: a seq; or, when 0, `tenant` */
	const char *tenant;
	struct json_object *(*compose)(struct db_stmt *row, void *arg);
	void *arg;
};

/* Answers {object: "list", data, first_id, last_id, has_more}. Ends the transaction. */
void list_answer(struct call *call, const struct page *page, struct list *list);

/* --- objects --- */

/* A time column as a number, or null. */
struct json_object *time_or_null(struct db_stmt *row, int column);

/* A JSON column as an object; null for SQL's NULL. */
struct json_object *json_column(struct db_stmt *row, int column);

/* --- handlers, a room each --- */

typedef void handler_fn(struct call *call);

handler_fn assistants_create, assistants_list, assistants_retrieve, assistants_modify,
    assistants_delete;
handler_fn threads_create, threads_retrieve, threads_delete;
handler_fn messages_create, messages_list, messages_retrieve;
handler_fn runs_create, runs_retrieve, runs_cancel;

/* --- what rooms ask of each other --- */

/* The body of an assistant, put by the caller. 1 found, 0 not, -1 failed. */
int assistant_load(struct db_tx *tx, const char *tenant, const char *id, struct json_object **body);

/* 1 found, 0 not, -1 failed. */
int thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq);

/* Checks an array of new messages, `name` in the error. */
bool messages_check(struct call *call, struct json_object *messages, const char *name);

/* Inserts a client's checked messages. */
enum db_result messages_insert(struct db_tx *tx, long long thread, struct json_object *messages);

/*
 * The active run of a thread: 1 with its id, 0 none, -1 failed. One that is overdue, or whose
 * process died, is ended first, so the transaction must be one that writes.
 */
int run_active(struct api *api, struct db_tx *tx, long long thread, char id[ID_SIZE]);

/* All messages of a thread, oldest first, as {role, content}; NULL when the database failed. */
struct json_object *messages_context(struct db_tx *tx, long long thread);

#endif
