/*
 * What all model servers have in common, whatever their API: sending the request, refusals, and the
 * ways in which an answer ends. An API is a dialect. Only for src/model/.
 */
#ifndef MODEL_HTTP_MODEL_H
#define MODEL_HTTP_MODEL_H

#include "model/backend.h"
#include "model/collector.h"
#include "model/history.h"
#include "model/refusal.h"

struct dialect {
	const char *path; /* below the base URL */
	/* Sets the request's own members, as far as the server accepts them. */
	void (*fill)(struct json_object *body, const struct model_request *request,
	    const struct history *history, unsigned needs);
	/*
	 * Reads an event without parsing all of it. 1: done. 0: parse it. -1: the answer breaks
	 * off. NULL: all events are parsed.
	 */
	int (*peek)(struct collector *answer, const char *name, const char *data, size_t len);
	int (*read_event)(struct collector *answer, const char *type, struct json_object *event);
	/* Reads an answer that was not streamed. False: it is no answer. */
	bool (*read_body)(struct collector *answer, struct json_object *body);
	/* Nothing more will come; the answer may be complete. */
	int (*read_end)(struct collector *answer);
	const struct refused *refused; /* refusals of members that only this API has */
	/* Errors of servers that have the path, but not this API behind it; ends with NULL. */
	const char *const *foreign;
};

/* NULL: no memory. */
struct model *server_model_new(
    struct http_client *client, const struct model_server *server, const struct dialect *dialect);

enum server_speaks {
	SERVER_SPEAKS,
	SERVER_MAY_NOT,  /* its answer was not in this dialect, nor anything known */
	SERVER_DOES_NOT, /* it says that it does not */
};

/* Like model_ask(). Also returns whether the server speaks this dialect. */
enum server_speaks server_model_ask(
    struct model *model, const struct model_request *request, struct model_result *result);

/* Handles an error in place of an answer, or in the middle of it. Always returns -1. */
int server_error(struct collector *answer, struct json_object *object);

/* The API's names for counts of tokens. */
struct usage_names {
	const char *prompt, *completion, *prompt_details, *completion_details;
};

/* `usage` may be NULL: nothing was reported. */
void server_read_usage(
    struct collector *answer, struct json_object *usage, const struct usage_names *names);

/* Sets a member, unless `value`, which is taken over, is NULL: many servers refuse null. */
void server_set(struct json_object *body, const char *name, struct json_object *value);

/* Copies the request's option, if it is set and the server does not refuse it. */
void server_set_option(
    struct json_object *body, const struct model_request *request, const char *name, bool refused);

/* A run's choice of tools, if it is a word other than the default; the caller's. */
struct json_object *server_tool_choice(struct json_object *choice);

/* parallel_tool_calls, if it is not the default; the caller's. */
struct json_object *server_parallel(struct json_object *options);

#endif
