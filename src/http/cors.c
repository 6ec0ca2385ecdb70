#include "http/cors.h"

static const char *
variable(struct request *request, const char *name)
{
	return request->exchange->variable(request->exchange, name);
}

static bool
is_allowed(const char *origins, const char *origin)
{
	static const char blanks[] = ", \t";
	size_t len = strlen(origin);

	while (origins && *origins) {
		size_t item = strcspn(origins, blanks);

		if ((item == 1 && *origins == '*') ||
		    (item == len && strncmp(origins, origin, len) == 0))
			return true;
		origins += item;
		origins += strspn(origins, blanks);
	}
	return false;
}

/* What the preflight wants to be told that it may. */
static void
reflect(struct request *request, struct response *response, const char *wanted, const char *header)
{
	const char *value = variable(request, wanted);

	if (value && *value)
		response_header(response, header, value);
}

bool
cors_answer(struct request *request, struct response *response, const char *origins)
{
	const char *origin = variable(request, "HTTP_ORIGIN");
	bool preflight = strcmp(request->method, "OPTIONS") == 0 &&
	    variable(request, "HTTP_ACCESS_CONTROL_REQUEST_METHOD");

	if (!origins)
		return false;
	/* A cache must not hand one origin's answer to another. */
	response_header(response, "Vary", "Origin");
	if (!origin || !is_allowed(origins, origin))
		return false;
	response_header(response, "Access-Control-Allow-Origin", origin);
	response_header(response, "Access-Control-Expose-Headers",
	    "x-request-id, openai-poll-after-ms, retry-after, retry-after-ms, x-should-retry, "
	    "idempotent-replayed");
	if (!preflight)
		return false;
	reflect(request, response, "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
	    "Access-Control-Allow-Methods");
	reflect(request, response, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
	    "Access-Control-Allow-Headers");
	response_header(response, "Access-Control-Max-Age", "600");
	response->status = 204;
	return true;
}
