#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/text.h"

/* A line longer than this loses its end, not the log its form. */
enum { LOG_MESSAGE_MAX = 8192, LOG_SECRETS_MAX = 8, LOG_SECRET_LEN_MIN = 8 };

#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static const char *const level_names[LOG_LEVEL__MAX] = {"error", "warn", "info", "debug"};

/* Set before threads start, read-only afterwards. */
static enum log_level max_level = LOG_LEVEL_INFO;
static char *secrets[LOG_SECRETS_MAX];
static size_t secrets_len;
static char *captured;
static size_t captured_size;

/* A worker answers one request at a time, top to bottom: its id is the thread's. */
static _Thread_local char thread_request_id[64];

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
log_set_request_id(const char *request_id)
{
	snprintf(thread_request_id, sizeof thread_request_id, "%s", request_id ? request_id : "");
}

const char *
log_request_id(void)
{
	return thread_request_id;
}

/* Length of the longest secret that `at` begins with, 0 if none. */
static size_t
secret_len(const char *at)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets_len; i++) {
		size_t len = strlen(secrets[i]);

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

/* How much of the thread's id that `at` begins with is hidden: all but the first few characters. */
static size_t
thread_id_len(const char *at, size_t *shown)
{
	size_t len;

	*shown = sizeof "thread_abcd" - 1;
	if (strncmp(at, "thread_", 7) != 0)
		return 0;
	len = strspn(at, ID_CHARACTERS);
	return len > *shown ? len : 0;
}

char *
log_redact(const char *text)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);

	while (*text) {
		size_t shown, len;

		if ((len = secret_len(text)) > 0) {
			buf_puts(&out, "[redacted]");
		} else if ((len = thread_id_len(text, &shown)) > 0) {
			buf_append(&out, text, shown);
			buf_puts(&out, "…");
		} else {
			len = 1;
			buf_append(&out, text, len);
		}
		text += len;
	}
	return buf_take(&out);
}

static void
append_json_string(struct buf *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text);

	buf_append(line, "\"", 1);
	while (left > 0) {
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
		at += len;
		left -= len;
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

static void
write_line(enum log_level level, const char *message)
{
	struct buf line = BUF_INIT(16 * LOG_MESSAGE_MAX);

	append_time(&line);
	buf_printf(&line, ",\"level\":\"%s\"", level_names[level]);
	if (*thread_request_id) {
		buf_puts(&line, ",\"request_id\":");
		append_json_string(&line, thread_request_id);
	}
	buf_puts(&line, ",\"message\":");
	append_json_string(&line, message);
	buf_puts(&line, "}\n");
	/* Nowhere to report a log that cannot be written. */
	if (!line.failed)
		while (write(STDERR_FILENO, line.data, line.len) < 0 && errno == EINTR)
			;
	buf_free(&line);
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
	/* Redacted before it is cut: half a key would not be known for one. */
	if (message)
		shown = log_redact(message);
	if (shown && strlen(shown) > LOG_MESSAGE_MAX)
		shown[LOG_MESSAGE_MAX] = '\0';
	line = shown ? shown : "(out of memory)";
	if (!captured)
		write_line(level, line);
	else if (level <= LOG_LEVEL_WARN && !*captured)
		utf8_copy(captured, captured_size, line);
	free(message);
	free(shown);
}
