/*
 * What the rooms of /v1 share: who asks, what is asked, errors. Only for src/v1/.
 */
#ifndef V1_INTERNAL_H
#define V1_INTERNAL_H

#include "config.h"
#include "http/request.h"
#include "http/response.h"
#include "net/http_client.h"
#include "records/budget.h"
#include "v1/keys.h"

struct v1 {
	const struct config *config;
	struct api *api;
	struct db *db;
	const struct budgets *budgets;
	struct http_client *http_client;
	char *authorization; /* a header with the model server's key; NULL: there is none */
	struct keys *keys;
};

/* The API's own path, decoded: what follows /v1, or Azure's /openai. The request's. */
const char *v1_path(const struct request *request);

/* The query without Azure's api-version, "" for none; the caller's to free. */
char *v1_query(struct request *request);

/* The body as JSON, NULL for none; the caller's. False when it was refused. */
bool v1_body(struct request *request, struct response *response, struct json_object **body);

/* The API's error, all four keys; `param` and `code` may be NULL. */
void v1_error(struct response *response, int status, const char *param, const char *code,
    const char *message);

/* 429: the key's budget is empty for so many seconds. */
void v1_answer_empty(struct response *response, long long wait_s);

/* Tells SDKs, which repeat 409 and whatever is above 499, not to do it. */
void v1_forbid_retry(struct response *response);

/* What is busy can be asked again in `seconds`; below 0: in a moment. */
void v1_retry_after(struct response *response, long seconds);

#endif
