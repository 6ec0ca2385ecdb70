/*
 * Admission: which requests may use the gateway, and how much, so that a public page costs its
 * owner no more than he means to spend. Checked before a request's body is read, anything is stored
 * here or sent to a model.
 *
 * How much is kept in the database, so that all processes count together: for each client address
 * the messages of a minute, and ten times as many new threads. The tokens of a day are a budget,
 * which is paid from where the model is asked; here is only looked whether there is one left. What
 * cannot be counted is refused. Only for src/gateway/.
 */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include "config.h"
#include "http/request.h"
#include "http/response.h"
#include "records/budget.h"

struct admission;

/* Both are borrowed; `budgets` have the database. NULL: out of memory. */
struct admission *admission_new(const struct config *config, const struct budgets *budgets);
void admission_free(struct admission *admission);

/*
 * Whether a page of that origin may, 403, and who has that token, 401. False: answered.
 */
bool admission_admits(
    struct admission *admission, struct request *request, struct response *response);

/* Whether one more thread may be made. False, 429 or 503: answered. */
bool admission_takes_thread(
    struct admission *admission, struct request *request, struct response *response);

/* Whether one more message may come. False, 429 or 503: answered. */
bool admission_takes_message(
    struct admission *admission, struct request *request, struct response *response);

/* 429 for those who find no tokens left. */
void admission_answer_empty(struct response *response, long long wait_s);

#endif
