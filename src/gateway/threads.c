/*
 * POST /threads, DELETE /threads/{id}.
 */
#include "gateway/internal.h"
#include "text/json.h"

void
gateway_threads_create(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	struct openai_call call = {.operation = API_THREAD_CREATE, .interrupt = request->client};
	struct json_object *thread;
	struct openai_answer answer;
	char *location = NULL;
	const char *id;

	call.body = json_new_object();
	openai_call(gateway->openai, &call, &answer);
	json_object_put(call.body);
	id = json_get_string(answer.body, "id");
	if (!openai_did(&answer) || !id || !id_has_form(id, "")) {
		answer_unavailable(response, &answer);
		goto out;
	}
	if (asprintf(&location, "%s/threads/%s", request->base, id) >= 0) {
		response_header(response, "Location", location);
		free(location);
	}
	if (request->media == MEDIA_JSON) {
		thread = json_new_object();
		json_set_string(thread, "id", id);
		/*
		 * The name that the program used for which this one's first clients were written.
		 */
		json_set_string(thread, "threadId", id);
		response_json(response, 201, thread);
	} else {
		response_text(response, 201, id);
	}
out:
	openai_answer_free(&answer);
}

void
gateway_threads_delete(void *room, struct request *request, struct response *response)
{
	const struct openai_call call = {
	    .operation = API_THREAD_DELETE,
	    .ids = {request->params[0]},
	    .interrupt = request->client,
	};
	struct gateway *gateway = room;
	struct openai_answer answer;

	if (!thread_id_has_form(request, response))
		return;
	openai_call(gateway->openai, &call, &answer);
	if (openai_did(&answer))
		response->status = 204;
	else
		answer_failure(response, &answer);
	openai_answer_free(&answer);
}
