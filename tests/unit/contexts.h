/*
 * Conversations written as JSON, for reading: [{role, content, items}, {calls, items}].
 */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include "model/backend.h"
#include "text/json.h"

static inline struct model_context
context_of_json(struct json_object *entries)
{
	struct model_context context = {0};

	for (size_t i = 0; i < json_len(entries); i++) {
		struct json_object *entry = json_at(entries, i), *calls = json_get(entry, "calls");
		const char *role = json_get_string(entry, "role");

		model_context_add(&context,
		    calls                           ? MODEL_CALLS
			: strcmp(role, "user") == 0 ? MODEL_USER
						    : MODEL_ASSISTANT,
		    json_object_get(calls ? calls : json_get(entry, "content")),
		    json_object_get(json_get(entry, "items")));
	}
	return context;
}

/* The caller releases it. */
static inline struct json_object *
context_json(const struct model_context *context)
{
	struct json_object *entries = json_object_new_array();

	for (size_t i = 0; i < context->len; i++) {
		const struct model_entry *from = &context->entries[i];
		struct json_object *entry = json_object_new_object();

		if (from->kind != MODEL_CALLS)
			json_set_string(entry, "role", model_roles[from->kind]);
		json_set(entry, from->kind == MODEL_CALLS ? "calls" : "content",
		    model_parts(from->content));
		if (from->items)
			json_set(entry, "items", json_object_get(from->items));
		json_add(entries, entry);
	}
	return entries;
}

#endif
