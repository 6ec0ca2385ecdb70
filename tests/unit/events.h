/*
 * Events of runs as clients get them, by name and data.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "runs/event.h"

typedef void event_heard_fn(void *arg, const char *event, struct json_object *data);

static inline void
event_hear(const struct event *event, event_heard_fn *heard, void *arg)
{
	struct json_object *data = event_json(event);
	char name[EVENT_NAME_SIZE];

	event_print_name(event, name);
	heard(arg, name, data);
	json_object_put(data);
}

#endif
