/*
 * The log: one JSON object a line on standard error, {"time","level","request_id","message"}, with
 * more members at the end of a request. Each line is one write(2), so that lines of several threads
 * and processes never mix.
 *
 * Text from outside is escaped, so that nobody can forge a line. Registered secrets, and whatever
 * looks like an OpenAI key, become "[redacted]" in every line. Users' words belong in log_debug()
 * only.
 */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL__MAX };

/* Lines above this level are not written; the default is `info`. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/*
 * Registers a secret that must never be shown. Call it before threads start. -1: too many, or out
 * of memory. A secret shorter than 8 bytes is not looked for, because it would match parts of
 * ordinary words.
 */
int log_add_secret(const char *secret);

/*
 * Stops writing lines. Instead, `line` gets the first warning or error since it was last emptied,
 * without secrets. Call it before threads start.
 */
void log_capture(char *line, size_t size);

/* The request id of this thread's following lines, at most 63 bytes; NULL: none. */
void log_set_request_id(const char *request_id);

/*
 * The thread id that this thread's next lines show: `len` bytes that stay valid until the next
 * call; 0: none. Anybody who knows the whole id can read the conversation, so only its beginning is
 * logged.
 */
void log_set_thread_id(const char *id, size_t len);
/* This thread's request id, for a thread that works for it; "": none. */
const char *log_request_id(void);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The line of an answered request, at info, with the message "request". */
struct log_request {
	const char *method, *route;
	int status;
	long long ms;
	unsigned long long bytes; /* of the body that was sent */
	bool delivered;           /* the web server took all of it */
};
void log_request(const struct log_request *request);

/*
 * A copy of `text` without secrets and whole thread ids, the caller's to free; NULL: out of memory.
 */
char *log_redact(const char *text);

#endif
