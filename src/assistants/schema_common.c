/* Tables for what several kinds of objects share: tools, their resources, response formats. */
#include "assistants/schema.h"
#include "text/json.h"

enum { FILE_IDS_MAX = 20, ID_LEN_MAX = 256 };

const char *const reasoning_efforts[] = {
    "none", "minimal", "low", "medium", "high", "xhigh", "max", NULL};

static const struct field id_element = {.types = FIELD_STRING, .min = 1, .max = ID_LEN_MAX};

/* An object with only a type. */
static const struct field type_only[] = {{"type", FIELD_STRING, true}};

/* --- tools --- */

static const struct field ranking_fields[] = {
    {"ranker", FIELD_STRING, .words = (const char *const[]){"auto", "default_2024_08_21", NULL}},
    {"score_threshold", FIELD_NUMBER, true, 0, 1},
};

static const struct shape ranking = {NULL, FIELDS(ranking_fields)};

static const struct field search_fields[] = {
    {"max_num_results", FIELD_INTEGER, false, 1, 50},
    {"ranking_options", FIELD_OBJECT, .shapes = &ranking},
};

static const struct shape search = {NULL, FIELDS(search_fields)};

static const struct field function_fields[] = {
    {"name", FIELD_NAME, true},
    {"description", FIELD_STRING},
    {"parameters", FIELD_OBJECT}, /* a JSON schema, which the model server checks */
    {"strict", FIELD_BOOLEAN},
};

static const struct shape function = {NULL, FIELDS(function_fields)};

static const struct field search_tool_fields[] = {
    {"type", FIELD_STRING, true},
    {"file_search", FIELD_OBJECT, .shapes = &search},
};

static const struct field function_tool_fields[] = {
    {"type", FIELD_STRING, true},
    {"function", FIELD_OBJECT, true, .shapes = &function},
};

static const struct shape tools[] = {
    {"function", FIELDS(function_tool_fields)},
    {"code_interpreter", FIELDS(type_only)},
    {"file_search", FIELDS(search_tool_fields)},
    {NULL},
};

/* An attachment names tools for its file, without options. */
static const struct shape attachment_tools[] = {
    {"code_interpreter", FIELDS(type_only)},
    {"file_search", FIELDS(type_only)},
    {NULL},
};

const struct field tool_element = {.types = FIELD_OBJECT, .shapes = tools};
const struct field attachment_tool_element = {.types = FIELD_OBJECT, .shapes = attachment_tools};

/* --- tool resources --- */

static const struct field static_fields[] = {
    {"max_chunk_size_tokens", FIELD_INTEGER, true, 100, 4096},
    {"chunk_overlap_tokens", FIELD_INTEGER, true, 0, 2048},
};

static bool
check_overlap(struct call *call, struct json_object *object, const char *prefix)
{
	char param[256];

	if (json_get_int(object, "chunk_overlap_tokens", 0) * 2 <=
	    json_get_int(object, "max_chunk_size_tokens", 0))
		return true;
	snprintf(param, sizeof param, "%schunk_overlap_tokens", prefix);
	call_refuse(
	    call, param, "Invalid '%s': it must be at most half of max_chunk_size_tokens.", param);
	return false;
}

static const struct shape static_chunking = {NULL, FIELDS(static_fields), check_overlap};

static const struct field chunking_fields[] = {
    {"type", FIELD_STRING, true},
    {"static", FIELD_OBJECT, true, .shapes = &static_chunking},
};

static const struct shape chunking[] = {
    {"auto", FIELDS(type_only)},
    {"static", FIELDS(chunking_fields)},
    {NULL},
};

static const struct field store_fields[] = {
    {"file_ids", FIELD_ARRAY, .element = &id_element},
    {"chunking_strategy", FIELD_OBJECT, .shapes = chunking},
    {"metadata", FIELD_METADATA},
};

static const struct shape store = {NULL, FIELDS(store_fields)};
static const struct field store_element = {.types = FIELD_OBJECT, .shapes = &store};

static const struct field search_resource_fields[] = {
    {"vector_store_ids", FIELD_ARRAY, false, 0, 1, .element = &id_element},
    {"vector_stores", FIELD_ARRAY, false, 0, 1, .element = &store_element},
};

static bool
check_one_store(struct call *call, struct json_object *object, const char *prefix)
{
	char param[256];

	if (!json_get(object, "vector_store_ids") || !json_get(object, "vector_stores"))
		return true;
	snprintf(param, sizeof param, "%svector_stores", prefix);
	call_refuse(
	    call, param, "Invalid '%s': it cannot be combined with vector_store_ids.", param);
	return false;
}

/* Only the first field: an existing vector store. */
static const struct shape search_resources = {NULL, search_resource_fields, 1};
static const struct shape new_search_resources = {
    NULL, FIELDS(search_resource_fields), check_one_store};

static const struct field code_resource_fields[] = {
    {"file_ids", FIELD_ARRAY, false, 0, FILE_IDS_MAX, .element = &id_element},
};

static const struct shape code_resources = {NULL, FIELDS(code_resource_fields)};

static const struct field resource_fields[] = {
    {"code_interpreter", FIELD_OBJECT, .shapes = &code_resources},
    {"file_search", FIELD_OBJECT, .shapes = &search_resources},
};

static const struct field new_resource_fields[] = {
    {"code_interpreter", FIELD_OBJECT, .shapes = &code_resources},
    {"file_search", FIELD_OBJECT, .shapes = &new_search_resources},
};

const struct shape tool_resources = {NULL, FIELDS(resource_fields)};
const struct shape new_tool_resources = {NULL, FIELDS(new_resource_fields)};

/* --- response formats --- */

static const struct field schema_fields[] = {
    {"name", FIELD_NAME, true},
    {"description", FIELD_STRING},
    {"schema", FIELD_OBJECT},
    {"strict", FIELD_BOOLEAN},
};

static const struct shape schema = {NULL, FIELDS(schema_fields)};

static const struct field schema_format_fields[] = {
    {"type", FIELD_STRING, true},
    {"json_schema", FIELD_OBJECT, true, .shapes = &schema},
};

/* The first SDKs of version 2 sent "none". */
const char *const response_format_words[] = {"auto", "none", NULL};

const struct shape response_formats[] = {
    {"text", FIELDS(type_only)},
    {"json_object", FIELDS(type_only)},
    {"json_schema", FIELDS(schema_format_fields)},
    {NULL},
};
