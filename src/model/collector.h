/*
 * An answer as it arrives from a model server: messages, then calls of functions. It is reported
 * through the request's callbacks, in the order and within the limits that they may rely on. Only
 * for src/model/.
 *
 * Functions that return an int return 0, or -1: the answer cannot go on, and `result` says why.
 */
#ifndef MODEL_COLLECTOR_H
#define MODEL_COLLECTOR_H

#include "model/members.h"
#include "model/model.h"
#include "model/thoughts.h"

/* The most bytes of an answer with all its messages and calls, or of one event. */
enum { ANSWER_MAX = 16 << 20 };

/* A call of a function. */
struct collector_call {
	char *key;                          /* the server's name for it; "": none */
	long long place;                    /* the server's index for it */
	char *id, *name;                    /* NULL: not reported yet */
	int index;                          /* the index under which it was reported */
	bool whole;                         /* it was reported to its end */
	struct buf words;                   /* the fragments of its arguments so far */
	struct members more, function_more; /* members that the server wants back */
};

struct collector {
	const struct model_request *request;
	struct model_result *result;
	const char *server; /* the base URL */
	bool begun;         /* something has arrived, if only reasoning */
	bool open;          /* a message has begun, and is not complete */
	bool any;           /* a message is complete */
	bool finished;      /* everything has come; only usage may follow */
	bool ended;         /* the server has reported how it ended */
	bool broken;        /* it cannot go on, */
	bool unkept;        /* because a callback could not store it */
	bool late;          /* something was left out, because it came after calls */
	bool bad_arguments; /* the arguments of some call are no JSON object */
	bool unopened;      /* its reasoning came without an opening tag */
	struct thoughts thoughts;
	enum model_outcome outcome; /* how the finished answer ended */
	struct buf words;           /* the text of the open message so far */
	enum model_part kind;
	size_t parts, size; /* number of parts, and bytes of completed ones */
	struct collector_call *calls;
	size_t calls_len, told;    /* number of calls, and of reported ones */
	struct json_object *items; /* to be sent back to the server; NULL: none yet */
	struct members more;       /* the same, members of the message */
	struct json_object *error; /* came in place of the answer, or of its rest; NULL: none */
};

/* `held`: see NEED_HELD_THOUGHTS. */
void collector_init(struct collector *answer, const struct model_request *request,
    struct model_result *result, const char *server, bool held);
void collector_free(struct collector *answer);

void collector_set_error(struct collector *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Breaks the answer off with this error. Always returns -1. */
int collector_break(struct collector *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns a callback's result; an error breaks the answer off. */
int collector_keep(struct collector *answer, int result);

/* Counts memory that is held until the answer's end. */
int collector_add_size(struct collector *answer, size_t len);

/* --- a message --- */

/* Whether calls have begun: a message after them is left out. */
bool collector_is_late(struct collector *answer);

/* Does nothing if a message is open. */
int collector_begin_message(struct collector *answer);
/*
 * More text of a message; reasoning is filtered out. Blank text begins no message, because many
 * models begin with line breaks, even if they go on to call a function.
 */
int collector_delta(struct collector *answer, enum model_part kind, int index, const char *words);
/* Shows text that no delta has shown; not filtered. */
int collector_show(struct collector *answer, enum model_part kind, int index, const char *words);
/* The text after the reasoning at its beginning. */
const char *collector_skip_thoughts(struct collector *answer, const char *text);
int collector_add_part(
    struct collector *answer, struct json_object *content, enum model_part kind, const char *words);
/* Takes `content` and `items` over. */
int collector_end_message(
    struct collector *answer, struct json_object *content, struct json_object *items);
/* Ends the open message, if there is one, with the text of its deltas. Takes `items` over. */
int collector_close_message(struct collector *answer, struct json_object *items);

/* --- calls --- */

/*
 * Begins a call, without a name yet. NULL: the answer was broken off; too many calls, or no memory.
 */
struct collector_call *collector_begin_call(
    struct collector *answer, const char *key, long long place);
/* Reports the call. If `id` is NULL, empty or another call's, it gets a new one. */
int collector_name_call(
    struct collector *answer, struct collector_call *call, const char *id, const char *name);
int collector_call_delta(
    struct collector *answer, struct collector_call *call, const char *fragment);
/* `arguments` NULL: those of its fragments. */
int collector_end_call(
    struct collector *answer, struct collector_call *call, const char *arguments);
/* Ends all open calls. */
int collector_close_calls(struct collector *answer);

#endif
