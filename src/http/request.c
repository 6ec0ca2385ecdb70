#include "http/request.h"

#include <stdint.h>
#include <strings.h>

#include "os/clock.h"
#include "text/buf.h"
#include "text/text.h"

enum {
	READ_SIZE = 16 << 10,
	HURRIED_MS = 500,
	COPIES =
	    6 /* copies of a message's text, in one form or another, while the model is asked */
};
/* A client that sends more than this in vain need not get the answer. */
static const long long drain_max = 1LL << 30;

static const char *
variable(struct request *request, const char *name)
{
	return request->exchange->variable(request->exchange, name);
}

/*
 * REQUEST_URI's path, still encoded. Some servers pass it with scheme and host (RFC 9112, 3.2.2).
 */
static char *
uri_path(const char *uri)
{
	const char *host = strstr(uri, "://");

	if (host && host < uri + strcspn(uri, "/?") + 1) {
		uri = host + 3 + strcspn(host + 3, "/?");
		if (*uri != '/')
			return strdup("/");
	}
	return strndup(uri, strcspn(uri, "?"));
}

/* `path` without `prefix`, if it begins with these segments and something is left; else `path`. */
static const char *
without_prefix(const char *path, const char *prefix)
{
	size_t len = prefix ? strlen(prefix) : 0;

	return len > 0 && strncmp(path, prefix, len) == 0 && path[len] == '/' ? path + len : path;
}

/*
 * What precedes the path in the URI that the client sent. That is right under rewriting, too, where
 * SCRIPT_NAME is not what the client sees. If the URI does not end with the path, it is encoded in
 * an unusual way; then SCRIPT_NAME is the best guess.
 */
static char *
base_of(const char *encoded, const char *path, const char *script_name)
{
	size_t encoded_len = strlen(encoded), path_len = strlen(path);
	const char *base = script_name ? script_name : "";
	size_t len = strlen(base);

	if (encoded_len >= path_len && strcmp(encoded + encoded_len - path_len, path) == 0) {
		base = encoded;
		len = encoded_len - path_len;
	}
	/* "//threads" has no base, and a URL must not begin with "//", which names another host. */
	while (len > 0 && base[len - 1] == '/')
		len--;
	/* The base must not begin with "//" either. */
	while (len > 1 && strncmp(base, "//", 2) == 0) {
		base++;
		len--;
	}
	return strndup(base, *base == '/' ? len : 0);
}

/*
 * The status of an error that the web server itself found, for which lighttpd asks its
 * server.error-handler by GET; 0: this is a client's request.
 */
static int
refused_status(struct request *request)
{
	const char *status = variable(request, "REDIRECT_STATUS");
	long long number;

	if (!status || strcmp(request->method, "GET") != 0 ||
	    parse_number(status, 400, 599, &number) < 0)
		return 0;
	return (int)number;
}

enum request_path_result
request_init(struct request *request, struct exchange *exchange)
{
	const char *path_info, *uri, *script_name;
	char *encoded = NULL, *decoded = NULL;
	enum request_path_result result = REQUEST_PATH_BAD;

	*request = (struct request){
	    .exchange = exchange, .client = &exchange->client, .begun_ms = clock_ms()};
	id_new(request->id, "req_");
	request->method = variable(request, "REQUEST_METHOD");
	if (!request->method)
		request->method = "";
	path_info = variable(request, "PATH_INFO");
	uri = variable(request, "REQUEST_URI");
	request->refused_status = refused_status(request);
	if (request->refused_status == 411) {
		/*
		 * A POST without a length, as `curl -X POST` sends it: lighttpd refuses it, we do
		 * not.
		 */
		request->refused_status = 0;
		request->method = "POST";
		path_info = NULL;
	}
	script_name = variable(request, "SCRIPT_NAME");
	if ((path_info && strlen(path_info) > REQUEST_PATH_MAX) ||
	    (uri && strlen(uri) > REQUEST_PATH_MAX))
		return REQUEST_PATH_TOO_LONG;
	if (uri) {
		/*
		 * Checked even if PATH_INFO is used: if the server decoded a NUL, the path was cut
		 * there.
		 */
		encoded = uri_path(uri);
		decoded = encoded ? percent_decode(encoded, strlen(encoded)) : NULL;
		if (!decoded)
			goto out;
	}
	if (path_info && *path_info)
		request->path = strdup(path_info);
	else if (decoded)
		request->path = strdup(without_prefix(decoded, script_name));
	if (!request->path || request->path[0] != '/') {
		free(request->path);
		request->path = NULL;
		goto out;
	}
	request->base = base_of(encoded ? encoded : "", request->path, script_name);
	if (request->base)
		result = REQUEST_PATH_OK;
out:
	free(encoded);
	free(decoded);
	return result;
}

const char *
request_authorization(struct request *request)
{
	const char *value = variable(request, "HTTP_AUTHORIZATION");

	if (!value || !*value)
		value = variable(request, "REDIRECT_HTTP_AUTHORIZATION");
	return value && *value ? value : NULL;
}

const char *
request_bearer(struct request *request)
{
	const char *authorization = request_authorization(request);

	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return NULL;
	return authorization + 7 + strspn(authorization + 7, " ");
}

/* Removes and parses the last item of a list. False: it is no address. */
static bool
take_last(char *list, struct address *address)
{
	char *comma = strrchr(list, ','), *item = comma ? comma + 1 : list;
	size_t len;

	item += strspn(item, " \t");
	len = strcspn(item, " \t");
	if (address_parse(item, len, address) < 0)
		return false;
	*(comma ? comma : list) = '\0';
	return true;
}

bool
request_client(
    struct request *request, const struct address_ranges *proxies, struct address *client)
{
	const char *peer = variable(request, "REMOTE_ADDR");
	struct address before;
	char *forwarded;

	if (!peer || address_parse(peer, strlen(peer), client) < 0)
		return false;
	if (!address_ranges_have(proxies, client))
		return true;
	forwarded = request->exchange->variables(request->exchange, "HTTP_X_FORWARDED_FOR");
	/* The client may have sent such a header; the proxies have added to the right of it. */
	while (forwarded && address_ranges_have(proxies, client) && take_last(forwarded, &before))
		*client = before;
	free(forwarded);
	return true;
}

bool
request_is_slow(const struct request *request, long long len)
{
	return clock_ms() - request->begun_ms >
	    REQUEST_BODY_GRACE_S * 1000LL + len * 1000 / (16 << 10);
}

enum occupancy_result
request_occupy(struct request *request)
{
	enum occupancy_result result;

	if (!request->occupancy || request->occupies)
		return OCCUPANCY_TAKEN;
	result = occupancy_begin_body(
	    request->occupancy, &request->peer, request->exchange->workers_missing);
	request->occupies = result == OCCUPANCY_TAKEN;
	return result;
}

void
request_let_go(struct request *request)
{
	if (request->occupies)
		occupancy_end_body(request->occupancy, &request->peer);
	request->occupies = false;
}

bool
request_has_body(struct request *request)
{
	const char *length = variable(request, "CONTENT_LENGTH");

	return !length || strcmp(length, "0") != 0;
}

bool
request_hold(void *arg, size_t bytes)
{
	struct request *request = arg;

	if (!request->occupancy)
		return true;
	if (!occupancy_hold(request->occupancy, &request->peer, bytes))
		return false;
	request->held += bytes;
	return true;
}

enum request_body_result
request_pieces_begin(struct request_pieces *pieces, struct request *request, long long max)
{
	const char *length = variable(request, "CONTENT_LENGTH");

	*pieces = (struct request_pieces){.request = request, .left = -1, .max = max};
	if (length && *length && parse_number(length, 0, INT64_MAX, &pieces->left) < 0)
		pieces->result = length[strspn(length, "0123456789")] ? REQUEST_BODY_BAD_LENGTH
								      : REQUEST_BODY_TOO_LARGE;
	else if (pieces->left > max)
		pieces->result = REQUEST_BODY_TOO_LARGE;
	return pieces->result;
}

ssize_t
request_pieces_read(struct request_pieces *pieces, void *bytes, size_t size)
{
	struct exchange *exchange = pieces->request->exchange;
	ssize_t got;

	if (pieces->left >= 0 && (long long)size > pieces->left)
		size = (size_t)pieces->left;
	got = size > 0 ? exchange->read(exchange, bytes, size) : 0;
	pieces->read += got > 0 ? got : 0;
	if (got != 0 && request_is_slow(pieces->request, pieces->read))
		pieces->result = REQUEST_BODY_SLOW;
	else if (got < 0 || (got == 0 && pieces->left > 0))
		pieces->result = REQUEST_BODY_CUT;
	else if (pieces->read > pieces->max)
		pieces->result = REQUEST_BODY_TOO_LARGE;
	if (pieces->result != REQUEST_BODY_OK)
		return -1;
	if (pieces->left > 0)
		pieces->left -= got;
	return got;
}

enum request_body_result
request_read_body(struct request *request, size_t max)
{
	struct buf body = BUF_INIT(max);
	struct request_pieces pieces;
	char piece[READ_SIZE];
	ssize_t got;

	if (request_pieces_begin(&pieces, request, (long long)max) != REQUEST_BODY_OK)
		return pieces.result;
	while ((got = request_pieces_read(&pieces, piece, sizeof piece)) > 0) {
		if (request_hold(request, (size_t)got * COPIES) &&
		    buf_append(&body, piece, (size_t)got) == 0)
			continue;
		pieces.result = REQUEST_BODY_NO_MEMORY;
		break;
	}
	if (pieces.result != REQUEST_BODY_OK) {
		buf_free(&body);
		return pieces.result;
	}
	request->body_len = body.len;
	request->body = buf_take(&body);
	return request->body ? REQUEST_BODY_OK : REQUEST_BODY_NO_MEMORY;
}

void
request_drain(struct request *request)
{
	long long end_ms = request->begun_ms + REQUEST_BODY_GRACE_S * 1000LL, drained = 0;
	char piece[READ_SIZE];
	ssize_t got;

	if (request->exchange->hurried)
		end_ms = clock_ms() + HURRIED_MS;
	/*
	 * Bounded, because a client that was refused must not occupy a worker for as long as it
	 * sends.
	 */
	while (drained < drain_max && clock_ms() < end_ms &&
	    (got = request->exchange->read(request->exchange, piece, sizeof piece)) > 0)
		drained += got;
}

void
request_free(struct request *request)
{
	for (int i = 0; i < PATH_NAMES_MAX; i++)
		free(request->params[i]);
	free(request->path);
	free(request->base);
	free(request->body);
	request_let_go(request);
	if (request->held)
		occupancy_give_back(request->occupancy, &request->peer, request->held);
}
