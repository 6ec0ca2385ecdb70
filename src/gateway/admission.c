#include "gateway/admission.h"

#include "http/cors.h"
#include "os/hash.h"
#include "records/token_bucket.h"

enum {
	MINUTE_S = 60,
	THREADS_A_MESSAGE = 10,
	FAILURE_RETRY_AFTER_S = 5,
	NAME_SIZE = ADDRESS_TEXT_SIZE + 16
};

struct admission {
	const struct config *config;
	const struct budgets *budgets;
	char token_hash[SHA256_HEX_SIZE]; /* "" if no token is needed */
};

struct admission *
admission_new(const struct config *config, const struct budgets *budgets)
{
	struct admission *admission = calloc(1, sizeof *admission);

	if (!admission)
		return NULL;
	admission->config = config;
	admission->budgets = budgets;
	if (config->access_token)
		sha256_hex(
		    config->access_token, strlen(config->access_token), admission->token_hash);
	return admission;
}

void
admission_free(struct admission *admission)
{
	free(admission);
}

/*
 * Only hashes are compared. How long that takes reveals nothing about the token, because a client
 * cannot choose a hash.
 */
static bool
has_token(const struct admission *admission, struct request *request)
{
	const char *token = request_bearer(request);
	char hash[SHA256_HEX_SIZE];

	if (!token)
		return false;
	sha256_hex(token, strlen(token), hash);
	return sha256_hex_equal(hash, admission->token_hash);
}

bool
admission_admits(struct admission *admission, struct request *request, struct response *response)
{
	if (!cors_admits(request, admission->config->allow_origin)) {
		response_problem(response, 403,
		    "Pages of this origin may not use the assistant here: the server's setting "
		    "ASSISTANTS_ALLOW_ORIGIN lists those that may.");
		return false;
	}
	if (!*admission->token_hash || has_token(admission, request))
		return true;
	response_header(response, "WWW-Authenticate", "Bearer");
	response_problem(response, 401, "This needs an access token: %s.",
	    request_bearer(request) ? "the one that was sent is wrong"
				    : "send it as Authorization: Bearer TOKEN");
	return false;
}

/* Names a client's bucket. Clients whose address the web server does not tell share one. */
static void
name_bucket(const struct admission *admission, struct request *request, const char *what,
    char name[NAME_SIZE])
{
	char client[ADDRESS_TEXT_SIZE] = "unknown";
	struct address address;

	if (request_client(request, admission->config->trusted_proxies, &address))
		address_print_client(&address, client);
	snprintf(name, NAME_SIZE, "%s %s", what, client);
}

static void
answer_empty(struct response *response, const char *words, long long wait_s)
{
	response->retry_after_s = wait_s;
	response_problem(response, 429, "%s; try again in %lld second%s.", words, wait_s,
	    wait_s == 1 ? "" : "s");
}

static void
answer_uncounted(struct response *response)
{
	response->retry_after_s = FAILURE_RETRY_AFTER_S;
	response_problem(response, 503, "The database is busy; try again soon.");
}

void
admission_answer_empty(struct response *response, long long wait_s)
{
	answer_empty(response, "The assistant has used up its tokens for now", wait_s);
}

/*
 * Takes one of the client's `rate` units a minute. False: answered, with 429 and `words` if none is
 * left.
 */
static bool
take_one(struct admission *admission, struct request *request, struct response *response,
    const char *what, long long rate, const char *words)
{
	char name[NAME_SIZE];
	const struct bucket bucket = {.name = name, .capacity = rate, .fill_s = MINUTE_S};
	long long wait_s;

	if (rate == 0)
		return true;
	name_bucket(admission, request, what, name);
	switch (bucket_take_one(admission->budgets->db, &bucket, &wait_s)) {
	case BUCKET_TAKEN:
		return true;
	case BUCKET_EMPTY:
		answer_empty(response, words, wait_s);
		return false;
	default:
		answer_uncounted(response);
		return false;
	}
}

bool
admission_takes_thread(
    struct admission *admission, struct request *request, struct response *response)
{
	return take_one(admission, request, response, "threads",
	    (long long)admission->config->rate * THREADS_A_MESSAGE,
	    "Too many new threads come from your address");
}

bool
admission_takes_message(
    struct admission *admission, struct request *request, struct response *response)
{
	long long wait_s;

	switch (budget_look(admission->budgets, "gateway", &wait_s)) {
	case BUDGET_RESERVED:
	case BUDGET_HELD: /* the holder may be dead: creating the run finds out */
		return take_one(admission, request, response, "messages", admission->config->rate,
		    "Too many messages come from your address");
	case BUDGET_EMPTY:
		admission_answer_empty(response, wait_s);
		return false;
	default:
		answer_uncounted(response);
		return false;
	}
}
