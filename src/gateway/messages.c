/*
 * POST /threads/{id}/messages: the user's words in, the assistant's words out. GET: the
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
	if (!ask(gateway, &stream, &deferral, words, &reply, &answer)) {
		/* Answered. */
	} else if (is_busy(&answer)) {
		response_problem(response, 409,
		    "The thread is still busy with another message; send this one again later.");
	} else if (answer.failure != OPENAI_ANSWERED || answer.status / 100 != 2) {
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
	char *words = words_of_request(request, &problem, &status);

	if (!words) {
		response_problem(response, status, "%s", problem);
		return;
	}
	log_debug("the user says: %s", words);
	answer_message(gateway, request, response, words);
	free(words);
}

/* --- the conversation --- */

/* A conversation on its way out, a message at a time. */
struct conversation {
	struct request *request;
	struct response *response;
	struct names names;
	bool any; /* a message has been told */
};

/*
 * A message as the gateway shows it; takes nothing over. Its citations count from 1: it is read by
 * itself, and keeps its numbers as the conversation goes on.
 */
static struct json_object *
shown_message(struct json_object *message, struct names *names)
{
	struct json_object *shown = json_object_new_object();
	const char *run_id = json_get_string(message, "run_id");
	const char *status = json_get_string(message, "status");
	const char *reason =
	    json_get_string(json_get_object(message, "incomplete_details"), "reason");
	struct citations citations;
	char *words;

	citations_init(&citations);
	words = words_of_message(message, &citations);
	json_set_string(shown, "id", json_get_string(message, "id"));
	json_set_string(shown, "role", json_get_string(message, "role"));
	json_set_string(shown, "text", words ? words : "");
	json_set_int(shown, "created_at", json_get_int(message, "created_at", 0));
	if (run_id)
		json_set_string(shown, "run_id", run_id);
	if (status && strcmp(status, "incomplete") == 0)
		json_set_string(shown, "incomplete", reason ? reason : "unknown");
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

/* Each message's footnotes stand below it. */
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

/* A message without words, broken off before its first, is nothing to show. */
static void
on_message(void *arg, struct json_object *message)
{
	struct conversation *conversation = arg;
	struct json_object *shown = NULL;

	if (!conversation->response->lost)
		shown = shown_message(message, &conversation->names);
	if (shown && *json_get_string(shown, "text")) {
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

/* The thread's run, {id, status}, put by the caller; NULL when none is at work. */
static struct json_object *
run_at_work(struct gateway *gateway, struct request *request)
{
	static const char *const at_work[] = {
	    "queued", "in_progress", "requires_action", "cancelling"};
	struct json_object *shown = NULL, *run;
	struct openai_answer answer;
	const char *status;
	char path[256];

	snprintf(path, sizeof path, "/threads/%s/runs?limit=1", request->params[0]);
	openai_call(gateway->openai, "GET", path, NULL, request->client, &answer);
	run = json_at(json_get_array(answer.body, "data"), 0);
	status = json_get_string(run, "status");
	for (size_t i = 0; status && i < sizeof at_work / sizeof *at_work; i++) {
		if (strcmp(status, at_work[i]) != 0)
			continue;
		shown = json_object_new_object();
		json_set_string(shown, "id", json_get_string(run, "id"));
		json_set_string(shown, "status", status);
	}
	openai_answer_free(&answer);
	return shown;
}

/* As openai_list_page(). While the client takes what was read, no page is in memory. */
static int
read_page(struct gateway *gateway, struct conversation *conversation, struct openai_cursor *cursor,
    struct openai_answer *answer)
{
	struct request *request = conversation->request;
	/* A remote API's pages take their time, and are that API's affair. */
	bool counted = !gateway->config->upstream_url;
	int more;

	if (counted && !occupancy_begin_piece(request->occupancy)) {
		*answer = (struct openai_answer){.status = 503, .retry_after_s = -1};
		return -1;
	}
	more = openai_list_page(
	    gateway->openai, cursor, request->client, on_message, conversation, answer);
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
	struct openai_cursor cursor = {0};
	struct gateway *gateway = room;
	char path[256];
	int more;

	if (!thread_path(request, response, "/messages?order=asc&limit=100", path, sizeof path))
		return;
	names_init(&conversation.names, gateway->openai, request->client);
	begin_conversation(&conversation);
	cursor.path = path;
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
