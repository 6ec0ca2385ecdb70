#include "gateway/definition.h"

#include <errno.h>
#include <pthread.h>

#include "obs/log.h"
#include "os/file.h"
#include "text/json.h"
#include "text/memory.h"

enum { DEFINITION_MAX = 4 << 20 };

static const char built_in_name[] = "assistants-fcgi";
static const char built_in_instructions[] =
    "You are a helpful assistant on a web site. Answer in plain text, briefly and clearly.";

static const char answer_max_name[] = "max_completion_tokens";

struct definitions {
	const struct config *config;
	char *own; /* the JSON without the tools of the folder */
	/*
	 * Requests that find the folder changed race to read it; others still use the old
	 * definition.
	 */
	pthread_mutex_t lock;
	struct definition *now; /* counts as one user */
};

struct json_object *
definition_load(const struct config *config, char error[ERROR_SIZE])
{
	struct json_object *definition = NULL;
	const char *name, *model;
	char *text;
	size_t len;

	if (!config->definition) {
		definition = json_new_object();
		json_set_string(definition, "name", built_in_name);
		json_set_string(definition, "model", config->model);
		json_set_string(definition, "instructions", built_in_instructions);
		return definition;
	}
	text = file_read(config->definition, DEFINITION_MAX, &len);
	if (!text) {
		snprintf(error, ERROR_SIZE, "ASSISTANTS_DEFINITION: %s: %s", config->definition,
		    strerror(errno));
		return NULL;
	}
	if (json_parse(text, len, &definition) < 0 ||
	    !json_object_is_type(definition, json_type_object)) {
		snprintf(error, ERROR_SIZE, "ASSISTANTS_DEFINITION: %s is not a JSON object",
		    config->definition);
		goto fail;
	}
	name = json_get_string(definition, "name");
	model = json_get_string(definition, "model");
	if (json_get(definition, answer_max_name) &&
	    json_get_int(definition, answer_max_name, 0) < 1) {
		snprintf(error, ERROR_SIZE,
		    "ASSISTANTS_DEFINITION: \"%s\" in %s must be a whole number of at least 1",
		    answer_max_name, config->definition);
		goto fail;
	}
	if (json_get(definition, "tools") && !json_get_array(definition, "tools")) {
		snprintf(error, ERROR_SIZE,
		    "ASSISTANTS_DEFINITION: \"tools\" in %s is not an array", config->definition);
		goto fail;
	}
	if (name && *name && model && *model) {
		free(text);
		return definition;
	}
	snprintf(error, ERROR_SIZE,
	    "ASSISTANTS_DEFINITION: %s lacks a \"%s\": the assistant is found by its name, and a "
	    "run needs "
	    "a model",
	    config->definition, name && *name ? "model" : "name");
fail:
	json_object_put(definition);
	free(text);
	return NULL;
}

long long
definition_take_answer_max(struct json_object *definition)
{
	long long answer_max = json_get_int(definition, answer_max_name, 0);

	if (definition)
		json_remove(definition, answer_max_name);
	return answer_max;
}

static void
definition_free(struct definition *definition)
{
	if (!definition)
		return;
	tools_free(definition->tools);
	free(definition->name);
	free(definition->text);
	free(definition);
}

/* Takes `tools` over, NULL for none. NULL: out of memory. */
static struct definition *
definition_new(const char *own, struct tools *tools, uint64_t tools_state)
{
	const char *name;
	struct definition *definition = calloc(1, sizeof *definition);
	struct json_object *body = NULL;

	if (!definition || json_parse(own, strlen(own), &body) < 0) {
		tools_free(tools);
		free(definition);
		return NULL;
	}
	definition->answer_max = definition_take_answer_max(body);
	if (tools && tools_len(tools) > 0)
		tools_define(tools, body);
	definition->users = 1;
	definition->tools = tools;
	definition->tools_state = tools_state;
	name = json_get_string(body, "name");
	definition->name = name ? strdup(name) : NULL;
	definition->text = memory_is_out() ? NULL : strdup(json_text(body));
	json_object_put(body);
	if (!definition->name || !definition->text) {
		definition_free(definition);
		return NULL;
	}
	sha256_hex(definition->text, strlen(definition->text), definition->hash);
	return definition;
}

/* NULL with a sentence in `error`. */
static struct definition *
load(const struct definitions *definitions, uint64_t tools_state, char *error)
{
	const char *folder = definitions->config->tools_dir;
	struct tools *tools = folder ? tools_load(folder) : NULL;
	struct definition *definition;

	if (folder && !tools) {
		snprintf(
		    error, ERROR_SIZE, "ASSISTANTS_TOOLS_DIR: %s: %s", folder, strerror(errno));
		return NULL;
	}
	definition = definition_new(definitions->own, tools, tools_state);
	if (!definition)
		snprintf(error, ERROR_SIZE, "out of memory");
	return definition;
}

struct definitions *
definitions_new(const struct config *config, char error[ERROR_SIZE])
{
	struct definitions *definitions = calloc(1, sizeof *definitions);
	struct json_object *own = NULL;

	snprintf(error, ERROR_SIZE, "out of memory");
	if (!definitions)
		return NULL;
	definitions->config = config;
	pthread_mutex_init(&definitions->lock, NULL);
	own = definition_load(config, error);
	if (own && (definitions->own = strdup(json_text(own))))
		definitions->now = load(
		    definitions, config->tools_dir ? tools_state(config->tools_dir) : 0, error);
	json_object_put(own);
	if (definitions->now)
		return definitions;
	definitions_free(definitions);
	return NULL;
}

void
definitions_free(struct definitions *definitions)
{
	if (!definitions)
		return;
	definition_free(definitions->now);
	pthread_mutex_destroy(&definitions->lock);
	free(definitions->own);
	free(definitions);
}

/* With the lock held. */
static void
give(struct definition *definition)
{
	if (--definition->users == 0)
		definition_free(definition);
}

/* With the lock held. */
static void
reload(struct definitions *definitions, uint64_t state)
{
	char error[ERROR_SIZE];
	struct definition *changed = load(definitions, state, error);

	/* Even if it failed: do not read it again before it changes again. */
	definitions->now->tools_state = state;
	if (!changed) {
		log_error("%s; the tools are not reloaded", error);
		return;
	}
	give(definitions->now);
	definitions->now = changed;
}

struct definition *
definition_take(struct definitions *definitions)
{
	const char *folder = definitions->config->tools_dir;
	uint64_t state = folder ? tools_state(folder) : 0;
	struct definition *definition;

	pthread_mutex_lock(&definitions->lock);
	if (state != definitions->now->tools_state)
		reload(definitions, state);
	definition = definitions->now;
	definition->users++;
	pthread_mutex_unlock(&definitions->lock);
	return definition;
}

void
definition_give(struct definitions *definitions, struct definition *definition)
{
	pthread_mutex_lock(&definitions->lock);
	give(definition);
	pthread_mutex_unlock(&definitions->lock);
}
