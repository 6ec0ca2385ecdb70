#include "assistants/runner.h"

#include <pthread.h>
#include <stdatomic.h>

#include "assistants/runs.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	RUNNERS_MAX = 8,
	WANTED_CHECK_MS = 900, /* below a second: that is when a cancelled run must end */
	PARTIAL_MAX = 16 << 20,
	STORE_PAUSE_MS = 250,
	STORE_PAUSE_MAX_MS = 30000,
	STACK_SIZE = 1 << 20
};

struct runner {
	struct api *api;
	/*
	 * Threads that end because nothing is queued race with whoever has just queued something.
	 */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
	bool again; /* something was queued since a thread last looked */
	atomic_bool stopping;
};

/* A run on its way. At most one message, and the step that writes it, are open. */
struct execution {
	struct api *api;
	struct run *run;
	api_event_fn *on_event; /* NULL: nobody listens */
	void *event_arg;
	struct interrupt interrupt; /* what the model is asked with */
	const struct interrupt *client;
	long long checked_ms; /* when the database was last asked whether the run is still wanted */
	bool open;
	bool written; /* the open message is whole, and waits to be stored */
	bool first_delta;
	struct run_message message;
	struct run_step step;
	struct buf partial; /* what came so far of the open message, if it stays unfinished */
};

/* --- events --- */

static void
emit(struct execution *execution, const char *event, struct json_object *data)
{
	execution->on_event(execution->event_arg, event, data);
	json_object_put(data);
}

static void
emit_run(struct execution *execution, const char *status)
{
	char event[48];

	if (!execution->on_event)
		return;
	execution->run->status = status;
	snprintf(event, sizeof event, "thread.run.%s", status);
	emit(execution, event, run_compose(execution->run));
}

static void
emit_step(struct execution *execution, const char *event)
{
	if (execution->on_event)
		emit(execution, event, run_step_compose(execution->run, &execution->step));
}

static void
emit_message(struct execution *execution, const char *event)
{
	if (execution->on_event)
		emit(execution, event, run_message_compose(execution->run, &execution->message));
}

/* No null may stand in a delta, and `annotations` only in the first: SDKs add deltas up. */
static void
emit_delta(struct execution *execution, enum model_part kind, int index, const char *words)
{
	struct json_object *data, *delta, *content, *part;

	if (!execution->on_event)
		return;
	data = json_object_new_object();
	delta = json_object_new_object();
	content = json_object_new_array();
	part = json_object_new_object();
	json_set_int(part, "index", index);
	if (kind == MODEL_REFUSAL) {
		json_set_string(part, "type", "refusal");
		json_set_string(part, "refusal", words);
	} else {
		struct json_object *text = json_object_new_object();

		json_set_string(text, "value", words);
		if (execution->first_delta)
			json_set(text, "annotations", json_object_new_array());
		json_set_string(part, "type", "text");
		json_set(part, "text", text);
	}
	json_add(content, part);
	json_set(delta, "content", content);
	json_set_string(data, "id", execution->message.id);
	json_set_string(data, "object", "thread.message.delta");
	json_set(data, "delta", delta);
	emit(execution, "thread.message.delta", data);
	execution->first_delta = false;
}

/* --- the open message --- */

static void
open_message(struct execution *execution)
{
	long long now = clock_unix();

	execution->open = true;
	execution->written = false;
	execution->first_delta = true;
	execution->message = (struct run_message){.created_at = now};
	id_new(execution->message.id, "msg_");
	execution->step = (struct run_step){
	    .created_at = now, .status = "in_progress", .message_id = execution->message.id};
	id_new(execution->step.id, "step_");
	emit_step(execution, "thread.run.step.created");
	emit_step(execution, "thread.run.step.in_progress");
	emit_message(execution, "thread.message.created");
	emit_message(execution, "thread.message.in_progress");
}

static enum db_result
store_message(struct execution *execution, struct db_tx *tx)
{
	enum db_result result = run_message_insert(tx, execution->run, &execution->message);

	return result == DB_DONE ? run_step_insert(tx, execution->run, &execution->step) : result;
}

static void
close_message(struct execution *execution)
{
	char event[48];

	if (!execution->open)
		return;
	emit_message(execution,
	    execution->message.completed_at ? "thread.message.completed"
					    : "thread.message.incomplete");
	snprintf(event, sizeof event, "thread.run.step.%s", execution->step.status);
	emit_step(execution, event);
	json_object_put(execution->message.content);
	buf_free(&execution->partial);
	execution->message.content = NULL;
	execution->open = false;
}

/*
 * Another message begins while the model goes on: the one before is stored now, since an event that
 * says "completed" promises that it can be retrieved. -1: the run cannot go on.
 */
static int
finish_message(struct execution *execution)
{
	struct db_tx *tx = db_begin(execution->api->db, DB_WRITE);

	execution->message.completed_at = execution->step.ended_at = clock_unix();
	execution->step.status = "completed";
	if (!tx)
		return -1;
	if (run_renew(tx, execution->run) != 1 || store_message(execution, tx) != DB_DONE) {
		db_rollback(tx);
		return -1;
	}
	if (db_commit(tx) < 0)
		return -1;
	close_message(execution);
	return 0;
}

/* --- what the model says --- */

static int
on_message(void *arg)
{
	struct execution *execution = arg;

	if (execution->open && execution->written && finish_message(execution) < 0)
		return -1;
	if (!execution->open)
		open_message(execution);
	return 0;
}

static int
on_delta(void *arg, enum model_part kind, int index, const char *words)
{
	struct execution *execution = arg;

	buf_puts(&execution->partial, words);
	emit_delta(execution, kind, index, words);
	return 0;
}

static int
on_written(void *arg, struct json_object *content)
{
	struct execution *execution = arg;

	json_object_put(execution->message.content);
	execution->message.content = json_object_get(content);
	execution->written = true;
	return 0;
}

/* --- the end --- */

/* Why a message stays unfinished, by how its run ended. */
static const char *
message_reason(const struct execution *execution, const struct model_result *result)
{
	const char *status = execution->run->status;

	if (strcmp(status, "incomplete") == 0)
		return result->incomplete == MODEL_CONTENT_FILTER ? "content_filter" : "max_tokens";
	if (strcmp(status, "cancelled") == 0)
		return "run_cancelled";
	return strcmp(status, "expired") == 0 ? "run_expired" : "run_failed";
}

static void
end_message(struct execution *execution, const struct model_result *result)
{
	const char *status = execution->run->status;
	bool whole = execution->written && strcmp(status, "incomplete") != 0;
	long long now = execution->run->ended_at;

	if (whole) {
		execution->message.completed_at = now;
	} else {
		execution->message.incomplete_at = now;
		execution->message.incomplete_reason = message_reason(execution, result);
	}
	if (!execution->message.content)
		execution->message.content =
		    model_text_content(execution->partial.len ? execution->partial.data : "");
	execution->step.ended_at = now;
	execution->step.status = whole || strcmp(status, "incomplete") == 0 ? "completed" : status;
	execution->step.last_error = execution->run->last_error;
	execution->step.usage = execution->run->usage;
}

static struct json_object *
error_object(const char *code, const char *message)
{
	struct json_object *error = json_object_new_object();

	json_set_string(error, "code", code);
	json_set_string(error, "message", message);
	return error;
}

static struct json_object *
usage_object(const struct model_result *result)
{
	struct json_object *usage;

	if (result->prompt_tokens < 0)
		return NULL;
	usage = json_object_new_object();
	json_set_int(usage, "prompt_tokens", result->prompt_tokens);
	json_set_int(usage, "completion_tokens", result->completion_tokens);
	json_set_int(usage, "total_tokens", result->prompt_tokens + result->completion_tokens);
	return usage;
}

static void
set_end(struct run *run, const struct model_result *result)
{
	static const char *const ends[MODEL__MAX] = {
	    [MODEL_COMPLETED] = "completed",
	    [MODEL_INCOMPLETE] = "incomplete",
	    [MODEL_BUSY] = "failed",
	    [MODEL_FAILED] = "failed",
	    [MODEL_SILENT] = "expired",
	    [MODEL_INTERRUPTED] = "cancelled",
	};

	run->status = ends[result->outcome];
	run->ended_at = clock_unix();
	run->usage = usage_object(result);
	if (result->outcome == MODEL_BUSY)
		run->last_error = error_object("rate_limit_exceeded", result->error);
	else if (result->outcome == MODEL_FAILED)
		run->last_error = error_object("server_error", result->error);
	if (result->outcome == MODEL_INCOMPLETE && result->incomplete == MODEL_MAX_TOKENS)
		run->incomplete_reason = "max_completion_tokens";
}

/*
 * One transaction: the message, its step, the run's end. 1 stored, 0 the run is no more, -1 failed.
 */
static int
store_end_once(struct execution *execution)
{
	struct db_tx *tx = db_begin(execution->api->db, DB_WRITE);
	int result;

	if (!tx)
		return -1;
	result = run_end(tx, execution->run);
	if (result == 1 && execution->open && store_message(execution, tx) != DB_DONE)
		result = -1;
	if (result != 1) {
		db_rollback(tx);
		return result;
	}
	return db_commit(tx) == 0 ? 1 : -1;
}

/*
 * The same with patience: an answer that was paid for, and a thread that nobody else could free,
 * are worth waiting for a database that is busy, until the run would be over anyway.
 */
static int
store_end(struct execution *execution)
{
	long long pause_ms = STORE_PAUSE_MS;
	int stored;

	while ((stored = store_end_once(execution)) < 0 &&
	    !atomic_load(&execution->api->runner->stopping) &&
	    clock_unix() < execution->run->expires_at) {
		interrupt_sleep(NULL, pause_ms);
		pause_ms = pause_ms * 2 < STORE_PAUSE_MAX_MS ? pause_ms * 2 : STORE_PAUSE_MAX_MS;
	}
	return stored;
}

/* What others made of the run meanwhile: deleted with its thread, or ended as overdue. */
static const char *
end_by_others(struct execution *execution)
{
	struct db_tx *tx = db_begin(execution->api->db, DB_READ);
	struct run *now = tx ? run_load(tx, execution->run->seq) : NULL;
	const char *status = now ? now->status : "cancelled";

	db_rollback(tx);
	run_free(now);
	return status;
}

static void
end_run(struct execution *execution, const struct model_result *result)
{
	struct run *run = execution->run;
	int stored;

	set_end(run, result);
	if (execution->open)
		end_message(execution, result);
	stored = store_end(execution);
	if (stored == 1) {
		close_message(execution);
		emit_run(execution, run->status);
		return;
	}
	/* Nothing of the answer was kept: what was open did not complete. */
	run->status = stored == 0 ? end_by_others(execution) : "failed";
	if (stored < 0) {
		json_object_put(run->last_error);
		run->last_error = error_object("server_error", "The answer could not be stored.");
	}
	if (execution->open) {
		execution->message.completed_at = 0;
		execution->message.incomplete_at = run->ended_at;
		execution->message.incomplete_reason = message_reason(execution, result);
		execution->step.status = run->status;
		execution->step.last_error = run->last_error;
	}
	close_message(execution);
	emit_run(execution, run->status);
}

/* --- the whole --- */

static bool
is_interrupted(void *arg)
{
	struct execution *execution = arg;
	long long now = clock_ms();

	if (atomic_load(&execution->api->runner->stopping) || interrupt_raised(execution->client))
		return true;
	if (now - execution->checked_ms < WANTED_CHECK_MS)
		return false;
	execution->checked_ms = now;
	runs_renew(execution->api);
	return !run_wanted(execution->api->db, execution->run->seq);
}

static void
ask_model(struct execution *execution, struct model_result *result)
{
	struct run *run = execution->run;
	struct db_tx *tx = db_begin(execution->api->db, DB_READ);
	struct json_object *context = tx ? messages_context(tx, run->thread) : NULL;
	struct model_request request = {
	    .options = run->body,
	    .messages = context,
	    .timeout_ms = (run->expires_at - clock_unix()) * 1000,
	    .interrupt = &execution->interrupt,
	    .on_message = on_message,
	    .on_delta = on_delta,
	    .on_written = on_written,
	    .arg = execution,
	};

	db_rollback(tx);
	*result = (struct model_result){
	    .outcome = MODEL_FAILED, .retry_after_s = -1, .prompt_tokens = -1};
	if (context)
		model_ask(execution->api->model, &request, result);
	else
		snprintf(result->error, sizeof result->error, "The thread could not be read.");
	json_object_put(context);
}

static long
carry_out(struct execution *execution)
{
	struct model_result result;

	execution->partial = (struct buf)BUF_INIT(PARTIAL_MAX);
	execution->checked_ms = clock_ms();
	execution->interrupt =
	    (struct interrupt){.fd = execution->client ? execution->client->fd : -1,
		.raised = is_interrupted,
		.arg = execution};
	emit_run(execution, "queued");
	emit_run(execution, "in_progress");
	ask_model(execution, &result);
	/* Once, where it happened; below debug nobody's words but the server's. */
	if (result.outcome == MODEL_FAILED || result.outcome == MODEL_BUSY ||
	    result.outcome == MODEL_SILENT)
		log_error("run: %s", result.error);
	end_run(execution, &result);
	buf_free(&execution->partial);
	return result.retry_after_s;
}

long
runner_stream(struct api *api, struct run *run, const struct api_request *request)
{
	struct execution execution = {
	    .api = api,
	    .run = run,
	    .on_event = request->on_event,
	    .event_arg = request->event_arg,
	    .client = request->client,
	};
	struct json_object *created;

	/* It was stored as in_progress, and is told as it was born. */
	run->status = "queued";
	run->started_at = 0;
	created = run_compose(run);
	emit(&execution, "thread.run.created", created);
	run->started_at = run->created_at;
	return carry_out(&execution);
}

static struct run *
claim(struct api *api)
{
	const char *holder = run_holder(api);
	struct db_tx *tx = holder ? db_begin(api->db, DB_WRITE) : NULL;
	struct run *run = NULL;

	if (tx && run_claim(tx, holder, &run) == 1) {
		if (db_commit(tx) == 0)
			return run;
		run_free(run);
		return NULL;
	}
	db_rollback(tx);
	return NULL;
}

/* Whether a thread that found nothing queued may end: nothing was queued since it began to look. */
static bool
nothing_more(struct runner *runner)
{
	bool done;

	pthread_mutex_lock(&runner->lock);
	done = !runner->again || atomic_load(&runner->stopping);
	runner->again = false;
	if (done) {
		runner->running--;
		pthread_cond_signal(&runner->ended);
	}
	pthread_mutex_unlock(&runner->lock);
	return done;
}

static void *
work(void *arg)
{
	struct runner *runner = arg;

	do {
		struct run *run;

		while (!atomic_load(&runner->stopping) && (run = claim(runner->api))) {
			struct execution execution = {.api = runner->api, .run = run};

			log_set_request_id(run->id);
			carry_out(&execution);
			run_free(run);
		}
	} while (!nothing_more(runner));
	return NULL;
}

void
runner_wake(struct runner *runner)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_lock(&runner->lock);
	runner->again = true;
	if (runner->running < RUNNERS_MAX && !atomic_load(&runner->stopping)) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_SIZE);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&thread, &attr, work, runner) == 0)
			runner->running++;
		else if (runner->running == 0)
			log_error("no thread could be started for a queued run");
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_unlock(&runner->lock);
}

struct runner *
runner_new(struct api *api)
{
	struct runner *runner = calloc(1, sizeof *runner);

	if (!runner)
		return NULL;
	runner->api = api;
	pthread_mutex_init(&runner->lock, NULL);
	pthread_cond_init(&runner->ended, NULL);
	return runner;
}

void
runner_free(struct runner *runner)
{
	if (!runner)
		return;
	atomic_store(&runner->stopping, true);
	pthread_mutex_lock(&runner->lock);
	while (runner->running > 0)
		pthread_cond_wait(&runner->ended, &runner->lock);
	pthread_mutex_unlock(&runner->lock);
	pthread_cond_destroy(&runner->ended);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
}
