/*
 * What a run reports while it is executed. An event borrows everything, and is valid only during
 * the call that reports it.
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
	EVENT_RUN, /* the run has this status now */
	EVENT_STEP_CREATED,
	EVENT_STEP, /* the step has this status now */
	EVENT_STEP_DELTA,
	EVENT_MESSAGE_CREATED,
	EVENT_MESSAGE_IN_PROGRESS,
	EVENT_MESSAGE_DELTA,
	EVENT_MESSAGE, /* it is complete or incomplete: nothing more follows */
	EVENT__MAX
};

struct event {
	enum event_kind kind;
	struct json_object *thread;    /* of EVENT_THREAD_CREATED, the API's object */
	const struct run *run;         /* of EVENT_RUN… */
	const struct run_step *step;   /* of EVENT_STEP… */
	const struct message *message; /* of EVENT_MESSAGE… */
	/* Of deltas: the index in the content, or among the calls. */
	int index;
	enum model_part part;
	const char *text; /* of a message */
	bool first;       /* the first delta of its message */
	/*
	 * Of a step: a call's first delta has id and name, perhaps arguments; later ones have only
	 * arguments. NULL: absent.
	 */
	const char *call_id, *call_name, *arguments;
	struct json_object *call; /* of a step: a hosted tool's call, whole, at its beginning */
};

struct listener {
	void (*on_event)(void *arg, const struct event *event);
	void *arg;
	const struct interrupt *interrupt; /* raised: stop, nobody needs the events; NULL: never */
};

/* The event's name in the API's streams, such as "thread.run.step.delta". */
enum { EVENT_NAME_SIZE = 48 };
void event_print_name(const struct event *event, char name[EVENT_NAME_SIZE]);

/* Its data; the caller releases it. */
struct json_object *event_json(const struct event *event);

#endif
