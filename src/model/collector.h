/*
 * An answer on its way from a model server to whoever asked: messages, then calls of functions,
 * told by the request's callbacks in the order and within the bounds that they may rely on. Only
 * for src/model/.
 *
 * Functions that give an int: 0, or -1 when the answer cannot go on; `result` then says why.
 */
#ifndef MODEL_COLLECTOR_H
#define MODEL_COLLECTOR_H

#include "model/members.h"
#include "model/model.h"
#include "model/thoughts.h"

/* An answer with all its messages and calls, or one event of it. */
enum { ANSWER_MAX = 16 << 20 };

/* A call of a function. */
struct collector_call {
	char *key;                          /* by which the server names it; "" if by nothing */
	long long place;                    /* its index at the server */
	char *id, *name;                    /* NULL: it has not been told yet */
	int index;                          /* by which it was told */
	bool whole;                         /* it has been told to its end */
	struct buf words;                   /* the fragments of its arguments */
	struct members more, function_more; /* that the server wants back */
};

struct collector {
	const struct model_request *request;
	struct model_result *result;
	const char *server; /* its base URL */
	bool begun;         /* something of it came, if only a thought */
	bool open;          /* a message has begun, and is not written yet */
	bool any;           /* a message has been written */
	bool finished;      /* all was said; what may follow is usage */
	bool ended;         /* the server has said how it ended */
	bool broken;        /* it cannot go on, */
	bool unkept;        /* because whoever asked could not keep it */
	bool late;          /* something was left out: it was said after calls began */
	bool bad_arguments; /* a call has some that are no JSON object */
	bool unopened;      /* its thoughts came without their opening tag */
	struct thoughts thoughts;
	enum model_outcome outcome; /* of what is finished */
	struct buf words;           /* the open message's deltas */
	enum model_part kind;
	size_t parts, size; /* of all that was said: how many, and bytes of what is whole */
	struct collector_call *calls;
	size_t calls_len, told;    /* calls, and how many of them have been told */
	struct json_object *items; /* what the server is to be given back; NULL: nothing yet */
	struct members more;       /* the same, of the message */
	struct json_object *error; /* came in place of the answer, or of its rest; NULL: none */
};

/* `held`: see NEED_HELD_THOUGHTS. */
void collector_init(struct collector *answer, const struct model_request *request,
    struct model_result *result, const char *server, bool held);
void collector_free(struct collector *answer);

void collector_set_error(struct collector *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The answer breaks off, with the error that says why. Always -1. */
int collector_break(struct collector *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Passes a callback's result on; what it refused breaks the answer off. */
int collector_keep(struct collector *answer, int result);

/* Counts what stays in memory until the answer's end. */
int collector_add_size(struct collector *answer, size_t len);

/* --- a message --- */

/* Whether it is too late for one, since there are calls: then it is left out. */
bool collector_is_late(struct collector *answer);

/* Nothing if one is open. */
int collector_begin_message(struct collector *answer);
/*
 * The next words of a message, without thoughts. Blank ones begin none: many models begin with line
 * breaks, also where they go on to call a function.
 */
int collector_delta(struct collector *answer, enum model_part kind, int index, const char *words);
/* Words that no delta has shown; not filtered. */
int collector_show(struct collector *answer, enum model_part kind, int index, const char *words);
/* Where the words of a whole text begin, behind thoughts. */
const char *collector_skip_thoughts(struct collector *answer, const char *text);
int collector_add_part(
    struct collector *answer, struct json_object *content, enum model_part kind, const char *words);
/* Takes `content` over, and `items`. */
int collector_end_message(
    struct collector *answer, struct json_object *content, struct json_object *items);
/* Ends the open message, if there is one, with what its deltas said. Takes `items` over. */
int collector_close_message(struct collector *answer, struct json_object *items);

/* --- calls --- */

/* A call that has no name yet. NULL: there are too many. */
struct collector_call *collector_begin_call(
    struct collector *answer, const char *key, long long place);
/* Tells it. `id` may be NULL, empty or another call's: then it gets a new one. */
int collector_name_call(
    struct collector *answer, struct collector_call *call, const char *id, const char *name);
int collector_call_delta(
    struct collector *answer, struct collector_call *call, const char *fragment);
/* `arguments` NULL: what its fragments said. */
int collector_end_call(
    struct collector *answer, struct collector_call *call, const char *arguments);
/* Ends those that are still open. */
int collector_close_calls(struct collector *answer);

#endif
