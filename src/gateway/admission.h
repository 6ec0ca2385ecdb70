/*
 * Admission: which requests may use the gateway, and how much, so that a public page costs its
 * owner no more than intended. It is checked before a request's body is read, and before anything
 * is stored or sent to a model.
 *
 * The counts are in the database, so that all processes count together: the messages a minute of
 * each client address, and ten times as many new threads. The day's tokens are a budget, which is
 * charged where the model is asked; here it is only checked that some are left. A request that
 * cannot be counted is refused. Only for src/gateway/.
 */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include "config.h"
#include "http/request.h"
#include "http/response.h"
#include "records/budget.h"

struct admission;

/* Borrows both; `budgets` names the database. NULL: out of memory. */
struct admission *admission_new(const struct config *config, const struct budgets *budgets);
void admission_free(struct admission *admission);

/*
 * Whether the request's origin is allowed (else 403), and its access token is right (else 401).
 * False: answered.
 */
bool admission_admits(
    struct admission *admission, struct request *request, struct response *response);

/* Whether the client may create one more thread; counts it. False: answered with 429 or 503. */
bool admission_takes_thread(
    struct admission *admission, struct request *request, struct response *response);

/* Whether the client may send one more message; counts it. False: answered with 429 or 503. */
bool admission_takes_message(
    struct admission *admission, struct request *request, struct response *response);

/* Answers 429: no tokens are left, for `wait_s` seconds. */
void admission_answer_empty(struct response *response, long long wait_s);

#endif
