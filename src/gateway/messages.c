/*
 * POST /threads/{id}/messages: sends the user's text and answers the assistant's. GET: the
 * conversation.
 */
#include "gateway/message_text.h"
#include "gateway/names.h"
#include "gateway/reply.h"
#include "obs/log.h"

static void
answer_message(
    struct gateway *gateway, struct request *request, struct response *response, const char *words)
{
	struct openai_answer answer = {.retry_after_s = -1};
	struct deferral deferral;
	struct stream stream;
	struct reply reply;

	reply_init(&reply);
	stream_init(&stream, request, response);
	deferral_init(&deferral, request, response);
	if (!turn_take(gateway, &stream, &deferral, words, &reply, &answer)) {
		/* Answered. */
	} else if (answer.error == API_THREAD_BUSY) {
		response_problem(response, 409,
		    "The thread is still busy with another message; send this one again later.");
	} else if (!openai_did(&answer)) {
		answer_failure(response, &answer);
	} else {
		answer_run(gateway, &stream, &reply, &answer);
	}
	stream_end(&stream);
	deferral_end(&deferral, gateway->openai);
	openai_answer_free(&answer);
	reply_free(&reply);
}

void
gateway_messages_create(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	const char *problem;
	int status;
	char *words = message_text_of_request(request, &problem, &status);

	if (!words) {
		response_problem(response, status, "%s", problem);
		return;
	}
	log_debug("the user says: %s", words);
	answer_message(gateway, request, response, words);
	free(words);
}

/* --- the conversation --- */

/* A conversation being sent, one message at a time. */
struct conversation {
	struct request *request;
	struct response *response;
	struct names names;
	bool any; /* a message has been sent */
};

/*
 * A message as the gateway shows it. Its citations count from 1, because it may be read alone, and
 * because its numbers must not change while the conversation goes on.
 */
static struct json_object *
shown_message(struct json_object *object, struct names *names)
{
	struct json_object *shown = json_new_object();
	struct citations citations;
	struct message message;
	char *words;

	message_of_json(object, &message);
	citations_init(&citations);
	words = message_text(message.content, &citations);
	json_set_string(shown, "id", message.id);
	json_set_string(shown, "role", message_role_words[message.role]);
	json_set_string(shown, "text", words ? words : "");
	json_set_int(shown, "created_at", message.created_at);
	if (message.run_id)
		json_set_string(shown, "run_id", message.run_id);
	if (message.incomplete_at)
		json_set_string(shown, "incomplete",
		    message.reason == MESSAGE_REASON_NONE
			? "unknown"
			: message_reason_words[message.reason - 1]);
	if (json_len(citations.list) > 0) {
		names_find(names, citations.list);
		json_set(shown, "citations", json_object_get(citations.list));
	}
	citations_free(&citations);
	free(words);
	return shown;
}

static void
add_text(struct conversation *conversation, const char *text)
{
	response_add(conversation->response, text, strlen(text));
}

/* Each message is followed by its footnotes. */
static void
add_words(struct conversation *conversation, struct json_object *shown)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	buf_printf(&out, "%s%s: %s", conversation->any ? "\n\n" : "",
	    json_get_string(shown, "role"), json_get_string(shown, "text"));
	citations_print(json_get(shown, "citations"), &out);
	if (out.failed)
		conversation->response->body.failed = true;
	else
		add_text(conversation, out.data);
	buf_free(&out);
}

/* A message without text, broken off before its first word, is not shown. */
static void
on_message(void *arg, struct json_object *message)
{
	struct conversation *conversation = arg;
	struct json_object *shown = NULL;
	const char *words;

	if (!conversation->response->lost)
		shown = shown_message(message, &conversation->names);
	words = json_get_string(shown, "text");
	if (words && *words) {
		if (conversation->request->media != MEDIA_JSON) {
			add_words(conversation, shown);
		} else {
			add_text(conversation, conversation->any ? "," : "");
			add_text(conversation, json_text(shown));
		}
		conversation->any = true;
	}
	json_object_put(shown);
}

/* The thread's active run as {id, status}; the caller releases it; NULL: none is at work. */
static struct json_object *
run_at_work(struct gateway *gateway, struct request *request)
{
	const struct openai_call call = {
	    .operation = API_RUN_LIST,
	    .ids = {request->params[0]},
	    .query = "limit=1",
	    .interrupt = request->client,
	};
	struct json_object *shown = NULL;
	struct openai_answer answer;
	struct run run;

	openai_call(gateway->openai, &call, &answer);
	if (run_of_json(json_at(json_get_array(answer.body, "data"), 0), &run) &&
	    run_status_is_active(run.status)) {
		shown = json_new_object();
		json_set_string(shown, "id", run.id);
		json_set_string(shown, "status", run_status_words[run.status]);
	}
	run_free(&run);
	openai_answer_free(&answer);
	return shown;
}

/* Like openai_list_page(). No page stays in memory while the client receives what was read. */
static int
read_page(struct gateway *gateway, struct conversation *conversation, struct openai_cursor *cursor,
    struct openai_answer *answer)
{
	struct request *request = conversation->request;
	/* A remote API's pages take time, and that API bounds them itself. */
	bool counted = !gateway->config->upstream_url;
	int more;

	if (counted && !occupancy_begin_piece(request->occupancy)) {
		*answer = (struct openai_answer){.status = 503, .retry_after_s = -1};
		return -1;
	}
	more = openai_list_page(gateway->openai, cursor, on_message, conversation, answer);
	if (counted)
		occupancy_end_piece(request->occupancy);
	return more;
}

static void
begin_conversation(struct conversation *conversation)
{
	if (conversation->request->media == MEDIA_JSON) {
		response_text(conversation->response, 200, "{\"messages\":[");
		conversation->response->content_type = "application/json";
	} else {
		response_text(conversation->response, 200, "");
	}
}

static void
end_conversation(struct gateway *gateway, struct conversation *conversation)
{
	struct json_object *run;

	if (conversation->request->media == MEDIA_JSON) {
		add_text(conversation, "]");
		run = run_at_work(gateway, conversation->request);
		if (run) {
			add_text(conversation, ",\"run\":");
			add_text(conversation, json_text(run));
			json_object_put(run);
		}
		add_text(conversation, "}");
	}
	response_end(conversation->response, conversation->request->exchange);
}

void
gateway_messages_list(void *room, struct request *request, struct response *response)
{
	struct conversation conversation = {.request = request, .response = response};
	struct openai_answer answer = {.retry_after_s = -1};
	struct openai_cursor cursor = {
	    .call =
		{
		    .operation = API_MESSAGE_LIST,
		    .ids = {request->params[0]},
		    .query = "order=asc&limit=100",
		    .interrupt = request->client,
		},
	};
	struct gateway *gateway = room;
	int more;

	if (!thread_id_has_form(request, response))
		return;
	names_init(&conversation.names, gateway->openai, request->client);
	begin_conversation(&conversation);
	do {
		more = read_page(gateway, &conversation, &cursor, &answer);
		if (more >= 0 && !request_flush(request, response)) {
			openai_answer_free(&answer);
			answer = (struct openai_answer){.status = 503, .retry_after_s = -1};
			more = -1;
		}
	} while (more == 1);
	if (more == 0)
		end_conversation(gateway, &conversation);
	else if (response_break_off(response, request->exchange))
		answer_failure(response, &answer);
	names_free(&conversation.names);
	openai_answer_free(&answer);
}
