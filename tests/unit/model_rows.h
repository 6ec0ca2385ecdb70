/*
 * Tables of questions to a model server: what it answers, and the expected callbacks, result and
 * request. JSON in rows may have single quotes; $ in the context stands for the server's URL.
 */
#ifndef MODEL_ROWS_H
#define MODEL_ROWS_H

#include "support.h"

#include "contexts.h"
#include "model/model.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/text.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define STREAM OK "Content-Type: text/event-stream\r\n\r\n"
#define JSON(body) OK "Content-Type: application/json\r\n\r\n" body
#define ERROR(status, body)                                                                        \
	"HTTP/1.1 " status " Error\r\nContent-Type: application/json\r\n\r\n" body
#define DATA(json) "data: " json "\n\n"

enum { PATIENCE_MS = 30000 };

struct model_row {
	const char *name;
	const char *answers[3]; /* one per request */
	/*
	 * The callbacks: "M" begins a message, "D:text" is a delta, "R:text" one of a refusal,
	 * "W[part|part]" the whole; "C0:id:name" begins a call, "A0:fragment", "Z0:arguments"; a
	 * generated id is "made".
	 */
	const char *heard;
	enum model_outcome outcome;
	long long tokens;  /* prompt and completion; 0: not reported */
	const char *error; /* a part of it */
	const char *options, *context;
	const char *models;      /* asked → sent */
	long long max_tokens;    /* 0: no limit */
	const char *sent;        /* a part of the last request */
	const char *not_sent;    /* not a part of it */
	const char *items;       /* a part of the items of a message or the calls */
	unsigned asks, requests; /* 0: one */
	int incomplete;          /* enum model_incomplete */
};

struct heard {
	struct buf text, items;
};

/* Replaces each $ by `url`. The caller frees. */
static char *
quoted(const char *text, const char *url)
{
	struct buf out = BUF_INIT(100000);

	for (; *text; text++)
		if (*text == '$')
			buf_puts(&out, url);
		else
			buf_append(&out, *text == '\'' ? "\"" : text, 1);
	return buf_take(&out);
}

static struct json_object *
parsed(const char *text, const char *url)
{
	struct json_object *value;
	char *json = quoted(text, url);

	if (json_parse(json, strlen(json), &value) < 0)
		fail_msg("no JSON: %s", json);
	free(json);
	return value;
}

static int
on_message(void *arg)
{
	return buf_puts(&((struct heard *)arg)->text, "M ");
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	(void)index;
	return buf_printf(
	    &((struct heard *)arg)->text, "%c:%s ", kind == MODEL_TEXT ? 'D' : 'R', words);
}

static int
on_written(void *arg, struct json_object *content, struct json_object *items)
{
	struct heard *heard = arg;

	buf_puts(&heard->text, "W[");
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *text = json_get_string(json_get(part, "text"), "value");

		buf_printf(&heard->text, "%s%s", i ? "|" : "",
		    text ? text : json_get_string(part, "refusal"));
	}
	if (items)
		buf_puts(&heard->items, json_text(items));
	return buf_puts(&heard->text, "] ");
}

static int
on_call(void *arg, int index, const char *id, const char *name)
{
	bool made = strncmp(id, "call_", 5) == 0 && strlen(id) == 29;

	return buf_printf(
	    &((struct heard *)arg)->text, "C%d:%s:%s ", index, made ? "made" : id, name);
}

static int
on_arguments(void *arg, int index, const char *fragment)
{
	return buf_printf(&((struct heard *)arg)->text, "A%d:%s ", index, fragment);
}

static int
on_called(void *arg, int index, const char *arguments)
{
	return buf_printf(&((struct heard *)arg)->text, "Z%d:%s ", index, arguments);
}

static inline void
check_answer(
    const struct model_row *row, const struct model_result *result, const struct heard *heard)
{
	check_text(row->name, heard->text.data ? heard->text.data : "", row->heard);
	check_text(row->name, *result->error && !row->error ? result->error : "", "");
	check_has(row->name, result->error, row->error ? row->error : "");
	check_int(row->name, result->outcome, row->outcome);
	check_int(row->name, result->incomplete, row->incomplete);
	check_int(row->name, utf8_valid(result->error, strlen(result->error)), true);
	check_int(row->name, result->prompt_tokens < 0, row->tokens == 0);
	if (row->tokens)
		check_int(
		    row->name, result->prompt_tokens + result->completion_tokens, row->tokens);
	if (row->items)
		check_has(row->name, heard->items.data ? heard->items.data : "", row->items);
	/* Items of calls always say which server made them. */
	else if (heard->items.data && strchr(heard->items.data, '['))
		fail_msg("%s: to be given back: %s", row->name, heard->items.data);
}

static inline void
check_request(const struct model_row *row, const struct server *server)
{
	char *sent = quoted(row->sent ? row->sent : "", "");
	char *not_sent = quoted(row->not_sent ? row->not_sent : "no such thing", "");

	check_int(row->name, server->requests, row->requests ? row->requests : 1);
	check_has(row->name, server->last_request.data, sent);
	if (strstr(server->last_request.data, not_sent))
		fail_msg("%s: sent: %s", row->name, server->last_request.data);
	free(sent);
	free(not_sent);
}

typedef struct model *model_new_fn(struct http_client *client, const struct model_server *server);

static inline void
check_model_row(const struct model_row *row, model_new_fn *model_new)
{
	struct heard heard = {BUF_INIT(10000), BUF_INIT(10000)};
	struct model_request request = {
	    .options = parsed(row->options ? row->options : "{'model': 'm'}", ""),
	    .max_output_tokens = row->max_tokens,
	    .deadline_ms = clock_ms() + PATIENCE_MS,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	    .on_call = on_call,
	    .on_arguments = on_arguments,
	    .on_called = on_called,
	    .arg = &heard,
	};
	struct json_object *models = row->models ? parsed(row->models, "") : NULL;
	struct http_client *client = http_client_new(NULL);
	struct server_turn turns[COUNT(row->answers)] = {0};
	struct model_server model_server;
	struct model_result result;
	struct server server;
	struct model_context context;
	struct json_object *entries;
	struct model *model;
	size_t len = 0;

	for (; len < COUNT(row->answers) && row->answers[len]; len++)
		turns[len].pieces[0] = row->answers[len];
	server_start(&server, turns, len);
	entries = parsed(row->context ? row->context : "[]", server.url);
	context = context_of_json(entries);
	request.context = &context;
	model_server = (struct model_server){.base_url = server.url, .models = models};
	model = model_new(client, &model_server);
	assert_non_null(model);
	for (unsigned i = 0; i < (row->asks ? row->asks : 1); i++)
		model_ask(model, &request, &result);
	if (result.items)
		buf_puts(&heard.items, json_text(result.items));
	model_free(model);
	http_client_free(client);
	server_stop(&server);
	check_answer(row, &result, &heard);
	check_request(row, &server);
	server_free(&server);
	buf_free(&heard.text);
	buf_free(&heard.items);
	json_object_put(result.items);
	json_object_put(request.options);
	model_context_free(&context);
	json_object_put(entries);
	json_object_put(models);
}

#endif
