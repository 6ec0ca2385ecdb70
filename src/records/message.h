/* A message of a thread, by its user or by a run. */
#ifndef RECORDS_MESSAGE_H
#define RECORDS_MESSAGE_H

#include "records/record.h"

enum message_role { MESSAGE_USER, MESSAGE_ASSISTANT };
extern const char *const message_role_words[];
/* Unknown words count as MESSAGE_USER. */
enum message_role message_role_of(const char *word);

/* Why a message is incomplete. */
enum message_reason {
	MESSAGE_REASON_NONE,
	MESSAGE_MAX_TOKENS,
	MESSAGE_CONTENT_FILTER,
	MESSAGE_RUN_CANCELLED,
	MESSAGE_RUN_EXPIRED,
	MESSAGE_RUN_FAILED,
	MESSAGE_REASON__MAX
};
/* The first word is MESSAGE_MAX_TOKENS'. */
extern const char *const message_reason_words[];
enum message_reason message_reason_of(const char *word);

/* Texts and JSON are borrowed. */
struct message {
	const char *id, *thread_id;
	const char *run_id, *assistant_id; /* NULL: a client's message */
	long long thread, run;             /* their seqs; run 0: a client's message */
	long long created_at;
	long long completed_at, incomplete_at; /* 0: it is not */
	enum message_role role;
	enum message_reason reason;
	struct json_object *content; /* array of the API's content parts; NULL: none yet */
	struct json_object *items;   /* see model_entry.items; NULL: none */
	struct json_object *body;    /* attachments, metadata; NULL: neither */
};

/* The API's object; the caller releases it. */
struct json_object *message_json(const struct message *message);

/* Reads the API's object from another server. Borrows from it. */
void message_of_json(struct json_object *object, struct message *message);

extern const struct record message_record;
/* The same for messages that belong to a run. */
extern const struct record run_message_record;

/* 1: inserted. 0: the id exists already. -1: failed. */
int message_insert(struct db_tx *tx, const struct message *message);

/* Whether the thread has a user message: 1, 0, or -1: failed. */
int message_of_user(struct db_tx *tx, long long thread);

/* The seq of the thread's last message; 0: none; -1: failed. */
long long message_last(struct db_tx *tx, long long thread);

/*
 * For an export: the SQL that selects all messages, except those of threads being deleted, and one
 * of its rows as JSON; the caller releases it.
 */
extern const char message_export_sql[];
struct json_object *message_exported(struct db_stmt *row);

#endif
