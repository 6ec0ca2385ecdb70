#include "assistants/api.h"

#include "assistants/kinds.h"
#include "assistants/retention.h"
#include "text/api_error.h"
#include "text/json.h"

/* If several match a method and path, the first counts. */
static const struct {
	const char *method, *pattern;
	handler_fn *handler;
	const struct kind *kind;
} operations[API__MAX] = {
    [API_ASSISTANT_CREATE] = {"POST", "/assistants", assistant_create, &assistant_kind},
    [API_ASSISTANT_LIST] = {"GET", "/assistants", object_list, &assistant_kind},
    [API_ASSISTANT_RETRIEVE] = {"GET", "/assistants/{id}", object_retrieve, &assistant_kind},
    [API_ASSISTANT_MODIFY] = {"POST", "/assistants/{id}", object_modify, &assistant_kind},
    [API_ASSISTANT_DELETE] = {"DELETE", "/assistants/{id}", object_delete, &assistant_kind},
    [API_THREAD_CREATE] = {"POST", "/threads", thread_create, &thread_kind},
    [API_THREAD_CREATE_AND_RUN] = {"POST", "/threads/runs", run_create_with_thread},
    [API_THREAD_LIST] = {"GET", "/threads", object_list, &thread_kind},
    [API_THREAD_RETRIEVE] = {"GET", "/threads/{id}", object_retrieve, &thread_kind},
    [API_THREAD_MODIFY] = {"POST", "/threads/{id}", object_modify, &thread_kind},
    [API_THREAD_DELETE] = {"DELETE", "/threads/{id}", thread_remove},
    [API_MESSAGE_CREATE] = {"POST", "/threads/{id}/messages", message_create, &message_kind},
    [API_MESSAGE_LIST] = {"GET", "/threads/{id}/messages", object_list, &message_kind},
    [API_MESSAGE_RETRIEVE] = {"GET", "/threads/{id}/messages/{message}", object_retrieve,
	&message_kind},
    [API_MESSAGE_MODIFY] = {"POST", "/threads/{id}/messages/{message}", object_modify,
	&message_kind},
    [API_MESSAGE_DELETE] = {"DELETE", "/threads/{id}/messages/{message}", object_delete,
	&message_kind},
    [API_RUN_CREATE] = {"POST", "/threads/{id}/runs", run_create},
    [API_RUN_LIST] = {"GET", "/threads/{id}/runs", run_list, &run_kind},
    [API_RUN_RETRIEVE] = {"GET", "/threads/{id}/runs/{run}", run_retrieve},
    [API_RUN_MODIFY] = {"POST", "/threads/{id}/runs/{run}", run_modify},
    [API_RUN_CANCEL] = {"POST", "/threads/{id}/runs/{run}/cancel", run_cancel_call},
    [API_RUN_SUBMIT_TOOL_OUTPUTS] = {"POST", "/threads/{id}/runs/{run}/submit_tool_outputs",
	run_submit_tool_outputs},
    [API_RUN_STEP_LIST] = {"GET", "/threads/{id}/runs/{run}/steps", object_list, &run_step_kind},
    [API_RUN_STEP_RETRIEVE] = {"GET", "/threads/{id}/runs/{run}/steps/{step}", object_retrieve,
	&run_step_kind},
    [API_ASSISTANT_FILE_CREATE] = {"POST", "/assistants/{id}/files", assistant_file_create},
    [API_ASSISTANT_FILE_LIST] = {"GET", "/assistants/{id}/files", assistant_file_list},
    [API_ASSISTANT_FILE_RETRIEVE] = {"GET", "/assistants/{id}/files/{file}",
	assistant_file_retrieve},
    [API_ASSISTANT_FILE_DELETE] = {"DELETE", "/assistants/{id}/files/{file}",
	assistant_file_delete},
    [API_MESSAGE_FILE_LIST] = {"GET", "/threads/{id}/messages/{message}/files", message_file_list},
    [API_MESSAGE_FILE_RETRIEVE] = {"GET", "/threads/{id}/messages/{message}/files/{file}",
	message_file_retrieve},
    [API_FILE_CREATE] = {"POST", "/files", file_create, &file_kind},
    [API_FILE_LIST] = {"GET", "/files", object_list, &file_kind},
    [API_FILE_RETRIEVE] = {"GET", "/files/{id}", object_retrieve, &file_kind},
    [API_FILE_CONTENT] = {"GET", "/files/{id}/content", file_content, &file_kind},
    [API_FILE_DELETE] = {"DELETE", "/files/{id}", file_delete, &file_kind},
};

struct api *
api_new(struct db *db, struct model *model, const char *state_dir, unsigned run_timeout_s,
    unsigned context_tokens)
{
	struct api *api = calloc(1, sizeof *api);

	if (!api)
		return NULL;
	api->runs = (struct runs){
	    .db = db,
	    .model = model,
	    .timeout_s = run_timeout_s,
	    .context_tokens = context_tokens,
	};
	if (runs_init(&api->runs, state_dir) == 0)
		return api;
	api_free(api);
	return NULL;
}

void
api_set_budgets(struct api *api, const struct budgets *budgets)
{
	api->runs.budgets = *budgets;
}

void
api_set_model_url(struct api *api, const char *url)
{
	api->model_url = url;
}

void
api_set_files(struct api *api, const struct blobs *blobs, long long quota)
{
	api->blobs = blobs;
	api->files_quota = quota;
}

void
api_set_seats(struct api *api, struct seats *seats)
{
	runners_set_seats(api->runs.runners, seats);
}

int
api_set_retention(struct api *api, unsigned days)
{
	api->retention = retention_new(api->runs.db, &api->runs.budgets, days, api->blobs);
	return api->retention ? 0 : -1;
}

bool
api_sweep_is_due(struct api *api)
{
	return api->retention && retention_is_due(api->retention);
}

void
api_sweep(struct api *api)
{
	if (api->retention)
		retention_step(api->retention);
}

void
api_resume(struct api *api)
{
	api->stays = true;
	runners_wake(api->runs.runners);
	if (api->retention)
		retention_start(api->retention);
}

void
api_await(struct api *api)
{
	runners_await(api->runs.runners);
}

void
api_free(struct api *api)
{
	if (!api)
		return;
	retention_free(api->retention);
	runs_free(&api->runs);
	free(api);
}

bool
api_ready(struct api *api)
{
	return records_answer(api->runs.db);
}

void
api_keep(struct api *api)
{
	runs_keep(&api->runs);
}

const char *
api_method(enum api_operation operation)
{
	return operations[operation].method;
}

const char *
api_pattern(enum api_operation operation)
{
	return operations[operation].pattern;
}

/* Finds the operation for method and path. API__MAX: none; refused. */
static enum api_operation
find_operation(struct call *call, struct path_part parts[PATH_NAMES_MAX])
{
	const struct api_request *request = call->request;
	bool known = false;

	for (enum api_operation i = 0; i < API__MAX; i++) {
		if (!path_matches(operations[i].pattern, request->path, parts))
			continue;
		known = true;
		call->response->route = operations[i].pattern;
		if (strcmp(operations[i].method, request->method) == 0)
			return i;
	}
	call_refuse_path(call, known);
	return API__MAX;
}

static void
perform(struct call *call, enum api_operation operation)
{
	call->kind = operations[operation].kind;
	operations[operation].handler(call);
	if (call->response->status == 0)
		call_fail(call);
}

/* The same for a path; copies its ids. */
static void
perform_path(struct call *call)
{
	struct path_part parts[PATH_NAMES_MAX] = {{NULL, 0}};
	enum api_operation operation = find_operation(call, parts);
	char *ids[PATH_NAMES_MAX] = {NULL};
	bool copied = true;

	if (operation == API__MAX)
		return;
	for (int i = 0; i < PATH_NAMES_MAX && parts[i].at; i++) {
		call->ids[i] = ids[i] = strndup(parts[i].at, parts[i].len);
		copied = copied && ids[i];
	}
	if (copied)
		perform(call, operation);
	else
		call_fail(call);
	for (int i = 0; i < PATH_NAMES_MAX; i++)
		free(ids[i]);
}

void
api_handle(struct api *api, const struct api_request *request, struct api_response *response)
{
	struct call call = {.api = api, .request = request, .response = response};

	*response = (struct api_response){.retry_after_s = -1, .content_fd = -1};
	if (request->path) {
		perform_path(&call);
	} else {
		memcpy(call.ids, request->ids, sizeof call.ids);
		perform(&call, request->operation);
	}
	json_object_put(call.message_ids);
}

bool
api_would_create_assistant(struct json_object *body, char error[ERROR_SIZE])
{
	struct api_response response = {0};
	struct call call = {.response = &response};
	bool good = assistant_check(&call, body);
	const char *message = json_get_string(json_get(response.body, "error"), "message");

	snprintf(error, ERROR_SIZE, "%s", message ? message : "");
	json_object_put(response.body);
	return good;
}
