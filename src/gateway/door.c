#include "gateway/door.h"

#include "db/buckets.h"
#include "http/cors.h"
#include "util/hash.h"

enum {
	MINUTE_S = 60,
	DAY_S = 86400,
	THREADS_A_MESSAGE = 10,
	BYTES_A_TOKEN = 4,
	FAILURE_RETRY_AFTER_S = 5,
	NAME_SIZE = ADDRESS_TEXT_SIZE + 16
};

struct door {
	const struct config *config;
	struct db *db;
	char token_hash[SHA256_HEX_SIZE]; /* "" where none is needed */
};

static const char tokens_name[] = "tokens";

struct door *
door_new(const struct config *config, struct db *db)
{
	struct door *door = calloc(1, sizeof *door);

	if (!door)
		return NULL;
	door->config = config;
	door->db = db;
	if (config->access_token)
		sha256_hex(config->access_token, strlen(config->access_token), door->token_hash);
	return door;
}

void
door_free(struct door *door)
{
	free(door);
}

/*
 * Of the two only the hashes are compared: how long that takes says nothing about the token, since
 * nobody can choose a hash.
 */
static bool
has_token(const struct door *door, struct request *request)
{
	const char *token = request_bearer(request);
	char hash[SHA256_HEX_SIZE];

	if (!token)
		return false;
	sha256_hex(token, strlen(token), hash);
	return sha256_hex_equal(hash, door->token_hash);
}

bool
door_admits(struct door *door, struct request *request, struct response *response)
{
	if (!cors_admits(request, door->config->allow_origin)) {
		response_problem(response, 403,
		    "Pages of this origin may not use the assistant here: the server's setting "
		    "ASSISTANTS_ALLOW_ORIGIN names those that may.");
		return false;
	}
	if (!*door->token_hash || has_token(door, request))
		return true;
	response_header(response, "WWW-Authenticate", "Bearer");
	response_problem(response, 401, "This needs an access token: %s.",
	    request_bearer(request) ? "the one that was sent is not it"
				    : "send it as Authorization: Bearer TOKEN");
	return false;
}

/* A bucket's name; those whom the web server does not tell apart have one together. */
static void
name_bucket(
    const struct door *door, struct request *request, const char *what, char name[NAME_SIZE])
{
	char client[ADDRESS_TEXT_SIZE] = "unknown";
	struct address address;

	if (request_client(request, door->config->trusted_proxies, &address))
		address_print_client(&address, client);
	snprintf(name, NAME_SIZE, "%s %s", what, client);
}

static const char no_tokens[] = "The assistant has used up its tokens for now";

static void
answer_empty(struct response *response, const char *words, long long wait_s)
{
	response->retry_after_s = wait_s;
	response_problem(response, 429, "%s; try again in %lld second%s.", words, wait_s,
	    wait_s == 1 ? "" : "s");
}

void
door_answer_empty(struct response *response, long long wait_s)
{
	answer_empty(response, no_tokens, wait_s);
}

/* Takes from the buckets. False, answered, with the words for an empty one in `empty_words`. */
static bool
take(struct door *door, struct response *response, struct bucket *buckets, int len,
    const char *const *empty_words)
{
	long long wait_s = FAILURE_RETRY_AFTER_S;
	int empty = 0;

	switch (buckets_take(door->db, buckets, len, &empty, &wait_s)) {
	case BUCKETS_TAKEN:
		return true;
	case BUCKETS_EMPTY:
		answer_empty(response, empty_words[empty], wait_s);
		return false;
	default:
		response->retry_after_s = wait_s;
		response_problem(response, 503, "The database is busy; try again soon.");
		return false;
	}
}

bool
door_takes_thread(struct door *door, struct request *request, struct response *response)
{
	static const char *const words[] = {"Too many new threads come from your address"};
	char name[NAME_SIZE];
	struct bucket bucket = {
	    .name = name,
	    .capacity = (long long)door->config->rate * THREADS_A_MESSAGE,
	    .fill_s = MINUTE_S,
	    .units = 1,
	};

	if (door->config->rate == 0)
		return true;
	name_bucket(door, request, "threads", name);
	return take(door, response, &bucket, 1, words);
}

static struct bucket
tokens_bucket(const struct door *door)
{
	return (struct bucket){
	    .name = tokens_name,
	    .capacity = door->config->daily_tokens,
	    .fill_s = DAY_S,
	    .settled = true,
	};
}

bool
door_takes_message(struct door *door, struct request *request, struct response *response,
    size_t len, long long *taken)
{
	const char *words[2];
	struct bucket buckets[2];
	char name[NAME_SIZE];
	int wanted = 0;

	*taken = 0;
	if (door->config->daily_tokens) {
		buckets[wanted] = tokens_bucket(door);
		buckets[wanted].units = door_tokens(len);
		words[wanted++] = no_tokens;
	}
	if (door->config->rate) {
		name_bucket(door, request, "messages", name);
		buckets[wanted] = (struct bucket){
		    .name = name, .capacity = door->config->rate, .fill_s = MINUTE_S, .units = 1};
		words[wanted++] = "Too many messages come from your address";
	}
	if (wanted > 0 && !take(door, response, buckets, wanted, words))
		return false;
	if (door->config->daily_tokens)
		*taken = buckets[0].taken;
	return true;
}

bool
door_takes_tokens(struct door *door, long long *taken, long long tokens, long long *wait_s)
{
	struct bucket bucket = tokens_bucket(door);
	enum buckets_result result;
	int empty;

	*wait_s = 0;
	if (!door->config->daily_tokens)
		return true;
	bucket.settled = false;
	bucket.taken_before = *taken;
	bucket.units = tokens;
	result = buckets_take(door->db, &bucket, 1, &empty, wait_s);
	if (result == BUCKETS_TAKEN)
		*taken += bucket.taken;
	return result == BUCKETS_TAKEN;
}

void
door_settle(struct door *door, long long taken, long long tokens)
{
	struct bucket bucket = tokens_bucket(door);

	if (!door->config->daily_tokens)
		return;
	bucket.taken = taken;
	bucket_settle(door->db, &bucket, tokens);
}

long long
door_tokens(size_t bytes)
{
	return (long long)(bytes / BYTES_A_TOKEN) + 1;
}
