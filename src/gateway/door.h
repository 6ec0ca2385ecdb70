/*
 * The door: who may use the gateway, and how much of it, so that a public page costs its owner no
 * more than he means to spend. Checked before anything is stored here or sent to a model.
 *
 * How much is kept in the database, so that all processes count together: for each client address
 * the messages of a minute, and ten times as many new threads; for the whole gateway the tokens of
 * a day. What cannot be counted is refused. Only for src/gateway/.
 */
#ifndef GATEWAY_DOOR_H
#define GATEWAY_DOOR_H

#include "config.h"
#include "db/db.h"
#include "http/request.h"
#include "http/response.h"

struct door;

/* `config` and `db` are borrowed. NULL: out of memory. */
struct door *door_new(const struct config *config, struct db *db);
void door_free(struct door *door);

/*
 * Whether a page of that origin may, 403, and who has that token, 401. False: answered.
 */
bool door_admits(struct door *door, struct request *request, struct response *response);

/* Whether one more thread may be made. False, 429 or 503: answered. */
bool door_takes_thread(struct door *door, struct request *request, struct response *response);

/*
 * Whether a message of `len` bytes may be put to the assistant. False, 429 or 503: answered. True:
 * door_settle() must be told what it cost.
 */
bool door_takes_message(struct door *door, struct request *request, struct response *response,
    size_t len, long long *taken);

/*
 * Takes more, when it is known what the message costs, and adds what it got to *taken. False: there
 * are none left for *wait_s seconds, or, with 0, they could not be counted.
 */
bool door_takes_tokens(struct door *door, long long *taken, long long tokens, long long *wait_s);

/* 429 for those who find no tokens left. */
void door_answer_empty(struct response *response, long long wait_s);

/* `taken` is what door_takes_message() and door_takes_tokens() said. */
void door_settle(struct door *door, long long taken, long long tokens);

/* What so many bytes of text cost where nobody has counted. */
long long door_tokens(size_t bytes);

#endif
