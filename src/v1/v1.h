/*
 * /v1: the Assistants API's face to the world, for OpenAI's official clients. Keys, requests
 * that come twice, streams; the API itself is assistants/. What else a program asks of its base URL
 * is passed through to the model server. Azure's form of the same, too: an `api-key`
 * header, and paths that begin with /openai.
 */
#ifndef V1_V1_H
#define V1_V1_H

#include "assistants/api.h"
#include "config.h"
#include "http/router.h"
#include "net/http_client.h"
#include "records/budget.h"

struct v1;

/* Arguments are borrowed, and must live longer. NULL: out of memory. */
struct v1 *v1_new(const struct config *config, struct api *api, const struct budgets *budgets,
    struct http_client *http_client);
void v1_free(struct v1 *v1);

/* Whether the request has a key; then request->tenant is the key's name. */
router_admit_fn v1_admits;

/*
 * The handlers of the paths below /v1 and /openai; their room is the struct v1, or NULL, where the
 * Assistants API is another server's.
 */
route_handler_fn v1_answer;       /* the Assistants API */
route_handler_fn v1_pass_through; /* what the model server answers itself */
route_handler_fn v1_responses;    /* the same, for requests that must not be kept there */
route_handler_fn v1_not_yet;      /* files and vector stores */

#endif
