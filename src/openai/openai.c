#include "openai/openai.h"

#include "openai/transport.h"
#include "util/json.h"

void
openai_free(struct openai *openai)
{
	if (openai)
		openai->free(openai);
}

const char *
openai_place(const struct openai *openai)
{
	return openai->place;
}

bool
openai_ready(struct openai *openai)
{
	return openai->ready(openai);
}

void
openai_answer_free(struct openai_answer *answer)
{
	json_object_put(answer->body);
	answer->body = NULL;
}

const char *
openai_answer_error(const struct openai_answer *answer)
{
	const char *message = json_get_string(json_get_object(answer->body, "error"), "message");

	return message ? message : "";
}

void
openai_call(struct openai *openai, const char *method, const char *path, struct json_object *body,
    const struct interrupt *interrupt, struct openai_answer *answer)
{
	*answer = (struct openai_answer){.retry_after_s = -1};
	openai->call(openai, method, path, body, interrupt, answer);
}

void
openai_stream(struct openai *openai, const char *path, struct json_object *body,
    const struct interrupt *interrupt, api_event_fn *on_event, void *event_arg,
    struct openai_answer *answer)
{
	const struct openai_stream_call call = {
	    .path = path,
	    .body = body,
	    .interrupt = interrupt,
	    .on_event = on_event,
	    .event_arg = event_arg,
	};

	*answer = (struct openai_answer){.retry_after_s = -1};
	json_set(body, "stream", json_object_new_boolean(1));
	openai->stream(openai, &call, answer);
}
