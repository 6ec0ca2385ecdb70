/*
 * The gateway: what a web page or a curl needs to talk to one assistant. A small client of an
 * Assistants API, which openai/ reaches for it.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "config.h"
#include "http/router.h"
#include "openai/openai.h"
#include "records/budget.h"

struct gateway;

/*
 * Reads the assistant's definition and tools. `budgets` have its database, for what is counted.
 * Arguments are borrowed, and must live longer. NULL with one sentence in `error`.
 */
struct gateway *gateway_new(const struct config *config, struct openai *openai,
    const struct budgets *budgets, char error[ERROR_SIZE]);
void gateway_free(struct gateway *gateway);

/* Whether a request may come in at all, may make a thread, may bring a message; see admission.h. */
router_admit_fn gateway_admits, gateway_admits_thread, gateway_admits_message;

/* Handlers; their room is the struct gateway. */
route_handler_fn gateway_health, gateway_metrics;
route_handler_fn gateway_threads_create, gateway_threads_delete;
route_handler_fn gateway_messages_create, gateway_messages_list;
route_handler_fn gateway_runs_retrieve;

#endif
