/*
 * What is the same for all kinds of objects: retrieve, modify, delete and list, over a description
 * of the kind. Only for src/assistants/.
 */
#ifndef ASSISTANTS_OBJECTS_H
#define ASSISTANTS_OBJECTS_H

#include "assistants/schema.h"

/* What an object belongs to; the number of ids before its own in the path. */
enum object_owner { OWNER_TENANT, OWNER_THREAD, OWNER_RUN };

struct kind {
	const char *name;    /* "run step", in errors */
	const char *prefix;  /* "step" */
	const char *deleted; /* "thread.message.deleted"; NULL: it cannot be deleted */
	enum object_owner owner;
	const struct record *record;
	/*
	 * A list may be restricted by this parameter: to a run's objects, by the run's id, or to
	 * those with this word. NULL: it may not.
	 */
	const char *restriction;
	const struct record *restricted;
	long long limit_max; /* of a list, and the default; 0: 100, and 20 */
	const char *no_such; /* in "No such …: ID"; NULL: an unknown id has the usual error */
	/* What can be modified; NULL: nothing. */
	const struct field *fields;
	size_t fields_len;
	/*
	 * Changes a stored body as the checked one says; NULL: its members replace the stored ones.
	 */
	void (*change)(struct json_object *stored, struct json_object *body);
};

typedef void handler_fn(struct call *call);

/* Handlers for all kinds. */
handler_fn object_retrieve, object_modify, object_delete, object_list;

/* Answers the object as it is in the transaction. False: it cannot be read, or there is none. */
bool object_answer(struct call *call, struct db_tx *tx, const char *id, const struct owner *owner);

/* {id, object, deleted: true}; the caller releases it. */
struct json_object *object_deleted(const char *id, const char *object);

/* The requested part of a list. */
struct page {
	long long limit;
	bool ascending;
	char *after, *before; /* ids; NULL: none */
	char *restriction;    /* see struct kind; NULL: none */
};

/* Reads the call's query. False: refused. Otherwise call page_free(). */
bool page_read(struct call *call, struct page *page);
void page_free(struct page *page);

/* {object: "list", data, first_id, last_id, has_more}; takes `data` over. */
struct json_object *list_object(struct json_object *data, bool has_more);

#endif
