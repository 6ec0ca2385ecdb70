#include "gateway/reply.h"

#include "gateway/message_text.h"
#include "gateway/names.h"
#include "obs/log.h"

/* The text of the messages, separated by blank lines. NULL: no memory. */
static char *
words_of_reply(const struct reply *reply, struct json_object *texts, struct citations *citations)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	for (size_t i = 0; i < reply->said_len; i++) {
		char *words = message_text(reply->said[i].content, citations);
		struct json_object *text;

		if (!words)
			continue;
		text = json_new_object();
		json_set_string(text, "id", reply->said[i].id);
		json_set_string(text, "text", words);
		json_add(texts, text);
		if (*words)
			buf_printf(&out, "%s%s", out.len ? "\n\n" : "", words);
		free(words);
	}
	return buf_take(&out);
}

static void
answer_text(struct response *response, const char *words, struct json_object *citations)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	buf_puts(&out, words);
	citations_print(citations, &out);
	response_text(response, 200, out.data ? out.data : "");
	buf_free(&out);
}

/* Why an answer is incomplete: the run's reason, or, where the API has none, the message's. */
static const char *
incomplete_reason(const struct reply *reply)
{
	if (reply->reason != RUN_REASON_NONE)
		return run_reason_words[reply->reason - 1];
	for (size_t i = 0; i < reply->said_len; i++)
		if (reply->said[i].reason == MESSAGE_MAX_TOKENS ||
		    reply->said[i].reason == MESSAGE_CONTENT_FILTER)
			return message_reason_words[reply->said[i].reason - 1];
	return "unknown";
}

/* {prompt_tokens, completion_tokens, total_tokens}, or null where the server did not count. */
static struct json_object *
shown_usage(const struct reply *reply)
{
	static const char *const names[] = {"prompt_tokens", "completion_tokens", "total_tokens"};
	struct json_object *usage = reply->usage, *shown;

	if (!usage)
		return NULL;
	shown = json_new_object();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		json_set_int(shown, names[i], json_get_int(usage, names[i], 0));
	return shown;
}

static void
answer_json(const struct request *request, struct response *response, const struct reply *reply,
    const char *words, struct json_object *texts, struct json_object *citations)
{
	struct json_object *body = json_new_object();

	json_set_string(body, "id",
	    json_get_string(json_at(texts, json_len(texts) ? json_len(texts) - 1 : 0), "id"));
	json_set_string(body, "thread_id", *reply->thread_id ? reply->thread_id : NULL);
	json_set_string(body, "run_id", *reply->run_id ? reply->run_id : NULL);
	json_set_string(body, "text", words);
	json_set(body, "messages", json_object_get(texts));
	json_set(body, "citations", json_object_get(citations));
	json_set(body, "usage", shown_usage(reply));
	if (request->media == MEDIA_EVENTS) {
		/*
		 * In a stream it is too late for a header. And the text is complete here and
		 * replaces the pieces; deep-chat calls that `overwrite`.
		 */
		if (reply->status == RUN_INCOMPLETE)
			json_set_string(body, "incomplete", incomplete_reason(reply));
		json_set(body, "overwrite", json_new_bool(1));
	}
	response_json(response, 200, body);
}

static void
answer_words(struct gateway *gateway, struct stream *stream, const struct reply *reply)
{
	const struct request *request = stream->request;
	const struct interrupt client = {
	    .fd = request->client->fd, .raised = stream_is_left, .arg = stream};
	struct response *response = stream->response;
	struct json_object *texts = json_new_array();
	struct citations citations;
	struct names names;
	char *words;

	citations_init(&citations);
	words = words_of_reply(reply, texts, &citations);
	if (!words || !*words) {
		log_error("the run ended as %s, without any text", run_status_words[reply->status]);
		response_problem(response, 502, "The assistant ended without an answer.");
	} else {
		names_init(&names, gateway->openai, &client);
		names_find(&names, citations.list);
		names_free(&names);
		if (reply->status == RUN_INCOMPLETE)
			response_header(
			    response, "Assistants-Incomplete", incomplete_reason(reply));
		if (request->media != MEDIA_TEXT)
			answer_json(request, response, reply, words, texts, citations.list);
		else
			answer_text(response, words, citations.list);
	}
	free(words);
	json_object_put(texts);
	citations_free(&citations);
}

void
answer_run(struct gateway *gateway, struct stream *stream, const struct reply *reply,
    const struct openai_answer *answer)
{
	struct response *response = stream->response;

	if (reply->failed)
		answer_busy(response, -1, "The server is out of memory; try again soon.");
	else if (reply->status == RUN_COMPLETED || reply->status == RUN_INCOMPLETE) {
		answer_words(gateway, stream, reply);
	} else if (reply->status == RUN_EXPIRED) {
		response_problem(response, 504, "The assistant did not answer in time.");
	} else if (reply->error == RUN_RATE_LIMIT_EXCEEDED) {
		answer_busy(
		    response, answer->retry_after_s, "The assistant is busy; try again later.");
	} else if (reply->tools == TOOLS_MISSING) {
		response_problem(
		    response, 502, "The assistant called a tool that this server does not have.");
	} else if (reply->tools == TOOLS_ENDLESS) {
		response_problem(response, 502,
		    "The assistant called too many tools, more than %d times or 128 at once, and "
		    "was stopped.",
		    TOOL_ROUNDS_MAX);
	} else if (stream_is_left(stream)) {
		answer_interrupted(response);
	} else if (reply->status == RUN_CANCELLED) {
		response_problem(
		    response, 502, "The assistant was stopped before it had answered.");
	} else {
		response_problem(response, 502, "The assistant could not answer.");
	}
}
