/* What the files of /v1 share: key, request, errors. Only for src/v1/. */
#ifndef V1_INTERNAL_H
#define V1_INTERNAL_H

#include "assistants/api.h"
#include "config.h"
#include "http/request.h"
#include "http/response.h"
#include "net/http_client.h"
#include "records/budget.h"
#include "v1/keys.h"

struct v1 {
	const struct config *config;
	struct api *api;
	const struct blobs *blobs;
	struct db *db;
	const struct budgets *budgets;
	struct http_client *http_client;
	char *authorization; /* the header with the model server's key; NULL: none */
	struct keys *keys;
};

/* The API's own path, decoded: what follows /v1, or Azure's /openai. Owned by the request. */
const char *v1_path(const struct request *request);

/* The query without Azure's api-version, "" if there is none; the caller's to free. */
char *v1_query(struct request *request);

/* Parses the body as JSON, the caller's; NULL: no body. False: refused. */
bool v1_body(struct request *request, struct response *response, struct json_object **body);

/* An error of the API with all four members; `param` and `code` may be NULL. */
void v1_error(struct response *response, int status, const char *param, const char *code,
    const char *message);

/* Answers that the body cannot be read; `too_large`: the sentence if it is too large. */
void v1_refuse_body(struct request *request, struct response *response,
    enum request_body_result result, const char *too_large);

/*
 * Carries a request out, or answers a repetition of an earlier one (Idempotency-Key) with the same
 * `body`. Returns the status, 0 if it was not carried out.
 */
int v1_call(struct v1 *v1, struct request *request, struct response *response,
    struct api_request *asked, const char *body, size_t body_len);

/* Answers 429: the key's budget is empty for `wait_s` seconds. */
void v1_answer_empty(struct response *response, long long wait_s);

/* Tells SDKs not to retry; they retry 409 and everything above 499. */
void v1_forbid_retry(struct response *response);

/* Says when to retry, in seconds; negative: in a moment. */
void v1_retry_after(struct response *response, long seconds);

#endif
