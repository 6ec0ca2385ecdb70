#include "http/cors.h"

#include <strings.h>

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

/* Allows whatever the preflight asks for. */
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

	/* A cache must not return one origin's answer to another. */
	response_header(response, "Vary", "Origin");
	if (!origin || !is_allowed(origins, origin))
		return false;
	response_header(response, "Access-Control-Allow-Origin", origin);
	response_header(response, "Access-Control-Expose-Headers",
	    "x-request-id, location, retry-after, preference-applied, assistants-incomplete, "
	    "openai-poll-after-ms, retry-after-ms, x-should-retry, idempotent-replayed");
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

/* The length of "host" or "host:port", without the scheme's default port. */
static size_t
host_len(const char *host, const char *default_port)
{
	size_t len = strlen(host), port = strlen(default_port);

	return len > port && strcmp(host + len - port, default_port) == 0 ? len - port : len;
}

/*
 * Whether the page belongs to this site. Only its host counts: a program behind a proxy that ends
 * TLS does not know the scheme. If a proxy has changed the host, too, newer browsers say so
 * themselves (Fetch Metadata Request Headers, 2.3), and no page can forge that.
 */
static bool
is_own(struct request *request, const char *origin)
{
	const char *site = variable(request, "HTTP_SEC_FETCH_SITE");
	const char *host = variable(request, "HTTP_HOST");
	bool tls = strncmp(origin, "https://", 8) == 0;
	const char *port = tls ? ":443" : ":80";
	size_t len;

	if (site && strcmp(site, "same-origin") == 0)
		return true;
	if (!host || !*host || (!tls && strncmp(origin, "http://", 7) != 0))
		return false;
	origin += tls ? 8 : 7;
	len = host_len(host, port);
	return len == host_len(origin, port) && strncasecmp(origin, host, len) == 0;
}

bool
cors_admits(struct request *request, const char *origins)
{
	const char *origin = variable(request, "HTTP_ORIGIN");

	return !origin || !*origin || is_own(request, origin) || is_allowed(origins, origin);
}
