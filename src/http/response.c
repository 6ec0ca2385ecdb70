#include "http/response.h"

#include <stdarg.h>

#include "text/api_error.h"
#include "text/json.h"
#include "text/memory.h"

enum { HEADERS_MAX = 16 << 10, PIECE_MAX = 128 << 10, OUT_OF_MEMORY_S = 5 };

static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

/*
 * Sent with each answer. Browsers must not guess its type, no page may show it as a page or a part
 * of one, and its URL, which has the thread's id, must not be sent to other sites.
 */
static const char always[] =
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n";

static const char *
reason_of(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void
response_init(struct response *response, enum media media)
{
	*response = (struct response){.status = 500,
	    .headers = BUF_INIT(HEADERS_MAX),
	    .body = BUF_INIT((size_t)-1 / 2),
	    .media = media,
	    .retry_after_s = -1};
}

void
response_header(struct response *response, const char *name, const char *value)
{
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return;
	buf_printf(&response->headers, "%s: %s\r\n", name, value);
}

static void
set_body(struct response *response, int status, const char *content_type, const char *body)
{
	response->status = status;
	response->content_type = content_type;
	buf_drop(&response->body, response->body.len);
	buf_puts(&response->body, body);
}

void
response_text(struct response *response, int status, const char *text)
{
	set_body(response, status, "text/plain; charset=utf-8", text);
}

void
response_json(struct response *response, int status, struct json_object *object)
{
	set_body(response, status, "application/json", json_text(object));
	json_object_put(object);
}

void
response_problem(struct response *response, int status, const char *format, ...)
{
	struct json_object *problem;
	char sentence[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (response->api_errors) {
		response_json(response, status, api_error_body(status, NULL, NULL, sentence));
		return;
	}
	if (response->media != MEDIA_JSON) {
		response_text(response, status, sentence);
		return;
	}
	problem = json_new_object();
	json_set_string(problem, "title", reason_of(status));
	json_set_int(problem, "status", status);
	json_set_string(problem, "detail", sentence);
	response_json(response, status, problem);
	response->content_type = "application/problem+json";
}

/* Prints the head, up to the empty line. */
static void
print_head(const struct response *response, struct buf *out)
{
	buf_printf(out, "Status: %d %s\r\n", response->status, reason_of(response->status));
	if (response->content_type)
		buf_printf(out, "Content-Type: %s\r\n", response->content_type);
	if (response->begun && !response->patient)
		/* Makes nginx, and servers that imitate it, pass on each piece at once. */
		buf_puts(out, "X-Accel-Buffering: no\r\n");
	else if (!response->begun && response->content_type)
		buf_printf(out, "Content-Length: %zu\r\n", response->body.len);
	if (response->retry_after_s >= 0)
		buf_printf(out, "Retry-After: %lld\r\n", response->retry_after_s);
	/* A proxy that compresses would hold a stream's pieces back, unless told not to. */
	buf_printf(out, "Cache-Control: no-store%s\r\n",
	    response->begun && !response->patient ? ", no-transform" : "");
	buf_puts(out, always);
	buf_append(out, response->headers.data, response->headers.len);
	buf_puts(out, "\r\n");
}

/* The first `head_len` bytes do not belong to the body. */
static int
send_bytes(
    struct response *response, struct exchange *exchange, const struct buf *out, size_t head_len)
{
	int result = -1;

	if (!out->failed)
		result = exchange->write(exchange, out->data, out->len);
	if (result == 0)
		response->sent += out->len - head_len;
	else
		response->lost = true;
	return result;
}

/* The same for the first bytes. Without memory for the head, the shortest one is sent. */
static int
send_with_head(
    struct response *response, struct exchange *exchange, const struct buf *out, size_t head_len)
{
	static const char no_memory[] = "Status: 503 Service Unavailable\r\n\r\n";

	if (out->failed)
		exchange->write(exchange, no_memory, sizeof no_memory - 1);
	return send_bytes(response, exchange, out, head_len);
}

/* For want of memory, the prepared answer lacks something. */
static void
answer_out_of_memory(struct response *response)
{
	static const char sentence[] = "The server is out of memory; try again later.";
	static const char error[] =
	    "{\"error\":{\"message\":\"The server is out of memory; try again "
	    "later.\",\"type\":\"server_error\",\"param\":null,\"code\":null}}";

	memory_begin();
	buf_free(&response->body);
	response->retry_after_s = OUT_OF_MEMORY_S;
	if (response->api_errors)
		set_body(response, 503, "application/json", error);
	else
		response_text(response, 503, sentence);
}

int
response_send(struct response *response, struct exchange *exchange)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);
	size_t head_len;
	int result;

	if (memory_is_out() || response->body.failed || response->headers.failed)
		answer_out_of_memory(response);
	print_head(response, &out);
	head_len = out.len;
	if (response->content_type && !response->head)
		buf_append(&out, response->body.data, response->body.len);
	result = send_with_head(response, exchange, &out, head_len);
	buf_free(&out);
	return result;
}

static int
begin(struct response *response, struct exchange *exchange, const char *body)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);
	size_t head_len;
	int result;

	response->begun = true;
	print_head(response, &out);
	head_len = out.len;
	buf_puts(&out, body);
	result = send_with_head(response, exchange, &out, head_len);
	buf_free(&out);
	return result;
}

int
response_begin(struct response *response, struct exchange *exchange)
{
	return begin(response, exchange, "");
}

int
response_write(struct response *response, struct exchange *exchange, const void *bytes, size_t len)
{
	int result = response->head ? 0 : exchange->write(exchange, bytes, len);

	if (result == 0)
		response->sent += len;
	else
		response->lost = true;
	return result;
}

static void
send_piece(struct response *response, struct exchange *exchange)
{
	response->patient = true;
	if (!response->begun)
		response_begin(response, exchange);
	if (!response->lost)
		response_write(response, exchange, response->body.data, response->body.len);
	buf_free(&response->body);
}

void
response_add(struct response *response, const void *bytes, size_t len)
{
	/* Otherwise nobody reads it. */
	if (!response->lost)
		buf_append(&response->body, bytes, len);
}

bool
response_is_long(const struct response *response, const struct exchange *exchange)
{
	return exchange->break_off && response->body.len >= PIECE_MAX && !response->body.failed;
}

void
response_flush(struct response *response, struct exchange *exchange)
{
	if (response_is_long(response, exchange))
		send_piece(response, exchange);
}

void
response_end(struct response *response, struct exchange *exchange)
{
	if (response->begun && (response->body.failed || memory_is_out()))
		response_break_off(response, exchange);
	else if (response->begun && response->body.len > 0)
		send_piece(response, exchange);
}

bool
response_break_off(struct response *response, struct exchange *exchange)
{
	buf_free(&response->body);
	if (!response->begun)
		return true;
	response->lost = true;
	if (exchange->break_off)
		exchange->break_off(exchange);
	return false;
}

int
response_begin_events(struct response *response, struct exchange *exchange, const char *first)
{
	response->status = 200;
	response->content_type = "text/event-stream; charset=utf-8";
	return begin(response, exchange, first);
}

int
response_event(
    struct response *response, struct exchange *exchange, const char *event, const char *data)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);
	int result;

	buf_printf(&out, "event: %s\ndata: %s\n\n", event, data);
	result = send_bytes(response, exchange, &out, 0);
	buf_free(&out);
	return result;
}

void
response_free(struct response *response)
{
	buf_free(&response->headers);
	buf_free(&response->body);
}
