/*
 * A thread's conversation as it is stored: its messages, and the answered calls of its runs, in the
 * order in which they were said and done.
 */
#ifndef RECORDS_CONVERSATION_H
#define RECORDS_CONVERSATION_H

#include "records/message.h"

/*
 * A message, or a step of calls. Neighbouring steps of one run's round are one answer's. Texts are
 * the row's, until the next is told.
 */
struct spoken {
	long long place; /* of the message, or of the one that the calls stand behind */
	bool calls;
	long long run, round;   /* of calls, see run_step.h */
	enum message_role role; /* of a message */
	const char *text;  /* JSON: the content; the step's details; of hosted calls, an array of
			      {id, name, arguments, output} */
	size_t len;        /* of the text, in bytes */
	const char *items; /* JSON, see model_request.context; NULL: none */
};

/* Gets the next one. False: that is enough. */
typedef bool conversation_fn(void *arg, const struct spoken *spoken);

/* Tells the conversation from one of its ends on. 1 to the other end, 0 it was enough, -1 failed.
 */
int conversation_read(
    struct db_tx *tx, long long thread, bool newest_first, conversation_fn *tell, void *arg);

#endif
