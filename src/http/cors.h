/*
 * Cross-origin requests (the Fetch standard, "CORS protocol"): which pages of other sites may use a
 * path and read its answers.
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

#include "http/request.h"
#include "http/response.h"

/*
 * Tells the browser that pages of `origins` may read the answer: exact origins, separated by blanks
 * or commas; "*" for all, NULL for none. True: the request was a preflight, and is answered. Any
 * method and headers it asks for are allowed, because SDKs send headers of their own.
 */
bool cors_answer(struct request *request, struct response *response, const char *origins);

/*
 * Whether the request may be carried out: it comes from no page, from a page of this site, or from
 * one of `origins`. A page may send plain text to any site without a preflight, so this is what
 * stops it.
 */
bool cors_admits(struct request *request, const char *origins);

#endif
