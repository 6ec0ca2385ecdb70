#include "model/needs.h"

#include <pthread.h>

#include "os/clock.h"
#include "text/json.h"

enum {
	MODELS_MAX = 100, /* because programs may invent any number of models */
	DAY_MS = 24 * 60 * 60 * 1000,
	FRESH_MS = 60 * 1000 /* then the database is asked again */
};

/* clang-format off */
const struct model_need_name model_need_names[] = {
	{NEED_CHAT, "chat"},
	{NEED_NO_TEMPERATURE, "no temperature"},
	{NEED_NO_TOP_P, "no top_p"},
	{NEED_NEW_LIMIT, "max_completion_tokens"},
	{NEED_NO_LIMIT, "no limit"},
	{NEED_NO_USAGE, "no stream_options"},
	{NEED_NO_PARALLEL, "no parallel_tool_calls"},
	{NEED_NO_CHOICE, "no tool_choice"},
	{NEED_NO_FORMAT, "no response_format"},
	{NEED_NO_EFFORT, "no reasoning_effort"},
	{NEED_NO_INCLUDE, "no include"},
	{NEED_NO_STORE, "no store"},
	{NEED_NO_STREAM, "no stream"},
	{NEED_NO_STRICT, "no strict"},
	{NEED_NO_SYSTEM, "no system role"},
	{NEED_ALTERNATION, "alternating roles"},
	{NEED_USER_LAST, "a user message last"},
	{NEED_SHORT_IDS, "short call ids"},
	{NEED_STRING, "content as a string"},
	{NEED_WORDS, "no empty content"},
	{NEED_TOOL_NAME, "names of tool outputs"},
	{NEED_NO_IMAGES, "no images"},
	{NEED_NOTHING_MORE, "no further members"},
	{NEED_SINGLE_CALLS, "single calls"},
	{NEED_NO_TOOLS, "no tools"},
	{NEED_CALLS_AS_WORDS, "calls as words"},
	{NEED_HELD_THOUGHTS, "thoughts first"},
	{0, NULL},
};
/* clang-format on */

struct needs {
	struct model_memory memory;
	pthread_mutex_t lock;      /* protects `known` from threads that read and write it */
	struct json_object *known; /* model → {bits, until}; until by clock_ms() */
};

struct needs *
needs_new(const struct model_memory *memory)
{
	struct needs *needs = calloc(1, sizeof *needs);

	if (!needs)
		return NULL;
	if (memory)
		needs->memory = *memory;
	pthread_mutex_init(&needs->lock, NULL);
	needs->known = json_new_object();
	if (needs->known)
		return needs;
	needs_free(needs);
	return NULL;
}

void
needs_free(struct needs *needs)
{
	if (!needs)
		return;
	json_object_put(needs->known);
	pthread_mutex_destroy(&needs->lock);
	free(needs);
}

/* With the lock held: sets *bits to what is known, even if it is old. False: unknown, or old. */
static bool
look_up(struct needs *needs, const char *model, unsigned *bits)
{
	struct json_object *entry = json_get_object(needs->known, model);

	*bits = (unsigned)json_get_int(entry, "bits", 0);
	return clock_ms() < json_get_int(entry, "until", 0);
}

/* With the lock held. */
static void
set(struct needs *needs, const char *model, unsigned bits)
{
	struct json_object *entry = json_get_object(needs->known, model);

	if (!entry) {
		if (json_object_object_length(needs->known) >= MODELS_MAX)
			return;
		entry = json_new_object();
		json_set(needs->known, model, entry);
	}
	json_set_int(entry, "bits", bits);
	json_set_int(entry, "until", clock_ms() + (needs->memory.recall ? FRESH_MS : DAY_MS));
}

unsigned
needs_recall(struct needs *needs, const char *model)
{
	unsigned bits;
	bool known;

	pthread_mutex_lock(&needs->lock);
	known = look_up(needs, model, &bits);
	pthread_mutex_unlock(&needs->lock);
	if (known || !needs->memory.recall)
		return known ? bits : 0;
	/* Without the lock, because it reads the database. */
	bits = needs->memory.recall(needs->memory.arg, model);
	pthread_mutex_lock(&needs->lock);
	set(needs, model, bits);
	pthread_mutex_unlock(&needs->lock);
	return bits;
}

void
needs_keep(struct needs *needs, const char *model, unsigned found)
{
	unsigned bits;

	pthread_mutex_lock(&needs->lock);
	/* Old knowledge counts, too: the question was asked with it. */
	look_up(needs, model, &bits);
	set(needs, model, bits | found);
	pthread_mutex_unlock(&needs->lock);
	if (needs->memory.keep)
		needs->memory.keep(needs->memory.arg, model, found);
}
