/*
 * What is the same for all model servers, whichever API they speak: the request's way there, the
 * server's refusals, the ends that an answer may come to. An API is a dialect. Only for src/model/.
 */
#ifndef MODEL_SERVER_H
#define MODEL_SERVER_H

#include "model/answer.h"
#include "model/backend.h"

/*
 * A member of requests that is good to have, and that some servers refuse: who names `words` in a
 * refusal is asked again, without. Remembered for the model, unless it was due to the conversation.
 */
struct optional {
	const char *words;
	unsigned bit;
	bool once;
};

struct dialect {
	const char *path; /* below the base URL */
	/* The request's own members, without those whose bits are set. */
	void (*fill)(struct json_object *body, const struct model_request *request,
	    const char *server, unsigned without);
	/*
	 * Reads an event that need not be parsed whole, or not at all. 1: done, 0: parse it, -1:
	 * the answer breaks off. NULL: all are parsed.
	 */
	int (*peek)(struct answer *answer, const char *name, const char *data, size_t len);
	int (*read_event)(struct answer *answer, const char *type, struct json_object *event);
	/* An answer that was not streamed. False: it is none. */
	bool (*read_body)(struct answer *answer, struct json_object *body);
	/* No more will come; it may be the answer's end. */
	int (*read_end)(struct answer *answer);
	const struct optional *optional; /* until `words` is NULL */
};

/* NULL: no memory. */
struct model *server_model_new(
    struct http_client *client, const struct model_server *server, const struct dialect *dialect);

/* As model_ask(). False: the server does not speak this dialect. */
bool server_model_ask(
    struct model *model, const struct model_request *request, struct model_result *result);

/* An error that came instead of an answer, or in the middle of it. Always -1. */
int server_error(struct answer *answer, struct json_object *object);

/* Tokens, as the API names them. A count that is none is as good as not told. */
void server_read_usage(
    struct answer *answer, struct json_object *usage, const char *prompt, const char *completion);

/* Sets a member unless `value`, which is taken over, is NULL: servers stumble over null. */
void server_set(struct json_object *body, const char *name, struct json_object *value);

/* A run's choice of tools, where it is a word and not the default; the caller's. */
struct json_object *server_tool_choice(struct json_object *choice);

/* parallel_tool_calls, where it is not the default; the caller's. */
struct json_object *server_parallel(struct json_object *options);

#endif
