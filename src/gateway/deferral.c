#include "gateway/deferral.h"

#include "http/router.h"
#include "os/clock.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"

enum {
	PENDING_RETRY_AFTER_S = 2,
	/* How long after a run's end its outcome may still have to be stored. */
	KEEPING_S = 5,
	DETAIL_MAX = 500 /* metadata's strings may have 512 */
};

void
deferral_init(struct deferral *deferral, struct request *request, struct response *response)
{
	char *header = request->exchange->variables(request->exchange, "HTTP_PREFER");
	struct prefer prefer = prefer_read(header);

	free(header);
	*deferral = (struct deferral){
	    .request = request,
	    .response = response,
	    .prefer = prefer,
	    .wanted = request->media != MEDIA_EVENTS && (prefer.async || prefer.wait_s >= 0),
	    .due_ms = request->begun_ms + (prefer.wait_s > 0 ? prefer.wait_s * 1000 : 0),
	};
	pthread_mutex_init(&deferral->lock, NULL);
}

long long
deferral_patience_ms(const struct deferral *deferral)
{
	return deferral->wanted ? deferral->due_ms - clock_ms() : INT64_MAX;
}

void
deferral_mark(const struct deferral *deferral, struct json_object *body)
{
	struct json_object *metadata;

	if (!deferral->wanted)
		return;
	metadata = json_new_object();
	json_set_string(metadata, "deferred", "pending");
	json_set(body, "metadata", metadata);
}

static void
say_applied(struct deferral *deferral)
{
	char applied[PREFER_APPLIED_SIZE];

	prefer_print(&deferral->prefer, applied);
	response_header(deferral->response, "Preference-Applied", applied);
}

/* With the lock held. */
static void
answer_when_due(struct deferral *deferral)
{
	if (!*deferral->run_id || deferral->request->left || clock_ms() < deferral->due_ms)
		return;
	say_applied(deferral);
	deferral_answer_pending(deferral->response, deferral->request, deferral->run_id);
	router_leave(deferral->request, deferral->response);
	/* From here on, an error is a sentence to be stored. */
	deferral->response->media = MEDIA_TEXT;
	deferral->response->retry_after_s = -1;
}

void
deferral_meet(struct deferral *deferral, const char *run_id)
{
	if (!deferral->wanted || *deferral->run_id || !run_id || !id_has_form(run_id, ""))
		return;
	snprintf(deferral->run_id, sizeof deferral->run_id, "%s", run_id);
	pthread_mutex_lock(&deferral->lock);
	answer_when_due(deferral);
	pthread_mutex_unlock(&deferral->lock);
}

bool
deferral_is_left(struct deferral *deferral, struct stream *stream)
{
	bool left;

	if (!deferral->wanted)
		return stream_is_left(stream);
	pthread_mutex_lock(&deferral->lock);
	left = stream_is_left(stream);
	if (!left)
		answer_when_due(deferral);
	pthread_mutex_unlock(&deferral->lock);
	return left;
}

/* The error in the response, as metadata of the run. */
static struct json_object *
kept_failure(const struct response *response)
{
	struct json_object *metadata = json_new_object();
	char number[24];

	json_set_string(metadata, "deferred", "failed");
	snprintf(number, sizeof number, "%d", response->status);
	json_set_string(metadata, "status", number);
	if (response->body.len <= DETAIL_MAX)
		json_set_string(metadata, "detail", response->body.data);
	if (response->retry_after_s >= 0) {
		snprintf(number, sizeof number, "%lld", clock_unix() + response->retry_after_s);
		json_set_string(metadata, "retry_at", number);
	}
	return metadata;
}

void
deferral_end(struct deferral *deferral, struct openai *openai)
{
	struct openai_call call = {
	    .operation = API_RUN_MODIFY,
	    .ids = {deferral->request->params[0], deferral->run_id},
	};
	struct openai_answer answer;

	/* This must be done, even if the request ran out of memory. */
	memory_begin();
	pthread_mutex_destroy(&deferral->lock);
	if (!deferral->request->left) {
		if (deferral->wanted && deferral->response->status == 200)
			say_applied(deferral);
		return;
	}
	if (deferral->response->status == 200)
		return;
	call.body = json_new_object();
	json_set(call.body, "metadata", kept_failure(deferral->response));
	/* A failure is logged. Then only the run's status tells how it ended. */
	openai_call(openai, &call, &answer);
	openai_answer_free(&answer);
	json_object_put(call.body);
}

void
deferral_answer_pending(struct response *response, const struct request *request, const char *run)
{
	struct json_object *body;
	char *location = NULL;

	response->retry_after_s = PENDING_RETRY_AFTER_S;
	if (asprintf(&location, "%s/threads/%s/runs/%s", request->base, request->params[0], run) >=
	    0) {
		response_header(response, "Location", location);
		free(location);
	}
	if (request->media == MEDIA_JSON) {
		body = json_new_object();
		json_set_string(body, "thread_id", request->params[0]);
		json_set_string(body, "run_id", run);
		json_set_string(body, "status", "in_progress");
		response_json(response, 202, body);
	} else {
		response_text(response, 202,
		    "The assistant has not answered yet; its answer will be at the URL in the "
		    "Location header.");
	}
}

static long long
metadata_number(struct json_object *metadata, const char *name, long long otherwise)
{
	const char *text = json_get_string(metadata, name);
	long long number;

	return text && parse_number(text, 0, INT64_MAX, &number) == 0 ? number : otherwise;
}

bool
deferral_answer_failed(
    struct response *response, const struct request *request, struct json_object *run)
{
	struct json_object *metadata = json_get_object(run, "metadata");
	const char *deferred = json_get_string(metadata, "deferred");
	const char *detail = json_get_string(metadata, "detail");
	int status = (int)metadata_number(metadata, "status", 0);
	long long now = clock_unix(), retry_at = metadata_number(metadata, "retry_at", -1);
	long long ended_at =
	    json_get_int(run, "failed_at", json_get_int(run, "cancelled_at", -KEEPING_S));

	if (!deferred)
		return false;
	if (strcmp(deferred, "pending") == 0 && now - ended_at < KEEPING_S) {
		/* Not the id from the answer: a remote server's text must not get into a header. */
		deferral_answer_pending(response, request, request->params[1]);
		return true;
	}
	if (!detail || status < 400 || status > 599)
		return false;
	response_problem(response, status, "%s", detail);
	if (retry_at >= 0)
		response->retry_after_s = retry_at > now ? retry_at - now : 1;
	return true;
}
