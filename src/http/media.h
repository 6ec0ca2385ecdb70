/* The format of an answer (Accept, RFC 9110, 12.5.1) and of a body (Content-Type, 8.3). */
#ifndef HTTP_MEDIA_H
#define HTTP_MEDIA_H

/*
 * Used as a mask of what a route accepts or produces. In order of preference, if the client likes
 * several equally.
 */
enum media {
	MEDIA_NONE = 0,
	MEDIA_TEXT = 1,    /* text/plain; charset=utf-8 */
	MEDIA_JSON = 2,    /* application/json */
	MEDIA_FORM = 4,    /* application/x-www-form-urlencoded, curl's type for --data */
	MEDIA_EVENTS = 16, /* text/event-stream */
	MEDIA_API = 8,     /* the Assistants API's JSON, also for errors; Accept is ignored */
};

/* The one of `offered` that `accept` prefers (NULL: anything); MEDIA_NONE: it refuses all. */
enum media media_negotiate(const char *accept, unsigned offered);

/*
 * The format of a body with this type; no type counts as text. MEDIA_NONE: unknown, or a charset
 * other than UTF-8 or US-ASCII.
 */
enum media media_of_body(const char *content_type);

#endif
