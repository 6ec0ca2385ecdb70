/*
 * A turn of the conversation: the user's text is sent to the assistant, its tools are run, and the
 * reply is collected. Only for src/gateway/.
 */
#ifndef GATEWAY_TURN_H
#define GATEWAY_TURN_H

#include "gateway/deferral.h"
#include "gateway/internal.h"
#include "gateway/stream.h"
#include "text/json.h"

/* How often a run may call tools before it is cancelled. */
enum { TOOL_ROUNDS_MAX = 10 };

enum tools_end {
	TOOLS_WELL,
	TOOLS_MISSING, /* the run called a tool, and there are none: cancelled */
	TOOLS_ENDLESS, /* the run called too many tools, or too often: cancelled */
};

enum { REPLY_ID_SIZE = 256 };

/* One message of the run. */
struct said {
	char id[REPLY_ID_SIZE];
	struct json_object *content; /* array of the API's content parts */
	enum message_reason reason;
};

/* What a run has produced. */
struct reply {
	struct said *said; /* oldest first, each once */
	size_t said_len;
	bool failed; /* out of memory: some message is missing */
	/* The run, from its last event. */
	char run_id[REPLY_ID_SIZE], thread_id[REPLY_ID_SIZE]; /* "": no event yet */
	enum run_status status;                               /* RUN_STATUS__MAX: no event yet */
	enum run_reason reason;
	enum run_error error;
	struct json_object *usage;  /* NULL: unknown */
	struct json_object *wanted; /* the calls that it waits for; NULL: not given */
	enum tools_end tools;
	/*
	 * The run's last calls and the tools' outputs, one for each, until an event says that the
	 * run continues; NULL: none.
	 */
	struct json_object *calls, *outputs;
};

void reply_init(struct reply *reply);
void reply_free(struct reply *reply);

/* Adds a message. False: it is there already, or there is no memory. */
bool reply_add(struct reply *reply, const struct message *message);

/* Copies what an event says of the run. */
void reply_meet_run(struct reply *reply, const struct run *run);

/*
 * Sends the text to the assistant and waits for the end. Passes events to `stream` and the run's id
 * to `deferral`. False: refused, or there is no assistant; answered.
 */
bool turn_take(struct gateway *gateway, struct stream *stream, struct deferral *deferral,
    const char *words, struct reply *reply, struct openai_answer *answer);

#endif
