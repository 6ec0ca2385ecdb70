#include "http/router.h"

#include "http/cors.h"
#include "http/hosts.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "os/clock.h"
#include "text/memory.h"
#include "text/path.h"

enum {
	CROWD_RETRY_AFTER_S = 5,
	ROUTE_SIZE = 256,
	ID_LEN_MIN = 8,
};

/*
 * Under the API's prefixes, several slashes count as one, and a final one as none, because programs
 * join base URLs and paths carelessly.
 */
static void
tidy_api_path(const struct router *router, char *path)
{
	const char *first = path + strspn(path, "/");
	size_t len = strcspn(first, "/"), i = 0, end = 0;

	while (i < router->routes_len &&
	    (router->routes[i].produces != MEDIA_API ||
		strncmp(router->routes[i].pattern + 1, first, len) != 0 ||
		router->routes[i].pattern[1 + len] != '/'))
		i++;
	if (len == 0 || i == router->routes_len)
		return;
	for (size_t at = 0; path[at]; at++)
		if (path[at] != '/' || (path[at + 1] != '/' && path[at + 1]))
			path[end++] = path[at];
	path[end] = '\0';
}

/* The route. NULL, with the path's methods in `allow`; "": the path is unknown. */
static const struct route *
find_route(const struct router *router, const struct request *request, struct buf *allow)
{
	const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
	struct path_part parts[PATH_NAMES_MAX];
	bool any;

	for (size_t i = 0; i < router->routes_len; i++) {
		const struct route *route = &router->routes[i];

		if ((route->there && !route->there()) ||
		    !path_matches(route->pattern, request->path, parts))
			continue;
		any = strcmp(route->method, "*") == 0;
		if (strcmp(route->method, method) == 0 || (any && strcmp(method, "OPTIONS") != 0))
			return route;
		if (any) {
			/* "*" includes all other methods. */
			buf_drop(allow, allow->len);
			buf_puts(allow, "GET, HEAD, POST, DELETE");
			break;
		}
		buf_printf(allow, "%s%s", allow->len ? ", " : "",
		    strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
	}
	if (allow->len)
		buf_puts(allow, ", OPTIONS");
	return NULL;
}

/* Answers an OPTIONS, a wrong method or an unknown path. */
static void
answer_without_route(const struct request *request, const char *allow, struct response *response)
{
	if (!*allow) {
		response_problem(response, 404, "There is nothing at this path.");
		return;
	}
	response_header(response, "Allow", allow);
	if (strcmp(request->method, "OPTIONS") == 0)
		response->status = 204;
	else
		response_problem(
		    response, 405, "This path does not accept this method; it accepts %s.", allow);
}

static bool
acceptable(const struct route *route, struct request *request, struct response *response)
{
	const char *accept = request->exchange->variable(request->exchange, "HTTP_ACCEPT");

	if (route->produces == 0 || route->produces == MEDIA_API)
		return true;
	request->media = media_negotiate(accept, route->produces);
	if (request->media != MEDIA_NONE)
		return true;
	response_problem(response, 406, "This path answers only with %s: change the Accept header.",
	    route->produces & MEDIA_EVENTS ? "text/plain, application/json and text/event-stream"
		: route->produces & MEDIA_JSON ? "text/plain and application/json"
					       : "text/plain");
	return false;
}

static bool
typed(const struct route *route, struct request *request, struct response *response)
{
	const char *type = request->exchange->variable(request->exchange, "CONTENT_TYPE");

	request->body_media = media_of_body(type);
	if (route->consumes == 0 || (route->consumes & request->body_media))
		return true;
	response_problem(response, 415,
	    "The body's type must be text/plain, application/x-www-form-urlencoded or "
	    "application/json, in UTF-8.");
	return false;
}

/* Too many workers are occupied. Reading the rest of the body would occupy another. */
static void
answer_crowd(struct request *request, struct response *response, const char *sentence)
{
	request->exchange->hurried = true;
	response->retry_after_s = CROWD_RETRY_AFTER_S;
	response_problem(response, 503, "%s", sentence);
}

static bool
read_body(const struct router *router, const struct route *route, struct request *request,
    struct response *response)
{
	size_t max = route->body_max < router->body_max ? route->body_max : router->body_max;

	switch (request_read_body(request, max)) {
	case REQUEST_BODY_OK:
		return true;
	case REQUEST_BODY_BAD_LENGTH:
		response_problem(response, 400, "The Content-Length is not a number.");
		return false;
	case REQUEST_BODY_TOO_LARGE:
		response_problem(response, 413,
		    max == router->body_max
			? "The body is larger than %zu bytes, the most that ASSISTANTS_MAX_BODY "
			  "allows."
			: "The body is larger than %zu bytes, the most that is taken here.",
		    max);
		return false;
	case REQUEST_BODY_SLOW:
		response_problem(response, 408,
		    "The body came too slowly: it may take %d seconds, and one more for each 16 "
		    "KiB.",
		    REQUEST_BODY_GRACE_S);
		return false;
	case REQUEST_BODY_CUT:
		response_problem(response, 400, "The body ended before its Content-Length.");
		return false;
	case REQUEST_BODY_NO_MEMORY:
		break;
	}
	answer_crowd(request, response,
	    "The bodies that are being sent need too much memory; try again soon.");
	return false;
}

/* Reads the whole body, if the route takes one, or occupies a worker for its pieces. */
static bool
take_body(const struct router *router, const struct route *route, struct request *request,
    struct response *response)
{
	bool read = false;

	if (route->body_max == 0)
		return true;
	if (!request_has_body(request))
		return route->body_max == ROUTE_BODY_PIECES ||
		    read_body(router, route, request, response);
	switch (request_occupy(request)) {
	case OCCUPANCY_TAKEN:
		if (route->body_max == ROUTE_BODY_PIECES)
			return true;
		read = read_body(router, route, request, response);
		break;
	case OCCUPANCY_ADDRESS_FULL:
		answer_crowd(request, response,
		    "Too many requests from your address are still sending their bodies, or "
		    "taking their answers; try again soon.");
		break;
	case OCCUPANCY_FULL:
		answer_crowd(request, response,
		    "Too many requests are waiting or being sent; try again soon.");
	}
	request_let_go(request);
	return read;
}

/* Stores what the pattern's {names} stand for. False: out of memory. */
static bool
keep_params(const struct route *route, struct request *request)
{
	struct path_part parts[PATH_NAMES_MAX] = {{NULL, 0}};

	path_matches(route->pattern, request->path, parts);
	for (int i = 0; i < PATH_NAMES_MAX && parts[i].at; i++)
		if (!(request->params[i] = strndup(parts[i].at, parts[i].len)))
			return false;
	return true;
}

static void
handle(struct router *router, const struct route *route, struct request *request,
    struct response *response)
{
	void *room = route->produces == MEDIA_API ? router->api_room : router->room;
	int seat;

	if (!route->admit(room, request, response) || !acceptable(route, request, response) ||
	    !typed(route, request, response) || !take_body(router, route, request, response))
		return;
	if (!keep_params(route, request)) {
		response_problem(response, 503, "The server is out of memory.");
		return;
	}
	if (route->work == ROUTE_QUICK) {
		route->handler(room, request, response);
		return;
	}
	if (!occupancy_begin_wait(router->occupancy, request->exchange->workers_missing, &seat)) {
		answer_crowd(request, response,
		    "Too many conversations wait for an answer; try again soon.");
		return;
	}
	metrics_change(METRIC_WAITING, 1);
	route->handler(room, request, response);
	metrics_change(METRIC_WAITING, -1);
	occupancy_end_wait(router->occupancy, seat);
}

static void
answer_other_host(struct request *request, struct response *response)
{
	request->route = "(other host)";
	response_problem(response, 421,
	    "This host name is not answered here: the server's setting ASSISTANTS_ALLOWED_HOSTS "
	    "lists those that are.");
}

/* The log shows request->route instead of the path, which has thread ids. */
static void
dispatch(struct router *router, struct request *request, struct response *response,
    enum request_path_result path)
{
	struct buf allow = BUF_INIT(256);
	const struct route *route;

	if (router->out_of_order) {
		request->route = "(out of order)";
		response_problem(response, 500, "%s", router->out_of_order);
		return;
	}
	if (path == REQUEST_PATH_TOO_LONG) {
		request->route = "(too long)";
		response_problem(
		    response, 414, "The path is longer than %d bytes.", REQUEST_PATH_MAX);
		return;
	}
	if (path == REQUEST_PATH_BAD) {
		request->route = "(bad)";
		response_problem(response, 400,
		    "The path is malformed: its percent-encoding is wrong, or it has a NUL "
		    "character.");
		return;
	}
	if (request->refused_status) {
		request->route = "(refused)";
		response_problem(
		    response, request->refused_status, "The web server refused this request.");
		return;
	}
	tidy_api_path(router, request->path);
	route = find_route(router, request, &allow);
	request->route = route ? route->pattern : "(none)";
	response->api_errors = route && route->produces == MEDIA_API;
	if (route)
		handle(router, route, request, response);
	else
		answer_without_route(request, allow.len ? allow.data : "", response);
	buf_free(&allow);
}

/*
 * Hides what follows "threads" in the path, whatever its form. Short words are shown, as in
 * "/threads/runs".
 */
static void
hide_thread_id(const char *path)
{
	const char *id = path ? strstr(path, "/threads/") : NULL;
	size_t len;

	if (id)
		id += strlen("/threads/");
	len = id ? strcspn(id, "/") : 0;
	log_set_thread_id(id, len < ID_LEN_MIN ? 0 : len);
}

/* The whole pattern, if a handler matched one behind the router's prefix. */
static const char *
whole_route(const struct request *request, const struct response *response, char route[ROUTE_SIZE])
{
	const char *pattern = request->route;
	int prefix_len = 1 + (int)strcspn(pattern + 1, "/");

	if (!response->route)
		return pattern;
	snprintf(route, ROUTE_SIZE, "%.*s%s", prefix_len, pattern, response->route);
	return route;
}

/* Only known methods: clients could invent any number of others. */
static void
count(const char *method, const char *route, int status)
{
	static const char *const known[] = {
	    "GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"};
	size_t i = 0, known_len = sizeof known / sizeof *known;
	char digits[16];

	if (!metrics_on())
		return;
	while (i < known_len && strcmp(known[i], method) != 0)
		i++;
	snprintf(digits, sizeof digits, "%d", status);
	metrics_add(METRIC_REQUESTS, 1, i < known_len ? known[i] : "other", route, digits);
}

static void
tell(const struct request *request, const struct response *response)
{
	char route[ROUTE_SIZE], method[17];
	struct log_request line = {
	    .method = method,
	    .route = whole_route(request, response, route),
	    .status = response->status,
	    .ms = clock_ms() - request->begun_ms,
	    .bytes = response->sent,
	    .delivered = !response->lost,
	};

	snprintf(method, sizeof method, "%s", request->method);
	/* The id may also be a word of the route. */
	log_set_thread_id(NULL, 0);
	log_request(&line);
	count(request->method, line.route, response->status);
}

bool
request_flush(struct request *request, struct response *response)
{
	if (response_is_long(response, request->exchange) &&
	    request_occupy(request) != OCCUPANCY_TAKEN)
		return false;
	response_flush(response, request->exchange);
	return !response->lost;
}

/* Reads the rest of the body for the web server's sake, within the bounds for reading bodies. */
static void
drain(struct request *request)
{
	if (request_has_body(request) && request_occupy(request) != OCCUPANCY_TAKEN)
		request->exchange->hurried = true;
	request_drain(request);
	request_let_go(request);
}

void
router_leave(struct request *request, struct response *response)
{
	response_send(response, request->exchange);
	tell(request, response);
	hide_thread_id(request->path);
	request->exchange->leave(request->exchange);
	request->left = true;
}

void
router_answer(void *arg, struct exchange *exchange)
{
	struct router *router = arg;
	struct response response;
	struct request request;
	enum request_path_result path;

	metrics_change(METRIC_WORKERS_BUSY, 1);
	memory_begin();
	path = request_init(&request, exchange);
	log_set_request_id(request.id);
	/* Until a route is known, errors have the format that the client prefers. */
	response_init(&response,
	    media_negotiate(exchange->variable(exchange, "HTTP_ACCEPT"), MEDIA_TEXT | MEDIA_JSON));
	request.occupancy = router->occupancy;
	if (request_client(&request, router->proxies, &request.peer))
		request.peer = address_of_client(&request.peer);
	else
		request.peer = (struct address){{0}};
	response.head = strcmp(request.method, "HEAD") == 0;
	response_header(&response, "x-request-id", request.id);
	hide_thread_id(request.path);
	log_debug("path %s", request.path ? request.path : "");
	if (!router->out_of_order && !hosts_admit(&request, router->hosts, router->proxies))
		answer_other_host(&request, &response);
	else if (cors_answer(&request, &response, router->origins))
		request.route = "(preflight)";
	else
		dispatch(router, &request, &response, path);
	if (!request.left) {
		drain(&request);
		if (!response.begun)
			response_send(&response, exchange);
		tell(&request, &response);
	}
	log_set_thread_id(NULL, 0);
	log_set_request_id(NULL);
	response_free(&response);
	request_free(&request);
	metrics_change(METRIC_WORKERS_BUSY, -1);
}

bool
router_may_outlive(void *arg, struct exchange *exchange)
{
	const struct router *router = arg;
	const struct route *route = NULL;
	struct buf allow = BUF_INIT(ROUTE_SIZE);
	struct request request;

	if (request_init(&request, exchange) == REQUEST_PATH_OK) {
		tidy_api_path(router, request.path);
		route = find_route(router, &request, &allow);
	}
	buf_free(&allow);
	request_free(&request);
	return route &&
	    (route->work == ROUTE_OUTLIVES ||
		(route->work == ROUTE_DEFERS && exchange->variable(exchange, "HTTP_PREFER")));
}
