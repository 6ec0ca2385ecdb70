/*
 * The log: one JSON object a line on standard error, {"time","level","request_id","message"}, with
 * more members where a request ends; written by one write(2), so that lines of several threads and
 * processes never mix.
 *
 * Whatever comes from outside is escaped, so that nobody forges a line. Registered secrets, and
 * anything that looks like an OpenAI key, are replaced by "[redacted]" in every line. Users' words
 * belong into log_debug() only.
 */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL__MAX };

/* Levels above `level` are not written; `info` until called. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/*
 * Registers a secret that must never be shown. Only before threads start; at most a handful, more
 * are an error (-1), as is no memory. A secret shorter than 8 bytes would tear holes into ordinary
 * words and is not looked for.
 */
int log_add_secret(const char *secret);

/*
 * From now on no line is written; the first warning or error since `line` was last emptied stands
 * there instead, without secrets. Only before threads start.
 */
void log_capture(char *line, size_t size);

/* The id that this thread's lines carry from now on, at most 63 bytes; NULL for none. */
void log_set_request_id(const char *request_id);

/*
 * The id of the conversation that this thread's lines are about from now on, `len` bytes that live
 * until the next call: who has it has the conversation, so only its beginning is shown, whatever
 * its form. A length of 0 for none.
 */
void log_set_thread_id(const char *id, size_t len);
/* This thread's, for another that works for it; "" if there is none. */
const char *log_request_id(void);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A request that was answered: its line, at info, whose message is "request". */
struct log_request {
	const char *method, *route;
	int status;
	long long ms;
	unsigned long long bytes; /* of the body that was sent */
	bool delivered;           /* the web server took it all */
};
void log_request(const struct log_request *request);

/*
 * A copy of `text` without secrets and whole ids of threads, the caller's to free; NULL: out of
 * memory.
 */
char *log_redact(const char *text);

#endif
