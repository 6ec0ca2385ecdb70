#include "obs/log.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "text/buf.h"
#include "text/text.h"

/* A longer line is cut, but stays valid JSON. */
enum {
	ID_SHOWN_MAX = sizeof "thread_abcd" - 1,
	LOG_MESSAGE_MAX = 8192,
	LOG_LINE_MAX = 16 * LOG_MESSAGE_MAX,
	LOG_SECRETS_MAX = 8,
	LOG_SECRET_LEN_MIN = 8
};

#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static const char *const level_names[LOG_LEVEL__MAX] = {"error", "warn", "info", "debug"};

/* Set before threads start, only read afterwards. */
static enum log_level max_level = LOG_LEVEL_INFO;
static char *secrets[LOG_SECRETS_MAX];
static size_t secrets_len;
static char *captured;
static size_t captured_size;

/* A worker answers one request at a time, so the request's id is the thread's. */
static _Thread_local char thread_request_id[64];
static _Thread_local const char *private_id;
static _Thread_local size_t private_id_len;

void
log_set_level(enum log_level level)
{
	max_level = level;
}

bool
log_enabled(enum log_level level)
{
	return level <= max_level;
}

int
log_add_secret(const char *secret)
{
	if (strlen(secret) < LOG_SECRET_LEN_MIN)
		return 0;
	if (secrets_len == LOG_SECRETS_MAX || !(secrets[secrets_len] = strdup(secret)))
		return -1;
	secrets_len++;
	return 0;
}

void
log_capture(char *line, size_t size)
{
	*line = '\0';
	captured = line;
	captured_size = size;
}

void
log_set_thread_id(const char *id, size_t len)
{
	private_id = id;
	private_id_len = len;
}

void
log_set_request_id(const char *request_id)
{
	snprintf(thread_request_id, sizeof thread_request_id, "%s", request_id ? request_id : "");
}

const char *
log_request_id(void)
{
	return thread_request_id;
}

/* The length of the longest secret at `at`; 0: none. */
static size_t
secret_len(const char *at)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets_len; i++) {
		size_t len = *at == *secrets[i] ? strlen(secrets[i]) : 0;

		if (len > longest && strncmp(at, secrets[i], len) == 0)
			longest = len;
	}
	if (strncmp(at, "sk-", 3) == 0) {
		size_t len = 3 + strspn(at + 3, ID_CHARACTERS "*");

		if (len >= LOG_SECRET_LEN_MIN && len > longest)
			longest = len;
	}
	return longest;
}

/* The length of the thread id at `at`, and how much of it is shown; 0: none. */
static size_t
thread_id_len(const char *at, size_t *shown)
{
	size_t len;

	if (private_id_len > 0 && strncmp(at, private_id, private_id_len) == 0) {
		*shown = private_id_len / 2 < ID_SHOWN_MAX ? private_id_len / 2 : ID_SHOWN_MAX;
		return private_id_len;
	}
	*shown = ID_SHOWN_MAX;
	if (strncmp(at, "thread_", 7) != 0)
		return 0;
	len = strspn(at, ID_CHARACTERS);
	return len > *shown ? len : 0;
}

/*
 * Appends the replacement for what must not be shown at `at`. Returns its length; 0: nothing to
 * hide.
 */
static size_t
append_redacted(struct buf *out, const char *at)
{
	size_t shown, len = secret_len(at);

	if (len > 0) {
		buf_puts(out, "[redacted]");
	} else if ((len = thread_id_len(at, &shown)) > 0) {
		buf_append(out, at, shown);
		buf_puts(out, "…");
	}
	return len;
}

/* The length of the text before anything that must not be shown. */
static size_t
shown_len(const char *text)
{
	size_t len = 0, shown;

	while (text[len] && secret_len(text + len) == 0 && thread_id_len(text + len, &shown) == 0)
		len++;
	return len;
}

char *
log_redact(const char *text)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	while (*text) {
		size_t len = shown_len(text);

		buf_append(&out, text, len);
		text += len;
		text += append_redacted(&out, text);
	}
	return buf_take(&out);
}

/* How many bytes need no escape in a JSON string; the text ends with a NUL. */
static size_t
plain_len(const char *text)
{
	size_t len = 0;

	while (text[len] >= ' ' && text[len] <= '~' && text[len] != '"' && text[len] != '\\')
		len++;
	return len;
}

/* Appends one character, escaped if need be; returns its length in the text. */
static size_t
append_json_character(struct buf *line, const char *text, size_t left)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t len = utf8_sequence_len(at, left);

	if (len == 0) {
		buf_puts(line, "\\ufffd");
		len = 1;
	} else if (*at == '"' || *at == '\\') {
		buf_printf(line, "\\%c", *at);
	} else if (*at < 0x20 || *at == 0x7f) {
		buf_printf(line, "\\u%04x", *at);
	} else if (*at == 0xc2 && at[1] < 0xa0) {
		/* C1 controls, which terminals obey, too. */
		buf_printf(line, "\\u%04x", at[1]);
	} else {
		buf_append(line, at, len);
	}
	return len;
}

static void
append_json(struct buf *line, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		size_t left = (size_t)(end - text), plain = plain_len(text);

		if (plain > left)
			plain = left;
		buf_append(line, text, plain);
		text += plain;
		if (text < end)
			text += append_json_character(line, text, left - plain);
	}
}

static void
append_json_string(struct buf *line, const char *text)
{
	buf_append(line, "\"", 1);
	append_json(line, text, strlen(text));
	buf_append(line, "\"", 1);
}

static void
append_redacted_json_string(struct buf *line, const char *text)
{
	buf_append(line, "\"", 1);
	while (*text) {
		size_t len = shown_len(text);

		append_json(line, text, len);
		text += len;
		text += append_redacted(line, text);
	}
	buf_append(line, "\"", 1);
}

static void
append_time(struct buf *line)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(line, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

/* The beginning of each line. */
static void
begin_line(struct buf *line, enum log_level level)
{
	append_time(line);
	buf_printf(line, ",\"level\":\"%s\"", level_names[level]);
	if (*thread_request_id) {
		buf_puts(line, ",\"request_id\":");
		append_json_string(line, thread_request_id);
	}
	buf_puts(line, ",\"message\":");
}

static void
end_line(struct buf *line)
{
	buf_puts(line, "}\n");
	/* If the log cannot be written, there is nowhere to report it. */
	if (!line->failed)
		while (write(STDERR_FILENO, line->data, line->len) < 0 && errno == EINTR)
			;
	buf_free(line);
}

static void
write_message(enum log_level level, const char *message)
{
	struct buf line = BUF_INIT(LOG_LINE_MAX);

	begin_line(&line, level);
	append_json_string(&line, message);
	end_line(&line);
}

void
log_write(enum log_level level, const char *format, ...)
{
	char *message = NULL, *shown = NULL;
	const char *line;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	/* Redact before cutting: half a key would not be recognised. */
	if (message)
		shown = log_redact(message);
	if (shown && strlen(shown) > LOG_MESSAGE_MAX)
		shown[LOG_MESSAGE_MAX] = '\0';
	line = shown ? shown : "(out of memory)";
	if (!captured)
		write_message(level, line);
	else if (level <= LOG_LEVEL_WARN && !*captured)
		utf8_copy(captured, captured_size, line);
	free(message);
	free(shown);
}

void
log_request(const struct log_request *request)
{
	struct buf line = BUF_INIT(LOG_LINE_MAX);

	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	begin_line(&line, LOG_LEVEL_INFO);
	buf_puts(&line, "\"request\",\"method\":");
	append_redacted_json_string(&line, request->method);
	buf_puts(&line, ",\"route\":");
	append_redacted_json_string(&line, request->route);
	buf_printf(&line, ",\"status\":%d,\"ms\":%lld,\"bytes\":%llu%s", request->status,
	    request->ms, request->bytes, request->delivered ? "" : ",\"delivered\":false");
	end_line(&line);
}
