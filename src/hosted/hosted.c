#include "hosted/hosted.h"

#include "text/json.h"

const struct hosted_tool *
hosted_of_type(hosted_tools hosted, struct json_object *tool)
{
	const char *type = json_get_string(tool, "type");

	for (; type && hosted && *hosted; hosted++)
		if (strcmp((*hosted)->type, type) == 0)
			return *hosted;
	return NULL;
}

const struct hosted_tool *
hosted_find(
    hosted_tools hosted, struct json_object *tools, const char *name, struct json_object **tool)
{
	for (size_t i = 0; i < json_len(tools); i++) {
		const struct hosted_tool *found = hosted_of_type(hosted, json_at(tools, i));

		*tool = json_at(tools, i);
		if (found && strcmp(found->name, name) == 0)
			return found;
	}
	return NULL;
}

/* {type: function, function}; takes `function` over. */
static struct json_object *
function_tool(struct json_object *function)
{
	struct json_object *tool = json_new_object();

	json_set_string(tool, "type", "function");
	json_set(tool, "function", function);
	return tool;
}

static struct json_object *
told_tools(hosted_tools hosted, struct json_object *tools)
{
	struct json_object *told = json_new_array();

	for (size_t i = 0; i < json_len(tools); i++) {
		struct json_object *tool = json_at(tools, i);
		const struct hosted_tool *found = hosted_of_type(hosted, tool);

		json_add(told,
		    found ? function_tool(found->function(found, tool)) : json_object_get(tool));
	}
	return told;
}

/* The choice {type: "file_search"} becomes the choice of that tool's function. */
static struct json_object *
told_choice(hosted_tools hosted, struct json_object *choice)
{
	const struct hosted_tool *found = hosted_of_type(hosted, choice);
	struct json_object *function;

	if (!found)
		return json_object_get(choice);
	function = json_new_object();
	json_set_string(function, "name", found->name);
	return function_tool(function);
}

struct json_object *
hosted_options(hosted_tools hosted, struct json_object *options)
{
	struct json_object *tools = json_get_array(options, "tools"), *told;
	size_t i = 0;

	while (i < json_len(tools) && !hosted_of_type(hosted, json_at(tools, i)))
		i++;
	if (i == json_len(tools))
		return json_object_get(options);
	told = json_new_object();
	json_object_object_foreach(options, name, value)
	{
		json_set(told, name, json_object_get(value));
	}
	json_set(told, "tools", told_tools(hosted, tools));
	json_set(told, "tool_choice", told_choice(hosted, json_get(options, "tool_choice")));
	return told;
}
