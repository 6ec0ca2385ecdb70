#include "gateway/gateway.h"

#include "gateway/internal.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "text/json.h"

enum { METRICS_MAX = 4 << 20, RETRY_AFTER_DEFAULT_S = 10 };

struct gateway *
gateway_new(const struct config *config, struct openai *openai, const struct budgets *budgets,
    char error[ERROR_SIZE])
{
	struct gateway *gateway = calloc(1, sizeof *gateway);

	snprintf(error, ERROR_SIZE, "out of memory");
	if (!gateway)
		return NULL;
	gateway->config = config;
	gateway->openai = openai;
	gateway->definitions = definitions_new(config, error);
	if (gateway->definitions) {
		snprintf(error, ERROR_SIZE, "out of memory");
		gateway->assistant = assistant_new(openai, config->state_dir);
		gateway->admission = admission_new(config, budgets);
	}
	if (gateway->assistant && gateway->admission)
		return gateway;
	gateway_free(gateway);
	return NULL;
}

void
gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	admission_free(gateway->admission);
	assistant_free(gateway->assistant);
	definitions_free(gateway->definitions);
	free(gateway);
}

bool
gateway_admits(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;

	return admission_admits(gateway->admission, request, response);
}

bool
gateway_admits_thread(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;

	return admission_admits(gateway->admission, request, response) &&
	    admission_takes_thread(gateway->admission, request, response);
}

bool
gateway_admits_message(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;

	return admission_admits(gateway->admission, request, response) &&
	    admission_takes_message(gateway->admission, request, response);
}

static void
answer_bad_id(struct response *response)
{
	response_problem(response, 400,
	    "This is not a thread's id: POST /threads makes a thread and answers its id.");
}

bool
thread_id_has_form(const struct request *request, struct response *response)
{
	/* The id becomes part of a path, so it must look like one. */
	if (id_has_form(request->params[0], ""))
		return true;
	answer_bad_id(response);
	return false;
}

void
answer_busy(struct response *response, long retry_after_s, const char *sentence)
{
	response->retry_after_s = retry_after_s >= 0 ? retry_after_s : RETRY_AFTER_DEFAULT_S;
	response_problem(response, 503, "%s", sentence);
}

void
answer_interrupted(struct response *response)
{
	answer_busy(response, -1, "The server is being restarted; try again soon.");
}

void
answer_failure(struct response *response, const struct openai_answer *answer)
{
	if (answer->error == API_NO_TOKENS) {
		admission_answer_empty(response, answer->retry_after_s);
	} else if (answer->failure == OPENAI_SILENT) {
		response_problem(response, 504, "The assistant did not answer in time.");
	} else if (answer->failure == OPENAI_INTERRUPTED) {
		answer_interrupted(response);
	} else if (answer->failure != OPENAI_ANSWERED) {
		response_problem(response, 502, "The assistant cannot be reached.");
	} else if (answer->status == 429) {
		answer_busy(
		    response, answer->retry_after_s, "The assistant is busy; try again later.");
	} else if (answer->status == 503) {
		answer_busy(response, answer->retry_after_s,
		    "The assistant is not available now; try again later.");
	} else if (answer->status == 404) {
		response_problem(response, 404, "There is no thread with this id.");
	} else if (answer->error == API_BAD_THREAD_ID) {
		answer_bad_id(response);
	} else {
		response_problem(response, 502, "The assistant cannot answer now.");
	}
}

void
answer_unavailable(struct response *response, struct openai_answer *answer)
{
	int status = answer->status;

	if (answer->failure == OPENAI_ANSWERED && status != 429 && status != 503) {
		/* openai_call() does not log these. */
		if (status == 400 || status == 404 || status / 100 == 2)
			log_error("the Assistants API gave an unexpected answer: %d: %s", status,
			    openai_answer_error(answer));
		answer->failure = OPENAI_UNREACHABLE;
	}
	answer_failure(response, answer);
}

void
gateway_health(void *room, struct request *request, struct response *response)
{
	struct gateway *gateway = room;
	struct json_object *health;

	if (!openai_ready(gateway->openai)) {
		answer_busy(response, -1, "The database does not answer.");
	} else if (request->media == MEDIA_JSON) {
		health = json_new_object();
		json_set_string(health, "status", "ok");
		response_json(response, 200, health);
	} else {
		response_text(response, 200, "ok");
	}
}

void
gateway_metrics(void *room, struct request *request, struct response *response)
{
	struct buf text = BUF_INIT(METRICS_MAX);

	(void)room;
	(void)request;
	if (metrics_print(&text) == 0) {
		response_text(response, 200, text.data);
		response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	} else {
		answer_busy(response, -1, "There are no metrics; the server's log says why.");
	}
	buf_free(&text);
}
