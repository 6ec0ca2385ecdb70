#include "routes.h"

#include "gateway/gateway.h"
#include "obs/metrics.h"
#include "v1/v1.h"

enum { TEXT_OR_JSON = MEDIA_TEXT | MEDIA_JSON, WORDS = MEDIA_TEXT | MEDIA_JSON | MEDIA_FORM };

/* The same path under /v1 and under Azure's prefix. */
#define API(method, path, body_max, work, handler)                                                 \
	{method, "/v1" path, MEDIA_API, 0, body_max, work, v1_admits, handler},                    \
	{                                                                                          \
		method, "/openai" path, MEDIA_API, 0, body_max, work, v1_admits, handler           \
	}
#define V1(method, path, work) API(method, path, ROUTE_BODY_MAX, work, v1_answer)
#define PASSED(method, path) API(method, path, 0, ROUTE_WAITS, v1_pass_through)
#define NOT_YET(path) API("*", path, 0, ROUTE_QUICK, v1_not_yet)

const struct route routes[] = {
    {"GET", "/health", TEXT_OR_JSON, 0, 0, ROUTE_QUICK, gateway_admits, gateway_health},
    {"GET", "/metrics", MEDIA_TEXT, 0, 0, ROUTE_QUICK, gateway_admits, gateway_metrics, metrics_on},
    {"POST", "/threads", TEXT_OR_JSON, 0, ROUTE_BODY_MAX, ROUTE_QUICK, gateway_admits_thread,
	gateway_threads_create},
    {"DELETE", "/threads/{id}", 0, 0, 0, ROUTE_QUICK, gateway_admits, gateway_threads_delete},
    {"POST", "/threads/{id}/messages", TEXT_OR_JSON | MEDIA_EVENTS, WORDS, ROUTE_BODY_MAX,
	ROUTE_DEFERS, gateway_admits_message, gateway_messages_create},
    {"GET", "/threads/{id}/messages", TEXT_OR_JSON, 0, 0, ROUTE_QUICK, gateway_admits,
	gateway_messages_list},
    {"GET", "/threads/{id}/runs/{run}", TEXT_OR_JSON, 0, 0, ROUTE_QUICK, gateway_admits,
	gateway_runs_retrieve},

    /* Routes that may stream wait for a model. */
    V1("POST", "/threads/runs", ROUTE_OUTLIVES),
    V1("POST", "/threads/{id}/runs", ROUTE_OUTLIVES),
    V1("POST", "/threads/{id}/runs/{run}/submit_tool_outputs", ROUTE_OUTLIVES),

    PASSED("POST", "/chat/completions"),
    /* Azure's paths. The body also names the deployment, as its model. */
    {"POST", "/openai/deployments/{name}/chat/completions", MEDIA_API, 0, 0, ROUTE_WAITS, v1_admits,
	v1_pass_through},
    {"POST", "/openai/deployments/{name}/embeddings", MEDIA_API, 0, 0, ROUTE_WAITS, v1_admits,
	v1_pass_through},
    API("POST", "/responses", ROUTE_BODY_MAX, ROUTE_WAITS, v1_responses),
    PASSED("POST", "/embeddings"),
    PASSED("POST", "/moderations"),
    PASSED("POST", "/images/{operation}"),
    PASSED("POST", "/audio/{operation}"),
    PASSED("GET", "/models"),
    PASSED("GET", "/models/{*}"),

    API("POST", "/files", ROUTE_BODY_PIECES, ROUTE_QUICK, v1_file_create),
    NOT_YET("/uploads"),
    NOT_YET("/uploads/{*}"),
    NOT_YET("/vector_stores"),
    NOT_YET("/vector_stores/{*}"),
    V1("*", "", ROUTE_QUICK),
    V1("*", "/{*}", ROUTE_QUICK),
};

const size_t routes_len = sizeof routes / sizeof *routes;
