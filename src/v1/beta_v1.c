#include "v1/beta_v1.h"

#include "text/buf.h"
#include "text/json.h"
#include "text/memory.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

bool
beta_v1_asked(const char *beta, const char *query)
{
	/* Azure's versions are dates; version 2 of the API came with that of May 2024. */
	static const char second[] = "2024-05-01", name[] = "api-version=";
	const char *at = query;

	if (beta && *beta)
		return strstr(beta, "assistants=v1");
	while (at && *at && strncmp(at, name, strlen(name)) != 0) {
		at += strcspn(at, "&");
		at += *at == '&';
	}
	return at && *at && strncmp(at + strlen(name), second, strlen(second)) < 0;
}

/* --- both directions --- */

/*
 * Renames a type in an array of tools or of tool calls. A call has a member named like its type, an
 * empty object in version 1. A tool has such options in version 2 only.
 */
static void
rename_type(struct json_object *array, const char *from, const char *to)
{
	for (size_t i = 0; i < json_len(array); i++) {
		struct json_object *element = json_at(array, i);
		const char *type = json_get_string(element, "type");

		if (!type || strcmp(type, from) != 0)
			continue;
		json_set_string(element, "type", to);
		json_remove(element, from);
		if (json_get(element, "id") || json_get(element, "index"))
			json_set(element, to, json_new_object());
	}
}

static struct json_object *
calls_of(struct json_object *holder)
{
	return json_get_array(json_get(holder, "step_details"), "tool_calls");
}

/* --- requests --- */

/* {code_interpreter: {file_ids}} */
static void
set_resources(struct json_object *assistant, struct json_object *file_ids)
{
	struct json_object *resources = json_new_object(), *code = json_new_object();

	json_set(code, "file_ids", file_ids ? json_object_get(file_ids) : json_new_array());
	json_set(resources, "code_interpreter", code);
	json_set(assistant, "tool_resources", resources);
}

/* In version 1 a file was for every tool of the assistant. */
static struct json_object *
attachment_of(struct json_object *file_id)
{
	static const char *const types[] = {"code_interpreter", "file_search"};
	struct json_object *attachment = json_new_object(), *tools = json_new_array();

	for (size_t i = 0; i < LEN(types); i++) {
		struct json_object *tool = json_new_object();

		json_set_string(tool, "type", types[i]);
		json_add(tools, tool);
	}
	json_set(attachment, "file_id", json_object_get(file_id));
	json_set(attachment, "tools", tools);
	return attachment;
}

/* Anything but an array is left as it is, and refused later. */
static void
set_attachments(struct json_object *message, struct json_object *file_ids)
{
	struct json_object *attachments = json_object_get(file_ids);

	if (json_object_is_type(file_ids, json_type_array)) {
		json_object_put(attachments);
		attachments = json_new_array();
		for (size_t i = 0; i < json_len(file_ids); i++)
			json_add(attachments, attachment_of(json_at(file_ids, i)));
	}
	json_set(message, "attachments", attachments);
}

/* Version 1 accepted any value, and stored it as Python prints it. */
static void
metadata_in(struct json_object *holder)
{
	struct json_object *metadata = json_get_object(holder, "metadata");
	struct json_object *texts = metadata ? json_new_object() : NULL;

	if (!metadata)
		return;
	json_object_object_foreach(metadata, name, value)
	{
		if (json_object_is_type(value, json_type_boolean))
			json_set_string(
			    texts, name, json_object_get_boolean(value) ? "True" : "False");
		else if (json_object_is_type(value, json_type_int) ||
		    json_object_is_type(value, json_type_double))
			json_set_string(texts, name, json_text(value));
		else
			json_set(texts, name, json_object_get(value));
	}
	json_set(holder, "metadata", texts);
}

static void
message_in(struct json_object *message)
{
	struct json_object *file_ids;

	metadata_in(message);
	if (!json_object_object_get_ex(message, "file_ids", &file_ids))
		return;
	set_attachments(message, file_ids);
	json_remove(message, "file_ids");
}

static void
messages_in(struct json_object *messages)
{
	for (size_t i = 0; i < json_len(messages); i++)
		message_in(json_at(messages, i));
}

static void
assistant_in(struct json_object *assistant)
{
	struct json_object *file_ids;

	metadata_in(assistant);
	rename_type(json_get_array(assistant, "tools"), "retrieval", "file_search");
	if (!json_object_object_get_ex(assistant, "file_ids", &file_ids))
		return;
	set_resources(assistant, file_ids);
	json_remove(assistant, "file_ids");
}

void
beta_v1_request(const char *path, struct json_object *body)
{
	const char *last = strrchr(path, '/');

	if (strncmp(path, "/assistants", strlen("/assistants")) == 0) {
		assistant_in(body);
	} else if (last && strcmp(last, "/messages") == 0) {
		message_in(body);
	} else {
		/* The body is a thread, a run, or both. */
		metadata_in(body);
		metadata_in(json_get(body, "thread"));
		rename_type(json_get_array(body, "tools"), "retrieval", "file_search");
		messages_in(json_get_array(body, "messages"));
		messages_in(json_get_array(body, "additional_messages"));
		messages_in(json_get_array(json_get(body, "thread"), "messages"));
	}
}

void
beta_v1_saved(struct json_object *object)
{
	const char *kind = json_get_string(object, "object");

	if (kind && strcmp(kind, "thread.message") == 0)
		message_in(object);
	else if (kind && (strcmp(kind, "assistant") == 0 || strcmp(kind, "thread.run") == 0))
		assistant_in(object);
	else if (kind && strcmp(kind, "thread.run.step") == 0)
		rename_type(calls_of(object), "retrieval", "file_search");
}

/* --- answers --- */

static void
drop(struct json_object *object, const char *const *names, size_t len)
{
	for (size_t i = 0; i < len; i++)
		json_remove(object, names[i]);
}

/* Version 1 had no strict functions. */
static void
tools_out(struct json_object *tools)
{
	rename_type(tools, "file_search", "retrieval");
	for (size_t i = 0; i < json_len(tools); i++) {
		struct json_object *function = json_get_object(json_at(tools, i), "function");

		if (function)
			json_remove(function, "strict");
	}
}

/* As recorded in April 2024, when version 1 was complete. */
static void
assistant_out(struct json_object *assistant)
{
	static const char *const newer[] = {"tool_resources", "reasoning_effort"};
	struct json_object *resources = json_get(assistant, "tool_resources");
	struct json_object *file_ids =
	    json_get_array(json_get(resources, "code_interpreter"), "file_ids");

	json_set(assistant, "file_ids", file_ids ? json_object_get(file_ids) : json_new_array());
	tools_out(json_get_array(assistant, "tools"));
	drop(assistant, newer, LEN(newer));
}

static void
thread_out(struct json_object *thread)
{
	json_remove(thread, "tool_resources");
}

static void
message_out(struct json_object *message)
{
	struct json_object *attachments = json_get_array(message, "attachments");
	struct json_object *file_ids = json_new_array();

	for (size_t i = 0; i < json_len(attachments); i++)
		json_add(file_ids, json_object_get(json_get(json_at(attachments, i), "file_id")));
	json_set(message, "file_ids", file_ids);
	json_remove(message, "attachments");
}

static void
run_out(struct json_object *run)
{
	const char *status = json_get_string(run, "status");
	const char *instructions = json_get_string(run, "instructions");

	assistant_out(run);
	json_remove(run, "parallel_tool_calls");
	if (instructions && !*instructions)
		json_set(run, "instructions", NULL);
	/* A program that waits for one of version 1's statuses would wait forever. */
	if (status && strcmp(status, "incomplete") == 0)
		json_set_string(run, "status", "completed");
}

static void
step_out(struct json_object *step)
{
	rename_type(calls_of(step), "file_search", "retrieval");
}

static void
step_delta_out(struct json_object *data)
{
	step_out(json_get(data, "delta"));
}

/* Puts version 1's names into an error sentence; the caller's to free. */
static char *
old_words(const char *words)
{
	static const char *const names[][2] = {
	    {"tool_resources.code_interpreter.file_ids", "file_ids"},
	    {"attachments", "file_ids"},
	    {"].file_id", "]"},
	    {"'file_search'", "'retrieval'"},
	};
	struct buf out = BUF_INIT(4096);

	while (*words) {
		size_t i = 0;

		while (i < LEN(names) && strncmp(words, names[i][0], strlen(names[i][0])) != 0)
			i++;
		if (i < LEN(names)) {
			buf_puts(&out, names[i][1]);
			words += strlen(names[i][0]);
		} else {
			buf_append(&out, words++, 1);
		}
	}
	return buf_take(&out);
}

static void
error_out(struct json_object *error)
{
	static const char *const names[] = {"message", "param"};

	for (size_t i = 0; i < LEN(names); i++) {
		const char *words = json_get_string(error, names[i]);
		char *old = words ? old_words(words) : NULL;

		if (old)
			json_set_string(error, names[i], old);
		free(old);
	}
}

static void
object_out(struct json_object *object)
{
	static const struct {
		const char *kind;
		void (*turn)(struct json_object *object);
	} rows[] = {
	    {"assistant", assistant_out},
	    {"thread", thread_out},
	    {"thread.message", message_out},
	    {"thread.run", run_out},
	    {"thread.run.step", step_out},
	    {"thread.run.step.delta", step_delta_out},
	};
	const char *kind = json_get_string(object, "object");

	for (size_t i = 0; kind && i < LEN(rows); i++)
		if (strcmp(kind, rows[i].kind) == 0)
			rows[i].turn(object);
}

struct json_object *
beta_v1_shown(struct json_object *object)
{
	struct json_object *shown = NULL, *data;

	/* Works on a copy, because parts of an event belong to the run and will be stored. */
	if (!object)
		return NULL;
	if (json_object_deep_copy(object, &shown, NULL) < 0) {
		memory_fail();
		return NULL;
	}
	object_out(shown);
	error_out(json_get(shown, "error"));
	data = json_get_array(shown, "data");
	for (size_t i = 0; i < json_len(data); i++)
		object_out(json_at(data, i));
	return shown;
}

void
beta_v1_print_name(const struct event *event, char name[EVENT_NAME_SIZE])
{
	if (event->kind == EVENT_RUN && event->run->status == RUN_INCOMPLETE)
		snprintf(name, EVENT_NAME_SIZE, "thread.run.completed");
	else
		event_print_name(event, name);
}
