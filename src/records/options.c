#include "records/options.h"

#include "text/json.h"

struct json_object *
tool_resources_shown(struct json_object *body)
{
	struct json_object *stored = json_get_object(body, "tool_resources");
	struct json_object *shown = json_new_object(), *file_search;

	if (json_get(stored, "code_interpreter"))
		json_copy(shown, stored, "code_interpreter");
	if (json_get(stored, "file_search"))
		json_copy(shown, stored, "file_search");
	/* The API shows ids of stores, not a request for a new one; here none was made. */
	if (json_get(json_get(shown, "file_search"), "vector_stores")) {
		file_search = json_new_object();
		json_set(file_search, "vector_store_ids", json_new_array());
		json_set(shown, "file_search", file_search);
	}
	return shown;
}

/* The defaults of a search. */
static struct json_object *
search_shown(struct json_object *given)
{
	struct json_object *shown = json_new_object(), *usual;

	json_copy(shown, given, "max_num_results");
	json_copy(shown, given, "ranking_options");
	if (json_get(shown, "ranking_options"))
		return shown;
	usual = json_new_object();
	json_set_string(usual, "ranker", "default_2024_08_21");
	json_set(usual, "score_threshold", json_new_double(0));
	json_set(shown, "ranking_options", usual);
	return shown;
}

static struct json_object *
function_shown(struct json_object *given)
{
	struct json_object *shown = json_new_object();

	if (json_object_is_type(given, json_type_object)) {
		json_object_object_foreach(given, name, value)
		    json_set(shown, name, json_object_get(value));
	}
	if (!json_get(shown, "strict"))
		json_set(shown, "strict", json_new_bool(0));
	return shown;
}

struct json_object *
tools_shown(struct json_object *body)
{
	struct json_object *stored = json_get(body, "tools"), *shown = json_new_array();

	for (size_t i = 0; i < json_len(stored); i++) {
		struct json_object *tool = json_new_object();
		const char *type = json_get_string(json_at(stored, i), "type");

		/* In an imported run the type may be missing. */
		type = type ? type : "";
		json_set_string(tool, "type", type);
		if (strcmp(type, "function") == 0)
			json_set(tool, type, function_shown(json_get(json_at(stored, i), type)));
		else if (strcmp(type, "file_search") == 0)
			json_set(tool, type, search_shown(json_get(json_at(stored, i), type)));
		json_add(shown, tool);
	}
	return shown;
}

struct json_object *
response_format_shown(struct json_object *body)
{
	struct json_object *format = json_get_object(body, "response_format");

	return format ? json_object_get(format) : json_new_string("auto");
}
