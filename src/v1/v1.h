/*
 * /v1: the Assistants API over HTTP, for OpenAI's official clients: keys, repeated requests,
 * streams. The API itself is in assistants/. Other requests are passed on to the model server.
 * Azure's clients are served, too: an `api-key` header, and paths that begin with /openai.
 */
#ifndef V1_V1_H
#define V1_V1_H

#include "assistants/api.h"
#include "config.h"
#include "http/router.h"
#include "net/http_client.h"
#include "records/budget.h"

struct v1;

/* Arguments are borrowed. NULL: out of memory. */
struct v1 *v1_new(const struct config *config, struct api *api, const struct budgets *budgets,
    const struct blobs *blobs, struct http_client *http_client);
void v1_free(struct v1 *v1);

/* Whether the request has a key; sets request->tenant to the key's name. */
router_admit_fn v1_admits;

/*
 * Handlers of the paths under /v1 and /openai. Their context is the struct v1; NULL: the Assistants
 * API is on another server.
 */
route_handler_fn v1_answer;       /* the Assistants API */
route_handler_fn v1_pass_through; /* requests that are passed on */
route_handler_fn v1_responses;    /* the same, if the model server must not store anything */
route_handler_fn v1_file_create;  /* POST /files, which is no JSON */
route_handler_fn v1_not_yet;      /* vector stores, and uploads in parts */

#endif
