/*
 * What a run tells while it is carried out, as it comes. An event borrows everything, and lasts as
 * long as the call that tells it.
 */
#ifndef RUNS_EVENT_H
#define RUNS_EVENT_H

#include "model/model.h"
#include "os/interrupt.h"
#include "records/message.h"
#include "records/run.h"
#include "records/run_step.h"

enum event_kind {
	EVENT_THREAD_CREATED,
	EVENT_RUN_CREATED,
	EVENT_RUN, /* it has this status from now on */
	EVENT_STEP_CREATED,
	EVENT_STEP, /* it has this status from now on */
	EVENT_STEP_DELTA,
	EVENT_MESSAGE_CREATED,
	EVENT_MESSAGE_IN_PROGRESS,
	EVENT_MESSAGE_DELTA,
	EVENT_MESSAGE, /* it is whole, or incomplete: nothing more of it comes */
	EVENT__MAX
};

struct event {
	enum event_kind kind;
	struct json_object *thread;    /* of EVENT_THREAD_CREATED, the API's object */
	const struct run *run;         /* of EVENT_RUN… */
	const struct run_step *step;   /* of EVENT_STEP… */
	const struct message *message; /* of EVENT_MESSAGE… */
	/* Of deltas: which part of the content, or which call. */
	int index;
	enum model_part part;
	const char *text; /* of a message */
	bool first;       /* of that message's */
	/* Of a step: a call begins with the first two; later only arguments come. NULL: not. */
	const char *call_id, *call_name, *arguments;
	struct json_object *call; /* of a step: a hosted tool's, whole, as it begins */
};

struct listener {
	void (*on_event)(void *arg, const struct event *event);
	void *arg;
	const struct interrupt *interrupt; /* raised: nobody listens any more; NULL: never */
};

/* The event's name, as the API's streams have it: "thread.run.step.delta". */
enum { EVENT_NAME_SIZE = 48 };
void event_print_name(const struct event *event, char name[EVENT_NAME_SIZE]);

/* Its data; the caller's to put. */
struct json_object *event_json(const struct event *event);

#endif
