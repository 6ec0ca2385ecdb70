#include "gateway/stream.h"

#include "os/clock.h"
#include "text/json.h"
#include "text/memory.h"

enum { PING_MS = 2000 };

/*
 * A comment before the first event. Apache's mod_deflate passes nothing on before it has more than
 * 68 bytes, even if it was told not to compress.
 */
static const char OPENING[] =
    ": The text as it is written; the event done has the whole answer, also as text.\n\n";

void
stream_init(struct stream *stream, struct request *request, struct response *response)
{
	*stream = (struct stream){
	    .request = request,
	    .response = response,
	    .wanted = request->media == MEDIA_EVENTS,
	    .written_ms = clock_ms(),
	};
	if (!stream->wanted)
		return;
	/* An error is one sentence, in an event or in place of the stream. */
	response->media = MEDIA_TEXT;
	pthread_mutex_init(&stream->lock, NULL);
}

static void
write_text(struct stream *stream, const char *text)
{
	struct exchange *exchange = stream->request->exchange;

	if (!stream->gone && !stream->response->begun)
		stream->gone = response_begin_events(stream->response, exchange, OPENING) < 0;
	if (!stream->gone)
		stream->gone = response_write(stream->response, exchange, text, strlen(text)) < 0;
	stream->written_ms = clock_ms();
}

/* Writes one event; takes `data` over. */
static void
write_event(struct stream *stream, const char *event, struct json_object *data)
{
	struct buf text = BUF_INIT((size_t)-1 / 2);

	if (event)
		buf_printf(&text, "event: %s\n", event);
	buf_printf(&text, "data: %s\n\n", json_text(data));
	if (text.failed || memory_is_out())
		stream->gone = !response_break_off(stream->response, stream->request->exchange);
	else
		write_text(stream, text.data);
	buf_free(&text);
	json_object_put(data);
}

static void
write_word(struct stream *stream, const char *event, const char *name, const char *value)
{
	struct json_object *data = json_new_object();

	json_set_string(data, name, value);
	write_event(stream, event, data);
}

/* A blank line separates messages, and the parts of one, as in the whole text. */
static void
write_words(struct stream *stream, const char *words, long long part)
{
	if (!*words)
		return;
	if (stream->again || (stream->spoken && part != stream->part))
		write_word(stream, NULL, "text", "\n\n");
	stream->again = false;
	stream->spoken = true;
	stream->part = part;
	write_word(stream, NULL, "text", words);
}

/* Writes the text of a whole message. */
static void
write_content(struct stream *stream, struct json_object *content)
{
	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *words = json_get_string(json_get_object(part, "text"), "value");

		if (!words)
			words = json_get_string(part, "refusal");
		if (words)
			write_words(stream, words, (long long)i);
	}
}

static void
write_calls(struct stream *stream, struct json_object *calls)
{
	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *function = json_get_object(json_at(calls, i), "function");
		const char *name = json_get_string(function, "name");

		if (name)
			write_word(stream, "tool", "name", name);
	}
}

void
stream_event(struct stream *stream, const struct event *event)
{
	if (!stream->wanted)
		return;
	if (event->kind == EVENT_MESSAGE_DELTA) {
		write_words(stream, event->text, event->index);
	} else if (event->kind == EVENT_MESSAGE) {
		/* A server that is polled sends no deltas. */
		if (!stream->spoken)
			write_content(stream, event->message->content);
		stream->again = stream->again || stream->spoken;
		stream->spoken = false;
	} else if (event->kind == EVENT_RUN && event->run->status == RUN_REQUIRES_ACTION) {
		write_calls(stream, run_required_calls(event->run));
	}
}

bool
stream_is_left(void *arg)
{
	struct stream *stream = arg;
	const struct interrupt *client = stream->request->client;
	bool left;

	if (!stream->wanted)
		return interrupt_raised(client);
	pthread_mutex_lock(&stream->lock);
	if (clock_ms() - stream->written_ms >= PING_MS)
		write_text(stream, ": ping\n\n");
	/* With the lock held: the check reads what a write changes. */
	left = stream->gone || interrupt_raised(client);
	pthread_mutex_unlock(&stream->lock);
	return left;
}

void
stream_end(struct stream *stream)
{
	struct response *response = stream->response;
	const char *body = response->body.data ? response->body.data : "";
	struct buf done = BUF_INIT((size_t)-1 / 2);

	if (!stream->wanted)
		return;
	if (response->status == 200) {
		buf_printf(&done, "event: done\ndata: %s\n\n", body);
		if (!done.failed)
			write_text(stream, done.data);
	} else if (response->begun) {
		write_word(stream, NULL, "error", body);
		/* For the log: this is the status that was sent. */
		response->status = 200;
	}
	buf_free(&done);
	pthread_mutex_destroy(&stream->lock);
}
