/*
 * What is the same for all model servers, whichever API they speak: the request's way there, the
 * server's refusals, the ends that an answer may come to. An API is a dialect. Only for src/model/.
 */
#ifndef MODEL_HTTP_MODEL_H
#define MODEL_HTTP_MODEL_H

#include "model/backend.h"
#include "model/collector.h"
#include "model/history.h"
#include "model/refusal.h"

struct dialect {
	const char *path; /* below the base URL */
	/* The request's own members, as far as the server takes them. */
	void (*fill)(struct json_object *body, const struct model_request *request,
	    const struct history *history, unsigned needs);
	/*
	 * Reads an event that need not be parsed whole, or not at all. 1: done, 0: parse it, -1:
	 * the answer breaks off. NULL: all are parsed.
	 */
	int (*peek)(struct collector *answer, const char *name, const char *data, size_t len);
	int (*read_event)(struct collector *answer, const char *type, struct json_object *event);
	/* An answer that was not streamed. False: it is none. */
	bool (*read_body)(struct collector *answer, struct json_object *body);
	/* No more will come; it may be the answer's end. */
	int (*read_end)(struct collector *answer);
	const struct refused *refused; /* what its own members are refused by */
	/* Words of servers that know the path, and not the API behind it; NULL-terminated. */
	const char *const *foreign;
};

/* NULL: no memory. */
struct model *server_model_new(
    struct http_client *client, const struct model_server *server, const struct dialect *dialect);

enum server_speaks {
	SERVER_SPEAKS,
	SERVER_MAY_NOT,  /* what it answered was no answer in this dialect, nor anything known */
	SERVER_DOES_NOT, /* it says so */
};

/* As model_ask(). Whether the server speaks this dialect. */
enum server_speaks server_model_ask(
    struct model *model, const struct model_request *request, struct model_result *result);

/* An error that came instead of an answer, or in the middle of it. Always -1. */
int server_error(struct collector *answer, struct json_object *object);

/* What the API calls the counts of tokens. */
struct usage_names {
	const char *prompt, *completion, *prompt_details, *completion_details;
};

/* `usage` may be NULL: nothing is told then. */
void server_read_usage(
    struct collector *answer, struct json_object *usage, const struct usage_names *names);

/* Sets a member unless `value`, which is taken over, is NULL: servers stumble over null. */
void server_set(struct json_object *body, const char *name, struct json_object *value);

/* Sets the request's option of that name, if it has one, unless it is refused. */
void server_set_option(
    struct json_object *body, const struct model_request *request, const char *name, bool refused);

/* A run's choice of tools, where it is a word and not the default; the caller's. */
struct json_object *server_tool_choice(struct json_object *choice);

/* parallel_tool_calls, where it is not the default; the caller's. */
struct json_object *server_parallel(struct json_object *options);

#endif
