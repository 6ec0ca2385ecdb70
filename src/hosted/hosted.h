/*
 * Tools that the server runs itself, in a run, between two questions to the model. The model knows
 * each as a function; the API shows its calls in a form of their own.
 */
#ifndef HOSTED_HOSTED_H
#define HOSTED_HOSTED_H

#include "os/interrupt.h"
#include "records/run.h"

/* A call; borrowed. */
struct hosted_call {
	const struct run *run;
	struct json_object *tool; /* as the run has it: {type, …} */
	const char *id;
	const char *arguments; /* as the model wrote them: they may be no JSON */
	/* Raised: nobody wants the answer any more. To be asked at least once a second. */
	const struct interrupt *interrupt;
	long long deadline_ms; /* when the run expires, by clock_ms() */
};

struct hosted_tool {
	const char *type; /* the API's */
	const char *name; /* of the function that the model calls */
	/* That function, {name, description, parameters}; the caller's to put. */
	struct json_object *(*function)(const struct hosted_tool *self, struct json_object *tool);
	/* The call {id, type, …} as its step shows it until it has run; the caller's to put. */
	struct json_object *(*begin)(
	    const struct hosted_tool *self, const struct hosted_call *call);
	/*
	 * Runs the call, and makes of `shown`, what `begin` gave, what the step shows from now on.
	 * What the model is told, the caller's to free: also of what went wrong, in words that help
	 * it. NULL: interrupted, or the run's time is over, or there is no memory.
	 */
	char *(*run)(const struct hosted_tool *self, const struct hosted_call *call,
	    struct json_object *shown);
};

/*
 * The tools of this server, up to a NULL; NULL: none. A tool of a run that is not among them is
 * only shown, and the model does not know of it: today that is file_search, and code_interpreter.
 */
typedef const struct hosted_tool *const *hosted_tools;

/* The one that serves a run's tool, {type, …}. NULL: it is not hosted. */
const struct hosted_tool *hosted_of_type(hosted_tools hosted, struct json_object *tool);

/* The one that the model calls by `name` in a run with `tools`; *tool is the run's. NULL: none. */
const struct hosted_tool *hosted_find(
    hosted_tools hosted, struct json_object *tools, const char *name, struct json_object **tool);

/*
 * A run's options with functions in place of the tools that are hosted, as the model is to have
 * them; the caller's to put. Where the run has none, a reference to `options`.
 */
struct json_object *hosted_options(hosted_tools hosted, struct json_object *options);

#endif
