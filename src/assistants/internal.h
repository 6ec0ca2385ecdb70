/*
 * What the rooms of the Assistants API share: the call at hand, errors, checks of bodies, lists.
 * Only for src/assistants/.
 */
#ifndef ASSISTANTS_INTERNAL_H
#define ASSISTANTS_INTERNAL_H

#include <stdbool.h>

#include "assistants/api.h"
#include "os/id.h"
#include "text/json.h"

enum { PATH_PARAMS_MAX = 3 };

struct leases;
struct retention;
struct runner_pool;

struct api {
	struct db *db;
	struct model *model;
	unsigned run_timeout_s;
	struct budgets budgets;
	struct seats *seats;      /* NULL: none are needed */
	const char *model_url;    /* NULL: see api_set_model_url() */
	long long context_tokens; /* of a thread, that a model is sent at most */
	struct leases *leases;
	struct runner_pool *runners;
	struct retention *retention; /* NULL: threads stay */
	bool stays; /* the process goes on after this call, and may carry others' runs out */
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

/* The same with a code: "invalid_type". */
void refuse_as(struct call *call, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * 404 `No KIND found with id 'ID'.`, or 400 when `id` does not even look like one ("thread" for
 * "thread_…"). To be called only when nothing was found: an imported id may have any form. The
 * error's param is "KIND_id", or `param`.
 */
void refuse_unknown(struct call *call, const char *kind, const char *prefix, const char *id);
void refuse_unknown_at(
    struct call *call, const char *param, const char *kind, const char *prefix, const char *id);

/* 429: the tenant's budget is empty for so many seconds. */
void refuse_empty(struct call *call, long long wait_s);

/* 503 server_error: the database is busy or broken; the cause has been logged. */
void fail(struct call *call);

/*
 * Ends the transaction, and answers with what came of it. `found` 1: `object`, and what was written
 * is kept; 0: there is no KIND with that id; -1: the database failed. Takes `object` over.
 */
void answer_found(struct call *call, struct db_tx *tx, int found, struct json_object *object,
    const char *kind, const char *prefix, const char *id);

/* {id, object: "KIND.deleted", deleted: true}, put by the caller. */
struct json_object *deleted_object(const char *id, const char *kind);

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
	FIELD_NAME = 128,    /* a string of 1 to 64 letters, digits, '_' and '-' */
	FIELD_URL = 256,     /* a string: where a model server finds an image */
};

/*
 * A value that a body may have: a member, or, without its name, each element of an array. null
 * counts as left out, as it does in the API.
 */
struct field {
	const char *name;
	unsigned types; /* mask of enum field_type */
	bool required;
	double min,
	    max; /* of a number; of a string's characters, an array's elements; max 0: no bound */
	const char *const *words;    /* what a string may be, NULL-terminated; NULL: anything */
	const struct shape *shapes;  /* what an object may be; NULL: anything */
	const struct field *element; /* what an array's elements may be; NULL: anything */
};

/*
 * A form of an object. Of several, in a table that ends with an empty row, it is the one whose
 * `type` the object's member `type` says.
 */
struct shape {
	const char *type; /* NULL: there is only this one */
	const struct field *fields;
	size_t fields_len;
	/* What the fields can't say, NULL for nothing. False when it was refused. */
	bool (*check)(struct call *call, struct json_object *object, const char *prefix);
};

/*
 * Checks `object` against the table; unknown members are refused by name. `prefix` goes before
 * names in the error's param: "messages[0].". False when it was refused.
 */
bool check_fields(struct call *call, struct json_object *object, const struct field *fields,
    size_t fields_len, const char *prefix);

/* Checks a value, NULL for none, that the error calls `param`. False when it was refused. */
bool check_value(
    struct call *call, const struct field *field, const char *param, struct json_object *value);

/* What the API's objects have in common, as rows refer to it: shapes.c. */
extern const char *const reasoning_efforts[];
extern const char *const response_format_words[];
extern const struct shape response_formats[];
extern const struct shape tool_resources;
extern const struct shape new_tool_resources; /* may ask for a vector store to be made, too */
extern const struct field tool_element, attachment_tool_element;

/*
 * The call's body, or an empty object for none; the caller's to put. NULL when it is no object:
 * refused.
 */
struct json_object *body_object(struct call *call);

/* Sets `to[name]` to a reference of what `from` has there, or to null. */
void copy_member(struct json_object *to, struct json_object *from, const char *name);

/*
 * What a body has, as the API shows it; the caller's to put. Its tool_resources: {} for none. Its
 * tools, with what counts where nothing was asked. Its response_format: "auto" for none.
 */
struct json_object *tool_resources_shown(struct json_object *body);
struct json_object *tools_shown(struct json_object *body);
struct json_object *response_format_shown(struct json_object *body);

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

/* That object; takes `data` over. */
struct json_object *list_object(struct json_object *data, bool has_more);

/* --- objects --- */

/* A time column as a number, or null. */
struct json_object *time_or_null(struct db_stmt *row, int column);

/* A JSON column as an object; null for SQL's NULL. */
struct json_object *json_column(struct db_stmt *row, int column);

/*
 * Runs and finishes a bound statement whose one column is an object's body, put by the caller. 1
 * found, 0 not, -1 failed.
 */
int body_load(struct db_stmt *stmt, struct json_object **body);

/* --- handlers, a room each --- */

typedef void handler_fn(struct call *call);

/*
 * A path that is served: a table in api.c, where the first row that matches counts. What stands
 * for the pattern's {names} is kept, in order.
 */
struct api_row {
	const char *method;
	const char *pattern;
	handler_fn *handler;
};
extern const struct api_row api_rows[];
extern const size_t api_rows_len;

handler_fn assistants_create, assistants_list, assistants_retrieve, assistants_modify,
    assistants_delete;
handler_fn threads_create, threads_list, threads_retrieve, threads_modify, threads_delete;
handler_fn messages_create, messages_list, messages_retrieve, messages_modify, messages_delete;
handler_fn runs_create, runs_create_with_thread, runs_list, runs_retrieve, runs_modify, runs_cancel,
    runs_submit_tool_outputs;
handler_fn run_steps_list, run_steps_retrieve;
handler_fn assistant_files_create, assistant_files_list, assistant_files_retrieve,
    assistant_files_delete, message_files_list, message_files_retrieve;

/* --- what rooms ask of each other --- */

/* The body of an assistant, put by the caller. 1 found, 0 not, -1 failed. */
int assistant_load(struct db_tx *tx, const char *tenant, const char *id, struct json_object **body);

/* Writes a body that was loaded, and changed. */
enum db_result assistant_store(struct db_tx *tx, const char *id, struct json_object *body);

/* The API's object of the call's tenant, put by the caller. 1 found, 0 not, -1 failed. */
int assistant_show(
    struct call *call, struct db_tx *tx, const char *id, struct json_object **assistant);

/*
 * The API's object of the message that the call's path names, put by the caller. False when there
 * is none: answered.
 */
bool call_message(struct call *call, struct db_tx *tx, struct json_object **message);

/* 1 found, 0 not, -1 failed. */
int thread_find(struct db_tx *tx, const char *tenant, const char *id, long long *seq);

/* The API's thread object, put by the caller. 1 found, 0 not, -1 failed. */
int thread_load(struct db_tx *tx, const char *tenant, const char *id, struct json_object **thread);

/* Checks a new thread; `prefix` is for the error's param, "" or "thread.". */
bool thread_check(struct call *call, struct json_object *thread, const char *prefix);

/* Inserts a checked thread, NULL for an empty one, with its messages. */
enum db_result thread_insert(struct db_tx *tx, const char *tenant, struct json_object *thread,
    char id[ID_SIZE], long long *seq);

/* Checks an array of new messages, NULL for none, `name` in the error. */
bool messages_check(struct call *call, struct json_object *messages, const char *name);

/* Inserts a client's checked messages. */
enum db_result messages_insert(struct db_tx *tx, long long thread, struct json_object *messages);

/*
 * The active run of a thread: 1 with its id, 0 none, -1 failed. One that is overdue, or whose
 * process died, is ended first, so the transaction must be one that writes.
 */
int run_active(struct api *api, struct db_tx *tx, long long thread, char id[ID_SIZE]);

/* --- what rooms do for those who move in and out: transfer.h --- */

/* A saved object on its way in. What is wrong with it is the call's answer. */
struct import {
	struct call *call; /* of the object's tenant */
	struct db_tx *tx;
	struct json_object *object; /* as the API showed it; it has an id and a created_at */
	struct json_object *stored; /* what an export has beside it; NULL: it is no export's */
};

/* 1 new, 0 it was there already, -1 answered. */
typedef int import_fn(struct import *import);

/*
 * The object's members of these names, checked by the table; the caller's to put. NULL: answered.
 */
struct json_object *import_checked(
    struct import *import, const struct field *fields, size_t fields_len);

/* What came of the statement that inserts, in these terms. */
int import_result(struct import *import, enum db_result result);

/*
 * Finds what the object belongs to: its thread, and, where `run` is not NULL, its run. False when
 * there is none: answered.
 */
bool import_owner(struct import *import, long long *thread, long long *run);

/* The object of a row, with its tenant and `stored`, put by the caller. NULL: no memory. */
typedef struct json_object *export_fn(struct db_stmt *row);

extern const char assistants_export_sql[], threads_export_sql[], runs_export_sql[],
    messages_export_sql[], run_steps_export_sql[];
export_fn assistant_export, thread_export, run_export, message_export, run_step_export;
import_fn assistant_import, thread_import, run_import, message_import, run_step_import;

#endif
