/*
 * What an answer may be (Accept, RFC 9110, 12.5.1) and what a body is (Content-Type, 8.3).
 */
#ifndef HTTP_MEDIA_H
#define HTTP_MEDIA_H

/*
 * As a mask, what a route takes or may answer. In order of preference, when a client likes several.
 */
enum media {
	MEDIA_NONE = 0,
	MEDIA_TEXT = 1,    /* text/plain; charset=utf-8 */
	MEDIA_JSON = 2,    /* application/json */
	MEDIA_FORM = 4,    /* application/x-www-form-urlencoded, curl's type for --data */
	MEDIA_EVENTS = 16, /* text/event-stream */
	MEDIA_API = 8,     /* the Assistants API's JSON, whatever the client accepts; errors too */
};

/*
 * The one of `offered` that `accept` (NULL: anything) likes best; MEDIA_NONE when it refuses all.
 */
enum media media_negotiate(const char *accept, unsigned offered);

/*
 * What a body of this type is; no type is text. MEDIA_NONE: unknown, or in another charset than
 * UTF-8 or its subset US-ASCII.
 */
enum media media_of_body(const char *content_type);

#endif
