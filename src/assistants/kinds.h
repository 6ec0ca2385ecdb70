/* The kinds of objects, one file each, and what these files share. Only for src/assistants/. */
#ifndef ASSISTANTS_KINDS_H
#define ASSISTANTS_KINDS_H

#include "assistants/objects.h"
#include "records/thread.h"

extern const struct kind assistant_kind, thread_kind, message_kind, run_kind, run_step_kind,
    file_kind;

handler_fn assistant_create;
handler_fn thread_create, thread_remove;
handler_fn message_create;
handler_fn run_create, run_create_with_thread, run_list, run_retrieve, run_modify, run_cancel_call,
    run_submit_tool_outputs;
handler_fn file_create, file_content, file_delete;
handler_fn assistant_file_create, assistant_file_list, assistant_file_retrieve,
    assistant_file_delete, message_file_list, message_file_retrieve;

/*
 * Check the body of a new assistant, and of a new thread; `prefix` for the error's param: "" or
 * "thread.".
 */
bool assistant_check(struct call *call, struct json_object *assistant);
bool thread_check(struct call *call, struct json_object *thread, const char *prefix);

/* Checks an array of new messages, NULL: none, named `name` in errors, and makes their ids. */
bool messages_check(struct call *call, struct json_object *messages, const char *name);

/*
 * Inserts a checked thread, NULL: an empty one, under a new id, with its messages. 1 with its seq;
 * -1: failed.
 */
int thread_insert_new(const struct call *call, struct db_tx *tx, struct json_object *thread,
    const char *id, long long *seq);

/* Inserts checked messages of a client. 1; -1: failed. */
int messages_insert_new(
    const struct call *call, struct db_tx *tx, long long thread, struct json_object *messages);

/* Deletes expired files, and bytes that belong to no file. False: the database failed. */
bool files_sweep(struct db *db, const struct blobs *blobs);

/* --- import --- */

enum { IMPORT_ID_MAX = 256 };

/* An object being imported. If something is wrong with it, the call's answer says what. */
struct import {
	struct call *call; /* its tenant is the object's */
	struct db_tx *tx;
	struct json_object *object; /* as the API shows it, with id and created_at */
	struct json_object *stored; /* an exported line's `stored`; NULL: not an export's */
};

/* 1: new. 0: it was there already. -1: refused, or the database failed. */
typedef int import_fn(struct import *import);
import_fn assistant_import, thread_import, message_import, run_import, run_step_import;

/* The object's members in this table, checked; the caller releases it. NULL: refused. */
struct json_object *import_checked(
    struct import *import, const struct field *fields, size_t fields_len);

/*
 * Finds the object's thread, and its run if `run` is not NULL. False: there is none (refused), or
 * the database failed.
 */
bool import_owner(struct import *import, long long *thread, long long *run);

#endif
