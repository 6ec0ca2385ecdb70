/* GET /threads/{id}/runs/{run}: the answer of a run that its client did not wait for. */
#include "gateway/reply.h"

static void
on_message(void *arg, struct json_object *object)
{
	struct message message;

	message_of_json(object, &message);
	if (message.role == MESSAGE_ASSISTANT)
		reply_add(arg, &message);
}

/* Reads the run's messages. False: answered. */
static bool
read_messages(struct gateway *gateway, const struct request *request, struct response *response,
    struct reply *reply)
{
	struct openai_answer answer = {.retry_after_s = -1};
	char query[REPLY_ID_SIZE + 64];
	const struct openai_call call = {
	    .operation = API_MESSAGE_LIST,
	    .ids = {request->params[0]},
	    .query = query,
	    .interrupt = request->client,
	};
	int result;

	snprintf(query, sizeof query, "run_id=%s&order=asc&limit=100", request->params[1]);
	result = openai_list(gateway->openai, &call, on_message, reply, &answer);
	if (result < 0)
		answer_failure(response, &answer);
	openai_answer_free(&answer);
	return result == 0;
}

static void
answer_known(struct gateway *gateway, struct request *request, struct response *response,
    struct json_object *object)
{
	const struct openai_answer told = {.retry_after_s = -1};
	struct stream stream;
	struct reply reply;
	struct run run;

	reply_init(&reply);
	run_of_json(object, &run);
	reply_meet_run(&reply, &run);
	stream_init(&stream, request, response);
	if (run.status == RUN_COMPLETED || run.status == RUN_INCOMPLETE) {
		if (read_messages(gateway, request, response, &reply))
			answer_run(gateway, &stream, &reply, &told);
	} else if (deferral_answer_failed(response, request, object)) {
		/* Answered. A server may need time to cancel a run that was given up. */
	} else if (run.status == RUN_STATUS__MAX || run_status_is_active(run.status)) {
		/* Any other status counts as at work. */
		deferral_answer_pending(response, request, request->params[1]);
	} else {
		answer_run(gateway, &stream, &reply, &told);
	}
	stream_end(&stream);
	reply_free(&reply);
	run_free(&run);
}

void
gateway_runs_retrieve(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	const struct openai_call call = {
	    .operation = API_RUN_RETRIEVE,
	    .ids = {request->params[0], request->params[1]},
	    .interrupt = request->client,
	};
	struct openai_answer answer;

	if (!id_has_form(request->params[1], "")) {
		response_problem(response, 400,
		    "This is not a run's id: a message sent with the header Prefer: respond-async "
		    "answers one.");
		return;
	}
	if (!thread_id_has_form(request, response))
		return;
	openai_call(gateway->openai, &call, &answer);
	if (openai_did(&answer))
		answer_known(gateway, request, response, answer.body);
	else if (answer.failure == OPENAI_ANSWERED &&
	    (answer.status == 404 || answer.status == 400))
		response_problem(response, 404, "There is no run with this id in this thread.");
	else
		answer_failure(response, &answer);
	openai_answer_free(&answer);
}
