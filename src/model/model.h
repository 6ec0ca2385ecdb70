/*
 * The one question: given this context and these options, what does the model say? Asked of a model
 * server, or of the script that is built in. Knows nothing of threads and runs.
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
	/* The name of the model that is sent, by the one that was asked for, or "*"; NULL: that. */
	struct json_object *models;
	const struct model_memory *memory; /* copied; NULL: this process alone remembers */
};

/* That name. `models` may be NULL. */
const char *model_sent_name(struct json_object *models, const char *asked);

/*
 * A server that speaks the Responses API. Everything is borrowed, and must live longer. NULL: no
 * memory.
 */
struct model *model_responses_new(struct http_client *client, const struct model_server *server);

/* The same for one that speaks Chat Completions. */
struct model *model_chat_new(struct http_client *client, const struct model_server *server);

/* The same for one that speaks either: which, it finds out, and remembers. */
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
	 * A message's parts, as the Assistants API has them, or words alone, not blank, as a
	 * json_literal(). Of calls an array of {id, name, arguments, output}.
	 */
	struct json_object *content;
	/*
	 * What was given to on_written or left in model_result, NULL: nothing. It means something
	 * to src/model/ alone.
	 */
	struct json_object *items;
};

/* A conversation, oldest first. */
struct model_context {
	struct model_entry *entries;
	size_t len, size;
	bool failed; /* there was no memory for an entry */
};

/* Adds an entry, and takes `content` and `items` over. */
void model_context_add(struct model_context *context, enum model_entry_kind kind,
    struct json_object *content, struct json_object *items);
void model_context_free(struct model_context *context);

struct model_request {
	/* Members as in the Assistants API's run: model, instructions, tools, temperature, … */
	struct json_object *options;
	/* What was said and done so far, as it came: how a server is told of it is history.h's
	 * affair.
	 */
	const struct model_context *context;
	long long max_output_tokens; /* 0: no limit */
	long long deadline_ms;       /* when the run expires, by clock_ms() */
	const struct interrupt *interrupt;

	/*
	 * The answer as it comes: messages, one after the other, each of deltas and then the whole;
	 * then calls of functions, each of fragments of its arguments and then the whole, one after
	 * the other or mixed. `items`, NULL or JSON, is what the message is to be told by the next
	 * time, borrowed like `content`. Non-zero ends it all as MODEL_FAILED.
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
	MODEL_TOO_LONG,   /* the context is more than the model takes; nothing was said */
	MODEL_BUSY,       /* 429, 503 or 529, also after repeats */
	MODEL_FAILED,
	MODEL_SILENT, /* the time is over */
	MODEL_INTERRUPTED,
	MODEL__MAX
};

enum model_incomplete { MODEL_MAX_TOKENS, MODEL_MAX_PROMPT, MODEL_CONTENT_FILTER };

struct model_result {
	enum model_outcome outcome;
	enum model_incomplete incomplete;
	long long prompt_tokens, completion_tokens; /* -1: the server did not say */
	long long cached_tokens, reasoning_tokens;  /* of these; 0 where it did not say */
	bool charged;       /* the server was at work, whatever came of it: it may want its pay */
	long retry_after_s; /* of MODEL_BUSY; -1: the server did not say */
	struct json_object
	    *items; /* after the last message, for the calls; NULL: none; the caller's */
	/*
	 * What went wrong, with the server's own words, without secrets, in UTF-8: for the log and
	 * last_error.
	 */
	char error[512];
	const char *url; /* that was asked, for the log; the model's; NULL: none was */
};

/* Asks, and returns when the answer is whole or will not come. */
void model_ask(
    struct model *model, const struct model_request *request, struct model_result *result);

/*
 * A content part, {type: text, text: {value, annotations: []}}, and a content of it; the caller's
 * to put.
 */
struct json_object *model_text_part(const char *words);
struct json_object *model_text_content(const char *words);

#endif
