/*
 * A turn of the conversation: the user's words are put to the assistant, its tools are run, and the
 * reply comes. Only for src/gateway/.
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
	TOOLS_MISSING, /* the run wanted one, and there is no folder of tools: it was cancelled */
	TOOLS_ENDLESS, /* it wanted them again and again: it was cancelled */
};

enum { REPLY_ID_SIZE = 256 };

/* A message of the run's. */
struct said {
	char id[REPLY_ID_SIZE];
	struct json_object *content; /* array of the API's content parts */
	enum message_reason reason;
};

/* What a run brought. */
struct reply {
	struct said *said; /* oldest first, each once */
	size_t said_len;
	bool failed; /* there was no memory for one */
	/* The run, as its last event told it. */
	char run_id[REPLY_ID_SIZE], thread_id[REPLY_ID_SIZE]; /* "": none did */
	enum run_status status;                               /* RUN_STATUS__MAX: none did */
	enum run_reason reason;
	enum run_error error;
	struct json_object *usage;  /* NULL: unknown */
	struct json_object *wanted; /* the calls that it waits for; NULL: it does not say */
	enum tools_end tools;
	/*
	 * What the run called last, and the tools' outputs, one for each, until it is told that the
	 * run goes on; NULL: nothing.
	 */
	struct json_object *calls, *outputs;
};

void reply_init(struct reply *reply);
void reply_free(struct reply *reply);

/* Adds a message; false: it is there already, or there is no memory for it. */
bool reply_add(struct reply *reply, const struct message *message);

/* Takes what is known of the run. */
void reply_meet_run(struct reply *reply, const struct run *run);

/*
 * Puts the words to the assistant, and waits for the end, telling `stream` what comes, and
 * `deferral` which run it is. False when that was refused, or there is no assistant: answered.
 */
bool turn_take(struct gateway *gateway, struct stream *stream, struct deferral *deferral,
    const char *words, struct reply *reply, struct openai_answer *answer);

#endif
