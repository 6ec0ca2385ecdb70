/*
 * Cross-origin requests (the Fetch standard, "CORS protocol"): which pages of other sites may use
 * a path and read its answers.
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

#include "http/request.h"
#include "http/response.h"

/*
 * Tells a browser that a page of one of `origins` may read the answer: exact origins, parted by
 * blanks or commas, or "*" for all; NULL for none. True when the request was a preflight: answered,
 * with whatever methods and headers it asked for, since SDKs send headers of their own.
 */
bool cors_answer(struct request *request, struct response *response, const char *origins);

/*
 * Whether the request may be carried out: no page sent it, or one of this site, or of one of
 * `origins`. A page may send plain text to any site without asking first: then only this keeps its
 * words away.
 */
bool cors_admits(struct request *request, const char *origins);

#endif
