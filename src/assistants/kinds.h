/*
 * The kinds of objects, and what their files give each other: a file each. Only for
 * src/assistants/.
 */
#ifndef ASSISTANTS_KINDS_H
#define ASSISTANTS_KINDS_H

#include "assistants/objects.h"
#include "records/thread.h"

extern const struct kind assistant_kind, thread_kind, message_kind, run_kind, run_step_kind;

handler_fn assistant_create;
handler_fn thread_create, thread_remove;
handler_fn message_create;
handler_fn run_create, run_create_with_thread, run_list, run_retrieve, run_modify, run_cancel_call,
    run_submit_tool_outputs;
handler_fn assistant_file_create, assistant_file_list, assistant_file_retrieve,
    assistant_file_delete, message_file_list, message_file_retrieve;

/* Checks a new assistant's body; a new thread's, `prefix` in the error's param: "" or "thread.". */
bool assistant_check(struct call *call, struct json_object *assistant);
bool thread_check(struct call *call, struct json_object *thread, const char *prefix);

/* Checks an array of new messages, NULL for none, `name` in the error, and makes their ids. */
bool messages_check(struct call *call, struct json_object *messages, const char *name);

/*
 * Inserts a checked thread, NULL for an empty one, under an id that is new, with its messages. 1
 * with its seq, or -1 failed.
 */
int thread_insert_new(const struct call *call, struct db_tx *tx, struct json_object *thread,
    const char *id, long long *seq);

/* Inserts checked messages of a client. 1, or -1 failed. */
int messages_insert_new(
    const struct call *call, struct db_tx *tx, long long thread, struct json_object *messages);

/* --- moving in --- */

enum { IMPORT_ID_MAX = 256 };

/* A saved object on its way in. What is wrong with it is the call's answer. */
struct import {
	struct call *call; /* of the object's tenant */
	struct db_tx *tx;
	struct json_object *object; /* as the API showed it; it has an id and a created_at */
	struct json_object *stored; /* what an export has beside it; NULL: it is no export's */
};

/* 1 new, 0 it was there already, -1 refused, or the database failed. */
typedef int import_fn(struct import *import);
import_fn assistant_import, thread_import, message_import, run_import, run_step_import;

/* The object's members of these names, checked by the table; the caller's to put. NULL: refused. */
struct json_object *import_checked(
    struct import *import, const struct field *fields, size_t fields_len);

/*
 * Finds what the object belongs to: its thread, and, where `run` is not NULL, its run. False when
 * there is none: refused.
 */
bool import_owner(struct import *import, long long *thread, long long *run);

#endif
