/*
 * The gateway: what a web page or curl needs to talk to one assistant. It is a small client of an
 * Assistants API, which it reaches through openai/.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "config.h"
#include "http/router.h"
#include "openai/openai.h"
#include "records/budget.h"

struct gateway;

/*
 * Reads the assistant's definition and tools. `budgets` names the database for counts. Arguments
 * are borrowed. NULL with one sentence in `error`.
 */
struct gateway *gateway_new(const struct config *config, struct openai *openai,
    const struct budgets *budgets, char error[ERROR_SIZE]);
void gateway_free(struct gateway *gateway);

/*
 * Whether a request is admitted at all, may create a thread, may send a message; see admission.h.
 */
router_admit_fn gateway_admits, gateway_admits_thread, gateway_admits_message;

/* Handlers; their context is the struct gateway. */
route_handler_fn gateway_health, gateway_metrics;
route_handler_fn gateway_threads_create, gateway_threads_delete;
route_handler_fn gateway_messages_create, gateway_messages_list;
route_handler_fn gateway_runs_retrieve;

#endif
