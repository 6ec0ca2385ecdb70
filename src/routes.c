#include "routes.h"

#include "gateway/gateway.h"

enum { TEXT_OR_JSON = MEDIA_TEXT | MEDIA_JSON, WORDS = MEDIA_TEXT | MEDIA_JSON | MEDIA_FORM };

const struct route routes[] = {
    {"GET", "/health", TEXT_OR_JSON, 0, 0, false, gateway_health},
    {"POST", "/threads", TEXT_OR_JSON, 0, ROUTE_BODY_MAX, false, gateway_threads_create},
    {"DELETE", "/threads/{id}", 0, 0, 0, false, gateway_threads_delete},
    {"POST", "/threads/{id}/messages", TEXT_OR_JSON, WORDS, ROUTE_BODY_MAX, true,
	gateway_messages_create},
    {"GET", "/threads/{id}/messages", TEXT_OR_JSON, 0, 0, false, gateway_messages_list},
};

const size_t routes_len = sizeof routes / sizeof *routes;
