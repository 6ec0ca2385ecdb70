#include "net/http_client.h"

#include <curl/curl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/address.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "os/clock.h"
#include "text/text.h"

enum {
	CONNECT_TIMEOUT_MS = 10000,
	RETRIES_MAX = 3,
	RETRY_AFTER_MAX_S = 20,
	RETRY_AFTER_SHOWN_MAX_S = 86400,
	RETRY_STEP_MS = 250,
	HEAD_MAX = 256 << 10, /* of an answer's head; curl limits a line to 100 KB */
	LINGER_MS = 200,      /* how long a stream may take to end after its last event */
	MAXAGE_S = 55,        /* older idle connections are not reused */
	POOL_MAX = 64,        /* idle handles that are kept */
	UPLOAD_BUFFER_SIZE = 16 << 10,
	EVENTS_BUFFER_SIZE = 4 << 10,
	ASK_MS = 1000 /* see struct interrupt */
};

struct handle {
	CURLM *multi;
	CURL *easy;
	curl_socket_t idle; /* the connection its last call left open, or CURL_SOCKET_BAD */
	struct handle *next;
};

struct http_client {
	CURLSH *share;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST]; /* curl's, used by lock_share() */
	char *ca_file;
	/* Workers take and return handles at once; the first one makes the share. */
	pthread_mutex_t pool_lock;
	struct handle *pool;
	unsigned pool_len;
};

/* One request under way. */
struct transfer {
	const struct http_call *call;
	struct http_answer *answer;
	CURL *easy;
	struct sse sse;
	long long deadline_ms;
	unsigned
	    requests;    /* how often curl sent it, or tried to; only for requests with an effect */
	size_t head_len; /* of all heads, interim ones included */
	bool headed;     /* the final head is complete, not just an interim one */
	bool finished;   /* the last event has come; the rest does not matter */
	enum http_outcome write_failure; /* why a callback ended the transfer */
	char error[CURL_ERROR_SIZE];
};

static const char *const outcome_words[HTTP__MAX] = {
    [HTTP_ANSWERED] = "answered",
    [HTTP_UNREACHABLE] = "no connection",
    [HTTP_BAD_TLS] = "TLS could not be verified",
    [HTTP_CUT] = "the connection ended before the answer",
    [HTTP_SILENT] = "no answer in time",
    [HTTP_TOO_LARGE] = "the answer is too large",
    [HTTP_STOPPED] = "stopped",
    [HTTP_INTERRUPTED] = "interrupted",
};

const char *
http_outcome_strerror(enum http_outcome outcome)
{
	return outcome_words[outcome];
}

void
http_count_failure(const char *upstream, enum http_outcome outcome, long status)
{
	static const char *const kinds[HTTP__MAX] = {
	    [HTTP_UNREACHABLE] = "unreachable",
	    [HTTP_BAD_TLS] = "bad_tls",
	    [HTTP_CUT] = "cut",
	    [HTTP_SILENT] = "silent",
	    [HTTP_TOO_LARGE] = "too_large",
	};
	char digits[24];

	if (!metrics_on())
		return;
	snprintf(digits, sizeof digits, "%ld", status);
	if (kinds[outcome])
		metrics_add(METRIC_UPSTREAM_ERRORS, 1, upstream, kinds[outcome], NULL);
	else if (outcome == HTTP_ANSWERED && status / 100 != 2)
		metrics_add(METRIC_UPSTREAM_ERRORS, 1, upstream, digits, NULL);
}

static void
lock_share(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
	struct http_client *client = arg;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&client->share_locks[data]);
}

static void
unlock_share(CURL *easy, curl_lock_data data, void *arg)
{
	struct http_client *client = arg;

	(void)easy;
	pthread_mutex_unlock(&client->share_locks[data]);
}

/*
 * The system's file of certificates; NULL: curl's own default works. curl only knows the place for
 * which it was built, and a bundled libcurl may run on another system.
 */
static const char *
system_ca_file(void)
{
	static const char *const places[] = {
	    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch */
	    "/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat and its relatives */
	    "/etc/ssl/ca-bundle.pem",             /* SUSE */
	    "/etc/ssl/cert.pem",                  /* Alpine, BSD */
	};
	const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (!built_in || access(built_in, R_OK) == 0)
		return NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

struct http_client *
http_client_new(const char *ca_file)
{
	struct http_client *client = calloc(1, sizeof *client);

	if (!client)
		goto fail;
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&client->share_locks[i], NULL);
	pthread_mutex_init(&client->pool_lock, NULL);
	if (!ca_file)
		ca_file = system_ca_file();
	if (ca_file && !(client->ca_file = strdup(ca_file)))
		goto fail;
	return client;
fail:
	if (client)
		free(client->ca_file);
	free(client);
	return NULL;
}

/*
 * Starts curl and TLS. In CGI that takes longer than everything else, so it is done on first use.
 */
static void
start(struct http_client *client)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return;
	client->share = curl_share_init();
	if (!client->share) {
		curl_global_cleanup();
		return;
	}
	curl_share_setopt(client->share, CURLSHOPT_LOCKFUNC, lock_share);
	curl_share_setopt(client->share, CURLSHOPT_UNLOCKFUNC, unlock_share);
	curl_share_setopt(client->share, CURLSHOPT_USERDATA, client);
	curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static void
handle_free(struct handle *handle)
{
	if (!handle)
		return;
	curl_easy_cleanup(handle->easy);
	curl_multi_cleanup(handle->multi);
	free(handle);
}

void
http_client_free(struct http_client *client)
{
	struct handle *handle;

	if (!client)
		return;
	while ((handle = client->pool)) {
		client->pool = handle->next;
		handle_free(handle);
	}
	if (client->share) {
		curl_share_cleanup(client->share);
		curl_global_cleanup();
	}
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&client->share_locks[i]);
	pthread_mutex_destroy(&client->pool_lock);
	free(client->ca_file);
	free(client);
}

bool
http_url_valid(const char *url)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *user = NULL;
	bool valid;

	valid = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
	curl_free(scheme);
	curl_free(user);
	curl_url_cleanup(parsed);
	return valid;
}

static bool
is_private_peer(const struct addrinfo *peer)
{
	struct address address;
	char text[NI_MAXHOST];

	return getnameinfo(peer->ai_addr, peer->ai_addrlen, text, sizeof text, NULL, 0,
		   NI_NUMERICHOST) == 0 &&
	    address_parse(text, strcspn(text, "%"), &address) == 0 && address_is_private(&address);
}

/* By what the name resolves to. A name that does not resolve is not private. */
static bool
leads_to_private(const char *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	bool is_private = false;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	for (const struct addrinfo *at = found; at && !is_private; at = at->ai_next)
		is_private = is_private_peer(at);
	freeaddrinfo(found);
	return is_private;
}

bool
http_url_is_private(const char *url, bool resolve)
{
	CURLU *parsed = curl_url();
	struct address address;
	char *host = NULL;
	bool is_private = true;

	/* curl normalises 127.1 and 0x7f000001 to 127.0.0.1. */
	if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		is_private = address_parse(host, strlen(host), &address) == 0
		    ? address_is_private(&address)
		    : resolve && leads_to_private(host);
	curl_free(host);
	curl_url_cleanup(parsed);
	return is_private;
}

/*
 * Whether something has arrived on its connection since the last call: its end, or unexpected
 * bytes, which curl would take for the next answer.
 */
static bool
is_spoilt(const struct handle *handle)
{
	struct pollfd idle = {.fd = handle->idle, .events = POLLIN};

	return handle->idle != CURL_SOCKET_BAD && poll(&idle, 1, 0) != 0;
}

static struct handle *
pool_take(struct http_client *client)
{
	struct handle *handle;
	bool started;

	pthread_mutex_lock(&client->pool_lock);
	if (!client->share)
		start(client);
	started = client->share;
	handle = client->pool;
	if (handle) {
		client->pool = handle->next;
		client->pool_len--;
	}
	pthread_mutex_unlock(&client->pool_lock);
	if (handle && !is_spoilt(handle))
		return handle;
	handle_free(handle);
	if (!started)
		return NULL;
	handle = calloc(1, sizeof *handle);
	if (!handle)
		return NULL;
	handle->idle = CURL_SOCKET_BAD;
	handle->multi = curl_multi_init();
	handle->easy = curl_easy_init();
	if (!handle->multi || !handle->easy) {
		handle_free(handle);
		return NULL;
	}
	return handle;
}

static void
pool_give(struct http_client *client, struct handle *handle)
{
	pthread_mutex_lock(&client->pool_lock);
	if (client->pool_len < POOL_MAX) {
		handle->next = client->pool;
		client->pool = handle;
		client->pool_len++;
		handle = NULL;
	}
	pthread_mutex_unlock(&client->pool_lock);
	handle_free(handle);
}

static long
retry_after_seconds(const char *value)
{
	long long seconds;
	time_t at;

	if (parse_number(value, 0, RETRY_AFTER_SHOWN_MAX_S, &seconds) == 0)
		return (long)seconds;
	if (*value && value[strspn(value, "0123456789")] == '\0')
		return RETRY_AFTER_SHOWN_MAX_S;
	/* RFC 9110, 10.2.3: it may be a date. */
	at = curl_getdate(value, NULL);
	if (at < 0)
		return -1;
	seconds = (long long)at - clock_unix();
	if (seconds < 0)
		return 0;
	return seconds < RETRY_AFTER_SHOWN_MAX_S ? (long)seconds : RETRY_AFTER_SHOWN_MAX_S;
}

static void
set_content_type(struct http_answer *answer, const char *value)
{
	size_t len = strcspn(value, "; \t");

	if (len >= sizeof answer->content_type)
		len = sizeof answer->content_type - 1;
	for (size_t i = 0; i < len; i++)
		answer->content_type[i] =
		    (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] + 32 : value[i]);
	answer->content_type[len] = '\0';
}

const char *
http_head_value(const struct http_head *head, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(head->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
	    ? header->value
	    : NULL;
}

static void
read_head(const struct http_head *head, struct http_answer *answer)
{
	const char *type = http_head_value(head, "Content-Type");
	const char *retry = http_head_value(head, "Retry-After");
	const char *poll = http_head_value(head, "openai-poll-after-ms");
	long long number;

	if (type)
		set_content_type(answer, type);
	if (retry)
		answer->retry_after_s = retry_after_seconds(retry);
	if (poll && parse_number(poll, 0, 60000, &number) == 0)
		answer->poll_after_ms = (long)number;
}

/* Called at the end of a head: an interim one (1xx), or the answer's. */
static int
end_head(struct transfer *transfer)
{
	const struct http_call *call = transfer->call;
	struct http_head head = {.easy = transfer->easy, .body_len = -1};
	curl_off_t len = -1;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &head.status);
	transfer->headed = head.status >= 200;
	if (!transfer->headed)
		return 0;
	read_head(&head, transfer->answer);
	if (!call->on_head)
		return 0;
	/* curl reports 0 where there can be none. A decompressed body has another length. */
	if (head.status != 204 && !http_head_value(&head, "Content-Encoding"))
		curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &len);
	head.body_len = len;
	return call->on_head(call->pass_arg, &head);
}

static size_t
on_header(char *bytes, /* NOLINT(readability-non-const-parameter): curl's type */
    size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count;
	bool ends = len > 0 && (*bytes == '\r' || *bytes == '\n');

	transfer->head_len += len;
	if (transfer->head_len > HEAD_MAX) {
		transfer->write_failure = HTTP_TOO_LARGE;
		return CURL_WRITEFUNC_ERROR;
	}
	if (ends && !transfer->headed && end_head(transfer) < 0) {
		transfer->write_failure = HTTP_STOPPED;
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	const struct http_call *call = transfer->call;
	struct http_answer *answer = transfer->answer;
	size_t len = size * count;
	int result;

	if (transfer->finished)
		return len;
	/* After an unexpected 101 another protocol follows. */
	if (!transfer->headed) {
		transfer->write_failure = HTTP_CUT;
		return CURL_WRITEFUNC_ERROR;
	}
	if (call->on_head) {
		if (call->on_piece(call->pass_arg, bytes, len) >= 0)
			return len;
		transfer->write_failure = HTTP_STOPPED;
		return CURL_WRITEFUNC_ERROR;
	}
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	/* Some servers label a whole JSON answer as a stream. */
	if (!call->on_event || answer->status / 100 != 2 || answer->body.len > 0 ||
	    strcmp(answer->content_type, "text/event-stream") != 0 ||
	    (!answer->streamed && *bytes == '{')) {
		if (buf_append(&answer->body, bytes, len) == 0)
			return len;
		transfer->write_failure = HTTP_TOO_LARGE;
		return CURL_WRITEFUNC_ERROR;
	}
	answer->streamed = true;
	result = sse_feed(&transfer->sse, bytes, len, call->on_event, call->event_arg);
	if (result == 0)
		return len;
	if (result > 0) {
		/* Most servers end the stream now; then the connection can be reused. */
		transfer->finished = true;
		if (transfer->deadline_ms > clock_ms() + LINGER_MS)
			transfer->deadline_ms = clock_ms() + LINGER_MS;
		return len;
	}
	transfer->write_failure =
	    transfer->sse.line.failed || transfer->sse.data.failed ? HTTP_TOO_LARGE : HTTP_STOPPED;
	return CURL_WRITEFUNC_ERROR;
}

static size_t
on_read(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	const struct http_call *call = transfer->call;
	ssize_t got = call->read_body(call->pass_arg, bytes, size * count);

	if (got >= 0)
		return (size_t)got;
	transfer->write_failure = HTTP_STOPPED;
	return CURL_READFUNC_ABORT;
}

/*
 * curl calls this before each request. It refuses a second one: if a kept connection breaks before
 * the first byte, curl repeats the request by itself, although it may have taken effect.
 */
static int
on_request(void *arg, char *server_ip, /* NOLINT(readability-non-const-parameter): curl's type */
    char *own_ip,                      /* NOLINT(readability-non-const-parameter): the same */
    int server_port, int own_port)
{
	struct transfer *transfer = arg;

	(void)server_ip;
	(void)own_ip;
	(void)server_port;
	(void)own_port;
	return transfer->requests++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static struct curl_slist *
configure_body(struct transfer *transfer, struct curl_slist *headers)
{
	const struct http_call *call = transfer->call;
	CURL *easy = transfer->easy;

	if (call->read_body && call->body_len != 0) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
		if (call->body_len < 0)
			headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
	} else if (call->body || strcmp(call->method, "POST") == 0) {
		/* Without a body this sends Content-Length: 0, which some servers demand. */
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
		headers = curl_slist_append(
		    headers, call->body ? "Content-Type: application/json" : "Content-Type:");
	} else {
		return headers;
	}
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	/* curl would allocate 64 KiB; most bodies are much shorter. */
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_SIZE);
	/* Do not wait for "100 Continue" before a large body. */
	headers = curl_slist_append(headers, "Expect:");
	return headers;
}

/* The only place that configures a handle. */
static struct curl_slist *
configure(struct http_client *client, struct transfer *transfer)
{
	const struct http_call *call = transfer->call;
	CURL *easy = transfer->easy;
	struct curl_slist *headers = NULL;

	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (client->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
		/* Otherwise Debian's curl would trust the system's folder, too. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "assistants-fcgi/" VERSION);
	/*
	 * A compressor would delay a stream. An answer that is compressed anyway is decompressed.
	 */
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* Events are small, and thousands of calls wait for them: use a small buffer. */
	if (call->on_event)
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)EVENTS_BUFFER_SIZE);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	for (const char *const *header = call->headers; header && *header; header++)
		headers = curl_slist_append(headers, *header);
	headers = configure_body(transfer, headers);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	/* So that a reused connection is seldom one that the server is about to close. */
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)MAXAGE_S);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	return headers;
}

static enum http_outcome
outcome_of(CURLcode code, const struct transfer *transfer)
{
	/* The request had been sent, and curl connected once more by itself. */
	bool again = transfer->requests > 0;

	switch (code) {
	case CURLE_OK:
		/* curl takes a head that was cut off for one without a body. */
		return transfer->headed ? HTTP_ANSWERED : HTTP_CUT;
	case CURLE_WRITE_ERROR:
	case CURLE_ABORTED_BY_CALLBACK:
		return transfer->write_failure;
	/* curl also reports this for a line of the head that is too long. */
	case CURLE_OUT_OF_MEMORY:
#if LIBCURL_VERSION_NUM >= 0x080600
	case CURLE_TOO_LARGE:
#endif
		return transfer->headed ? HTTP_CUT : HTTP_TOO_LARGE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
	case CURLE_URL_MALFORMAT:
	/* The only time-out set in curl is the one for connecting. */
	case CURLE_OPERATION_TIMEDOUT:
		return again ? HTTP_CUT : HTTP_UNREACHABLE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return again ? HTTP_CUT : HTTP_BAD_TLS;
	default:
		return HTTP_CUT;
	}
}

/* Runs the transfer until curl has a result, or until it must end. */
static enum http_outcome
drive(struct handle *handle, struct transfer *transfer)
{
	const struct interrupt *interrupt = transfer->call->interrupt;
	struct curl_waitfd watched = {
	    .fd = interrupt ? interrupt->fd : -1, .events = CURL_WAIT_POLLIN};

	for (;;) {
		int running, messages;
		long long left;
		CURLMsg *message;

		if (curl_multi_perform(handle->multi, &running) != CURLM_OK)
			return HTTP_CUT;
		message = curl_multi_info_read(handle->multi, &messages);
		if (message) {
			/* CURL_SOCKET_BAD if curl has closed it. */
			curl_easy_getinfo(handle->easy, CURLINFO_ACTIVESOCKET, &handle->idle);
			/* How a stream ends after its last event does not matter. */
			return transfer->finished ? HTTP_ANSWERED
						  : outcome_of(message->data.result, transfer);
		}
		if (interrupt_raised(interrupt))
			return transfer->finished ? HTTP_ANSWERED : HTTP_INTERRUPTED;
		/* Readable but not raised: poll() would return at once, forever. */
		if (watched.revents)
			watched.fd = -1;
		left = transfer->deadline_ms - clock_ms();
		if (left <= 0)
			return transfer->finished ? HTTP_ANSWERED : HTTP_SILENT;
		watched.revents = 0;
		curl_multi_poll(handle->multi, &watched, watched.fd >= 0,
		    (int)(left < ASK_MS ? left : ASK_MS), NULL);
	}
}

/* Describes the outcome. If we ended the transfer, curl's message would only say that. */
static void
write_detail(enum http_outcome outcome, const char *curls, struct http_answer *answer)
{
	bool shown = *curls &&
	    (outcome == HTTP_UNREACHABLE || outcome == HTTP_BAD_TLS || outcome == HTTP_CUT);

	snprintf(answer->detail, sizeof answer->detail, "%s%s%s", http_outcome_strerror(outcome),
	    shown ? ": " : "", shown ? curls : "");
}

static enum http_outcome
perform_once(struct http_client *client, const struct http_call *call, long long deadline_ms,
    struct http_answer *answer)
{
	struct handle *handle = pool_take(client);
	struct transfer transfer = {.call = call, .answer = answer, .write_failure = HTTP_CUT};
	enum http_outcome outcome;
	struct curl_slist *headers;
	curl_off_t sent = 0;

	if (!handle)
		return HTTP_UNREACHABLE;
	transfer.easy = handle->easy;
	handle->idle = CURL_SOCKET_BAD;
	transfer.deadline_ms = deadline_ms;
	sse_init(&transfer.sse, call->answer_max);
	headers = configure(client, &transfer);
	curl_multi_add_handle(handle->multi, handle->easy);
	outcome = drive(handle, &transfer);
	curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_getinfo(handle->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	answer->sent = call->body && sent == (curl_off_t)strlen(call->body);
	write_detail(outcome, transfer.requests > 1 ? "" : transfer.error, answer);
	curl_multi_remove_handle(handle->multi, handle->easy);
	curl_slist_free_all(headers);
	sse_free(&transfer.sse);
	/* A failed handle is not reused: not everything in it is reset. */
	if (outcome == HTTP_ANSWERED)
		pool_give(client, handle);
	else
		handle_free(handle);
	return outcome;
}

/* A random delay around `step`, so that many clients do not return at once. */
static long long
jittered(long long step)
{
	unsigned char byte = 128;

	if (getrandom(&byte, 1, GRND_NONBLOCK) != 1)
		byte = 128;
	return step / 2 + step * byte / 255;
}

/* 529 is Anthropic's status for an overloaded server. */
static bool
is_busy(long status)
{
	return status == 429 || status == 503 || status == 529;
}

/* Milliseconds until the call is repeated; -1: it must not be. */
static long long
retry_delay(const struct http_call *call, enum http_outcome outcome,
    const struct http_answer *answer, int attempt)
{
	long long step = jittered((long long)RETRY_STEP_MS << (attempt * 2));

	if (attempt >= RETRIES_MAX || call->on_head)
		return -1;
	if (outcome == HTTP_UNREACHABLE || (outcome == HTTP_CUT && call->repeatable))
		return step;
	if (outcome != HTTP_ANSWERED || !is_busy(answer->status) ||
	    (call->may_repeat && !call->may_repeat(answer)))
		return -1;
	if (answer->retry_after_s < 0)
		return step;
	if (answer->retry_after_s > RETRY_AFTER_MAX_S)
		return -1;
	/* Never before the time that the server asked for. */
	return answer->retry_after_s * 1000 + jittered(RETRY_STEP_MS);
}

static void
answer_init(struct http_answer *answer, const struct http_call *call)
{
	*answer = (struct http_answer){
	    .body = BUF_INIT(call->answer_max), .retry_after_s = -1, .poll_after_ms = -1};
}

enum http_outcome
http_client_call(
    struct http_client *client, const struct http_call *call, struct http_answer *answer)
{
	long long deadline_ms = clock_ms() + call->timeout_ms;

	for (int attempt = 0;; attempt++) {
		enum http_outcome outcome;
		long long delay_ms;

		answer_init(answer, call);
		outcome = perform_once(client, call, deadline_ms, answer);
		delay_ms = retry_delay(call, outcome, answer, attempt);
		if (delay_ms < 0 || clock_ms() + delay_ms >= deadline_ms)
			return outcome;
		/* Not the URL, which has thread ids. */
		log_info("upstream %s: %s (status %ld), again in %lld ms", call->method,
		    answer->detail, answer->status, delay_ms);
		http_answer_free(answer);
		if (interrupt_sleep(call->interrupt, delay_ms)) {
			answer_init(answer, call);
			return HTTP_INTERRUPTED;
		}
	}
}

void
http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
}
