/*
 * POST /threads, DELETE /threads/{id}.
 */
#include "gateway/internal.h"
#include "text/json.h"

void
gateway_threads_create(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	struct json_object *body, *thread;
	struct openai_answer answer;
	char *location = NULL;
	const char *id;

	body = json_object_new_object();
	openai_call(gateway->openai, "POST", "/threads", body, request->client, &answer);
	json_object_put(body);
	id = json_get_string(answer.body, "id");
	if (answer.failure != OPENAI_ANSWERED || answer.status / 100 != 2 || !id ||
	    !id_has_form(id, "")) {
		answer_unavailable(response, &answer);
		goto out;
	}
	if (asprintf(&location, "%s/threads/%s", request->base, id) >= 0) {
		response_header(response, "Location", location);
		free(location);
	}
	if (request->media == MEDIA_JSON) {
		thread = json_object_new_object();
		json_set_string(thread, "id", id);
		/* As the program calls it that this one's first clients were written for. */
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
	struct gateway *gateway = room;
	struct openai_answer answer;
	char path[256];

	if (!thread_path(request, response, "", path, sizeof path))
		return;
	openai_call(gateway->openai, "DELETE", path, NULL, request->client, &answer);
	if (answer.failure == OPENAI_ANSWERED && answer.status / 100 == 2)
		response->status = 204;
	else
		answer_failure(response, &answer);
	openai_answer_free(&answer);
}
