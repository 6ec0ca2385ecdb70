/*
 * Asks a model one question: given this context and these options, what does it say? The model is
 * behind a model server, or is the built-in script. This file knows nothing of threads and runs.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <json.h>
#include <stdbool.h>

#include "model/needs.h"
#include "net/http_client.h"
#include "os/interrupt.h"

struct model;

struct model_server {
	const char *base_url; /* "https://api.openai.com/v1" */
	const char *api_key;  /* NULL: none is sent */
	/* Name asked for → name sent; "*": all others; NULL: unchanged. */
	struct json_object *models;
	const struct model_memory *memory; /* copied; NULL: only this process remembers */
};

/* The name that is sent. `models` may be NULL. */
const char *model_sent_name(struct json_object *models, const char *asked);

/* A server with the Responses API. Arguments are borrowed. NULL: no memory. */
struct model *model_responses_new(struct http_client *client, const struct model_server *server);

/* A server with Chat Completions. */
struct model *model_chat_new(struct http_client *client, const struct model_server *server);

/* A server with either; finds out which, and remembers it. */
struct model *model_auto_new(struct http_client *client, const struct model_server *server);

/* The built-in script. */
struct model *model_offline_new(void);

void model_free(struct model *model);

enum model_part { MODEL_TEXT, MODEL_REFUSAL };

enum model_entry_kind { MODEL_USER, MODEL_ASSISTANT, MODEL_CALLS };

/* A message, or calls of functions, all of them answered. */
struct model_entry {
	enum model_entry_kind kind;
	/*
	 * Of a message: its parts, as in the Assistants API, or only text, not blank, as a
	 * json_literal(). Of calls: an array of {id, name, arguments, output}.
	 */
	struct json_object *content;
	/*
	 * What on_written or model_result gave for storing; NULL: nothing. Only src/model/
	 * understands it.
	 */
	struct json_object *items;
};

/* A conversation, oldest first. */
struct model_context {
	struct model_entry *entries;
	size_t len, size;
	bool failed; /* out of memory: an entry is missing */
};

/* Adds an entry; takes `content` and `items` over. */
void model_context_add(struct model_context *context, enum model_entry_kind kind,
    struct json_object *content, struct json_object *items);
void model_context_free(struct model_context *context);

struct model_request {
	/* Members of the Assistants API's run: model, instructions, tools, temperature, … */
	struct json_object *options;
	/* The conversation so far, as it was stored. history.h decides in which form it is sent. */
	const struct model_context *context;
	long long max_output_tokens; /* 0: no limit */
	long long deadline_ms;       /* when the run expires, by clock_ms() */
	const struct interrupt *interrupt;

	/*
	 * Callbacks for the answer as it arrives: messages, one after the other, each as deltas and
	 * then whole; then calls of functions, each as fragments of its arguments and then whole,
	 * one after the other or mixed. `items`, NULL or JSON, is to be stored and passed as
	 * model_entry.items later; borrowed like `content`. Non-zero ends everything as
	 * MODEL_FAILED.
	 */
	int (*on_message)(void *arg);
	int (*on_delta)(void *arg, enum model_part kind, int index, const char *words);
	int (*on_written)(void *arg, struct json_object *content, struct json_object *items);
	int (*on_call)(void *arg, int index, const char *id, const char *name);
	int (*on_arguments)(void *arg, int index, const char *fragment);
	int (*on_called)(void *arg, int index, const char *arguments);
	void *arg;
};

enum model_outcome {
	MODEL_COMPLETED,
	MODEL_INCOMPLETE, /* `incomplete` says why */
	MODEL_TOO_LONG,   /* the context is too long for the model; it said nothing */
	MODEL_BUSY,       /* 429, 503 or 529, even after repetitions */
	MODEL_FAILED,
	MODEL_SILENT, /* timed out */
	MODEL_INTERRUPTED,
	MODEL__MAX
};

enum model_incomplete { MODEL_MAX_TOKENS, MODEL_MAX_PROMPT, MODEL_CONTENT_FILTER };

struct model_result {
	enum model_outcome outcome;
	enum model_incomplete incomplete;
	long long prompt_tokens, completion_tokens; /* -1: not reported */
	long long cached_tokens, reasoning_tokens;  /* parts of them; 0: not reported */
	bool charged;       /* the server was at work, so it may have to be paid */
	long retry_after_s; /* of MODEL_BUSY; -1: none */
	struct json_object
	    *items; /* for the calls, after the last message; NULL: none; the caller's */
	/*
	 * What went wrong, with the server's own words, without secrets, in UTF-8: for the log and
	 * last_error.
	 */
	char error[512];
	const char *url; /* the URL asked, for the log, owned by the model; NULL: none */
};

/* Asks. Returns when the answer is complete, or will not come. */
void model_ask(
    struct model *model, const struct model_request *request, struct model_result *result);

/*
 * A content part {type: text, text: {value, annotations: []}}, and a content with one; the caller's
 * to put.
 */
struct json_object *model_text_part(const char *words);
struct json_object *model_text_content(const char *words);

#endif
