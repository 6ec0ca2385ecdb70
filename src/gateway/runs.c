/*
 * GET /threads/{id}/runs/{run}: the answer of a run that its client did not wait for.
 */
#include "gateway/reply.h"

/* Whether the run ended without words. What else it may be called, it is at work. */
static bool
has_failed(const char *status)
{
	static const char *const ends[] = {"failed", "cancelled", "expired"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strcmp(status, ends[i]) == 0)
			return true;
	return false;
}

static void
on_message(void *arg, struct json_object *message)
{
	struct reply *reply = arg;
	const char *role = json_get_string(message, "role");

	if (role && strcmp(role, "assistant") == 0)
		json_add(reply->messages, json_object_get(message));
}

/* Reads what the run has said. False: answered. */
static bool
read_messages(struct gateway *gateway, const struct request *request, struct response *response,
    struct reply *reply)
{
	struct openai_answer answer = {.retry_after_s = -1};
	char path[512];
	int result;

	snprintf(path, sizeof path, "/threads/%s/messages?run_id=%s&order=asc&limit=100",
	    request->params[0], request->params[1]);
	result = openai_list(gateway->openai, path, request->client, on_message, reply, &answer);
	if (result < 0)
		answer_failure(response, &answer);
	openai_answer_free(&answer);
	return result == 0;
}

static void
answer_known(struct gateway *gateway, struct request *request, struct response *response,
    struct json_object *run)
{
	const struct openai_answer told = {.retry_after_s = -1};
	const char *status = json_get_string(run, "status");
	struct stream stream;
	struct reply reply;
	bool spoke;

	reply_init(&reply);
	reply.run = json_object_get(run);
	snprintf(reply.status, sizeof reply.status, "%s", status ? status : "");
	spoke = strcmp(reply.status, "completed") == 0 || strcmp(reply.status, "incomplete") == 0;
	stream_init(&stream, request, response);
	if (spoke) {
		if (read_messages(gateway, request, response, &reply))
			answer_run(gateway, &stream, &reply, &told);
	} else if (deferral_answer_failed(response, request, run)) {
		/* Answered; a server may take its time to cancel what we gave up. */
	} else if (has_failed(reply.status)) {
		answer_run(gateway, &stream, &reply, &told);
	} else {
		deferral_answer_pending(response, request, request->params[1]);
	}
	stream_end(&stream);
	reply_free(&reply);
}

void
gateway_runs_retrieve(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	struct openai_answer answer;
	char path[512], below[256];

	if (!id_has_form(request->params[1], "")) {
		response_problem(response, 400,
		    "This is not a run's id: a message that is not waited for answers one.");
		return;
	}
	snprintf(below, sizeof below, "/runs/%s", request->params[1]);
	if (!thread_path(request, response, below, path, sizeof path))
		return;
	openai_call(gateway->openai, "GET", path, NULL, request->client, &answer);
	if (answer.failure == OPENAI_ANSWERED && answer.status == 200)
		answer_known(gateway, request, response, answer.body);
	else if (answer.failure == OPENAI_ANSWERED &&
	    (answer.status == 404 || answer.status == 400))
		response_problem(response, 404, "There is no run with this id in this thread.");
	else
		answer_failure(response, &answer);
	openai_answer_free(&answer);
}
