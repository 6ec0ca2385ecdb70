/*
 * Hosted tools: the server runs them itself, during a run, between two questions to the model. The
 * model sees each as a function; the API shows its calls in a form of their own.
 */
#ifndef HOSTED_HOSTED_H
#define HOSTED_HOSTED_H

#include "os/interrupt.h"
#include "records/run.h"

/* A call; borrowed. */
struct hosted_call {
	const struct run *run;
	struct json_object *tool; /* as in the run: {type, …} */
	const char *id;
	const char *arguments; /* as the model wrote them: perhaps no JSON */
	/* Raised: the answer is no longer wanted. Check it at least once a second. */
	const struct interrupt *interrupt;
	long long deadline_ms; /* when the run expires, by clock_ms() */
};

struct hosted_tool {
	const char *type; /* in the API */
	const char *name; /* of the model's function */
	/* The function {name, description, parameters} for the model; the caller releases it. */
	struct json_object *(*function)(const struct hosted_tool *self, struct json_object *tool);
	/* The call {id, type, …} as its step shows it before it has run; the caller releases it. */
	struct json_object *(*begin)(
	    const struct hosted_tool *self, const struct hosted_call *call);
	/*
	 * Runs the call. Changes `shown`, which `begin` made, to what the step shows from now on.
	 * Returns the output for the model, the caller's to free. It also reports errors there, in
	 * words that help the model. NULL: interrupted, out of time, or out of memory.
	 */
	char *(*run)(const struct hosted_tool *self, const struct hosted_call *call,
	    struct json_object *shown);
};

/*
 * The tools of this server, then NULL; NULL: none. If a run has another tool, it is only shown, and
 * the model does not know of it. Today these are file_search and code_interpreter.
 */
typedef const struct hosted_tool *const *hosted_tools;

/* The hosted tool for a run's tool {type, …}. NULL: it is not hosted. */
const struct hosted_tool *hosted_of_type(hosted_tools hosted, struct json_object *tool);

/*
 * The hosted tool whose function is `name`, in a run with `tools`; *tool is the run's. NULL: none.
 */
const struct hosted_tool *hosted_find(
    hosted_tools hosted, struct json_object *tools, const char *name, struct json_object **tool);

/*
 * A run's options for the model, with functions in place of hosted tools; the caller releases it.
 * If the run has none, a reference to `options`.
 */
struct json_object *hosted_options(hosted_tools hosted, struct json_object *options);

#endif
