#include "http/hosts.h"

#include <strings.h>

static const char *
variable(struct request *request, const char *name)
{
	return request->exchange->variable(request->exchange, name);
}

/* The length of the name, without port and final dot. */
static size_t
name_len(const char *host)
{
	size_t len = strcspn(host, ":");

	if (*host == '[')
		len = strcspn(host, "]") + (strchr(host, ']') != NULL);
	return len > 1 && host[len - 1] == '.' ? len - 1 : len;
}

static bool
is_listed(const char *names, const char *host, size_t len)
{
	static const char blanks[] = ", \t";

	for (const char *at = names + strspn(names, blanks); *at; at += strspn(at, blanks)) {
		size_t listed_len = strcspn(at, blanks);

		if ((listed_len == 1 && *at == '*') ||
		    (listed_len == len && strncasecmp(at, host, len) == 0))
			return true;
		at += listed_len;
	}
	return false;
}

/* Whether only browsers of this machine reach the web server. */
static bool
is_on_loopback(struct request *request)
{
	const char *text = variable(request, "SERVER_ADDR");
	struct address address;

	return text && address_parse(text, strlen(text), &address) == 0 &&
	    address_is_loopback(&address);
}

static bool
comes_from(struct request *request, const struct address_ranges *proxies)
{
	const char *text = variable(request, "REMOTE_ADDR");
	struct address address;

	return text && address_parse(text, strlen(text), &address) == 0 &&
	    address_ranges_have(proxies, &address);
}

bool
hosts_admit(struct request *request, const char *names, const struct address_ranges *proxies)
{
	const char *host = variable(request, "HTTP_HOST");
	size_t len = host ? name_len(host) : 0;
	struct address address;

	if (len == 0 || (names && is_listed(names, host, len)))
		return true;
	if (!is_on_loopback(request))
		return !names;
	return (len == 9 && strncasecmp(host, "localhost", len) == 0) ||
	    address_parse(host, strlen(host), &address) == 0 ||
	    (!names && comes_from(request, proxies));
}
