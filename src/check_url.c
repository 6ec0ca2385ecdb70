#include "check_url.h"

#include <strings.h>

#include "text/json.h"

enum { TIMEOUT_MS = 5000, ANSWER_MAX = 1 << 20, CANDIDATES_MAX = 8 };

static const char *const paths[] = {"/responses", "/chat/completions"};

bool
check_url_scheme(struct http_client *client, const char *url)
{
	bool is_tls = strncasecmp(url, "https:", 6) == 0;
	struct http_call call = {
	    .method = "GET", .answer_max = ANSWER_MAX, .timeout_ms = TIMEOUT_MS};
	struct http_answer answer;
	enum http_outcome outcome;
	char *other;

	if (asprintf(&other, "%s%s", is_tls ? "http" : "https", strchr(url, ':')) < 0)
		return false;
	call.url = other;
	outcome = http_client_call(client, &call, &answer);
	http_answer_free(&answer);
	free(other);
	return outcome == HTTP_ANSWERED;
}

/* A path that does not exist may also be answered with a page, a redirect, or 200 and an error. */
static bool
is_there(const struct http_answer *answer)
{
	struct json_object *body = NULL;
	bool is_error;

	if (answer->status / 100 == 3 || answer->status / 100 == 5 || answer->status == 404 ||
	    answer->status == 405 || answer->status == 410 ||
	    strcmp(answer->content_type, "text/html") == 0)
		return false;
	if (answer->body.len)
		json_parse_foreign(answer->body.data, answer->body.len, &body);
	is_error = json_get(body, "error") != NULL;
	json_object_put(body);
	return !(is_error && answer->status / 100 == 2);
}

static bool
takes_questions(
    struct http_client *client, const char *base_url, const char *path, const char *const *headers)
{
	struct http_call call = {
	    .method = "POST",
	    .headers = headers,
	    .body = "{}",
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = TIMEOUT_MS,
	};
	struct http_answer answer;
	bool takes = false;
	char *url;

	if (asprintf(&url, "%s%s", base_url, path) < 0)
		return false;
	call.url = url;
	if (http_client_call(client, &call, &answer) == HTTP_ANSWERED)
		takes = is_there(&answer);
	http_answer_free(&answer);
	free(url);
	return takes;
}

struct candidates {
	char *urls[CANDIDATES_MAX];
	size_t len;
};

/* Adds a candidate: the first `len` bytes of the URL, and `more`. */
static void
add(struct candidates *candidates, const char *url, size_t len, const char *more)
{
	char *made;

	while (len > 0 && url[len - 1] == '/')
		len--;
	if (candidates->len < CANDIDATES_MAX && asprintf(&made, "%.*s%s", (int)len, url, more) >= 0)
		candidates->urls[candidates->len++] = made;
}

/* The length of the URL without its end `end`; 0: it does not end so. */
static size_t
len_before(const char *url, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && strncmp(url + len - end_len, end, end_len) == 0 ? len - end_len : 0;
}

static void
find_candidates(const char *url, struct candidates *candidates)
{
	static const char *const ends[] = {
	    "/chat/completions", "/completions", "/responses", "/models", "/v1"};
	size_t len = strlen(url), before;

	while (len > 0 && url[len - 1] == '/')
		len--;
	add(candidates, url, len, "");
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		before = len_before(url, len, ends[i]);
		if (before == 0)
			continue;
		add(candidates, url, before, "");
		add(candidates, url, before, "/v1");
	}
	add(candidates, url, len, "/v1");
	add(candidates, url, len, "/api/v1");
}

char *
check_url_base(
    struct http_client *client, const char *base_url, const char *const *headers, const char **path)
{
	struct candidates candidates = {.len = 0};
	char *found = NULL;

	find_candidates(base_url, &candidates);
	for (size_t i = 0; i < candidates.len; i++) {
		for (size_t p = 0; !found && p < sizeof paths / sizeof *paths; p++) {
			*path = paths[p];
			if (takes_questions(client, candidates.urls[i], paths[p], headers))
				found = strdup(candidates.urls[i]);
		}
		free(candidates.urls[i]);
	}
	return found;
}
