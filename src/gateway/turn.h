/*
 * A user's words put to the assistant: the door, the run, the tools that it calls, and what came of
 * it all. Only for src/gateway/.
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

/* What a run brought. */
struct reply {
	struct json_object *messages; /* the run's, oldest first, each once */
	struct json_object *run;      /* as its last event told it; NULL: none did */
	char status[32];              /* how it ended; "" if no event told */
	enum tools_end tools;
	/*
	 * What the run called last, and the tools' outputs, one for each, until it is told that the
	 * run goes on; NULL: nothing.
	 */
	struct json_object *calls, *outputs;
};

void reply_init(struct reply *reply);
void reply_free(struct reply *reply);

/*
 * Puts the words to the assistant, and waits for the end, telling `stream` what comes, and
 * `deferral` for which run it is. False when that was refused, or there is no assistant: answered.
 */
bool ask(struct gateway *gateway, struct stream *stream, struct deferral *deferral,
    const char *words, struct reply *reply, struct openai_answer *answer);

/* Whether another run had the thread, for all the time that was waited. */
bool is_busy(const struct openai_answer *answer);

#endif
