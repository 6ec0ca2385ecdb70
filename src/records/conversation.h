/*
 * A thread's stored conversation: its messages and the answered calls of its runs, in their order.
 */
#ifndef RECORDS_CONVERSATION_H
#define RECORDS_CONVERSATION_H

#include "records/message.h"

/*
 * A message, or a step of calls. Neighbouring steps with the same run and round belong to one
 * answer. Texts are valid until the next row.
 */
struct spoken {
	long long place; /* of the message, or of the message that the calls follow */
	bool calls;
	long long run, round;   /* of calls: see run_step.h */
	enum message_role role; /* of a message */
	const char *text;  /* JSON: the content; the step's details; of hosted calls, an array of
			      {id, name, arguments, output} */
	size_t len;        /* of the text, in bytes */
	const char *items; /* JSON, see model_entry.items; NULL: none */
};

/* Receives the next one. False: stop. */
typedef bool conversation_fn(void *arg, const struct spoken *spoken);

/*
 * Reads the conversation from one of its ends. 1: to the other end. 0: `tell` stopped it. -1:
 * failed.
 */
int conversation_read(
    struct db_tx *tx, long long thread, bool newest_first, conversation_fn *tell, void *arg);

#endif
