/*
 * What the rooms of /v1 share: who asks, what is asked, errors. Only for src/v1/.
 */
#ifndef V1_ROOM_H
#define V1_ROOM_H

#include "config.h"
#include "http/request.h"
#include "http/response.h"
#include "util/http_client.h"
#include "v1/keys.h"

struct v1 {
	const struct config *config;
	struct api *api;
	struct db *db;
	struct http_client *http_client;
	char *authorization; /* a header with the model server's key; NULL: there is none */
	struct keys *keys;
};

/*
 * Whose key came along. False when the request was refused: without a key, and where there is no
 * Assistants API of our own; `v1` is NULL then.
 */
bool v1_admit(struct v1 *v1, struct request *request, struct response *response,
    char tenant[KEYS_TENANT_SIZE]);

/* The API's own path, decoded: what follows /v1, or Azure's /openai. The request's. */
const char *v1_path(const struct request *request);

/* The query without Azure's api-version, "" for none; the caller's to free. */
char *v1_query(struct request *request);

/* The API's error, all four keys; `param` and `code` may be NULL. */
void v1_error(struct response *response, int status, const char *param, const char *code,
    const char *message);

/* Tells SDKs, which repeat 409 and whatever is above 499, not to do it. */
void v1_forbid_retry(struct response *response);

/* What is busy can be asked again in `seconds`; below 0: in a moment. */
void v1_retry_after(struct response *response, long seconds);

#endif
