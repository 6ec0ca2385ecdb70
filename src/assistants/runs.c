/* Runs: answers the API's calls about them. runs/ executes them. */
#include "assistants/kinds.h"
#include "obs/log.h"
#include "os/clock.h"
#include "records/assistant.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

enum { OUTPUT_MAX = 512 << 10 };

static const char *const truncation_types[] = {"auto", "last_messages", NULL};
static const struct field truncation_fields[] = {
    {"type", FIELD_STRING, true, .words = truncation_types},
    {"last_messages", FIELD_INTEGER, false, 1, 1e9},
};

static bool
check_truncation(struct call *call, struct json_object *strategy, const char *prefix)
{
	const char *type = json_get_string(strategy, "type");

	if (!type || strcmp(type, "last_messages") != 0 || json_get(strategy, "last_messages"))
		return true;
	call_refuse(call, "truncation_strategy.last_messages",
	    "Missing required parameter: '%slast_messages'.", prefix);
	return false;
}

static const struct shape truncation = {NULL, FIELDS(truncation_fields), check_truncation};

static const char *const tool_choices[] = {"none", "auto", "required", NULL};
static const struct field choice_fields[] = {{"type", FIELD_STRING, true}};
static const struct field function_name[] = {{"name", FIELD_STRING, true, 1, 64}};
static const struct shape function = {NULL, FIELDS(function_name)};
static const struct field function_choice_fields[] = {
    {"type", FIELD_STRING, true},
    {"function", FIELD_OBJECT, true, .shapes = &function},
};
static const struct shape chosen_tools[] = {
    {"function", FIELDS(function_choice_fields)},
    {"code_interpreter", FIELDS(choice_fields)},
    {"file_search", FIELDS(choice_fields)},
    {NULL},
};

/* The fields of all new runs, one a line. */
/* clang-format off */
#define OPTIONS \
	{"assistant_id", FIELD_STRING, true}, \
	{"stream", FIELD_BOOLEAN}, \
	{"model", FIELD_STRING, false, 1, 256}, \
	{"instructions", FIELD_STRING, false, 0, 256000}, \
	{"tools", FIELD_ARRAY, false, 0, 20, .element = &tool_element}, \
	{"metadata", FIELD_METADATA}, \
	{"temperature", FIELD_NUMBER, false, 0, 2}, \
	{"top_p", FIELD_NUMBER, false, 0, 1}, \
	{"max_prompt_tokens", FIELD_INTEGER, false, 1, 1e9}, \
	{"max_completion_tokens", FIELD_INTEGER, false, 1, 1e9}, \
	{"truncation_strategy", FIELD_OBJECT, .shapes = &truncation}, \
	{"tool_choice", FIELD_STRING | FIELD_OBJECT, .words = tool_choices, \
	    .shapes = chosen_tools}, \
	{"parallel_tool_calls", FIELD_BOOLEAN}, \
	{"response_format", FIELD_STRING | FIELD_OBJECT, .words = response_format_words, \
	    .shapes = response_formats}, \
	{"reasoning_effort", FIELD_STRING, .words = reasoning_efforts}
/* clang-format on */

static const struct field run_fields[] = {
    OPTIONS,
    {"additional_instructions", FIELD_STRING, false, 0, 256000},
    {"additional_messages", FIELD_ARRAY},
};

static const struct field thread_and_run_fields[] = {
    OPTIONS,
    {"thread", FIELD_OBJECT},
    {"tool_resources", FIELD_OBJECT, .shapes = &tool_resources},
};

static const struct field changed_fields[] = {{"metadata", FIELD_METADATA}};

static const struct field output_fields[] = {
    {"tool_call_id", FIELD_STRING, true},
    {"output", FIELD_STRING, false, 0, OUTPUT_MAX},
};

static const struct shape output_shape = {NULL, FIELDS(output_fields)};
static const struct field output_element = {.types = FIELD_OBJECT, .shapes = &output_shape};
static const struct field submit_fields[] = {
    {"tool_outputs", FIELD_ARRAY, true, .element = &output_element},
    {"stream", FIELD_BOOLEAN},
};

/* What a run inherits from its assistant, unless it sets it, and what is its own. */
static const char *const inherited[] = {"model", "instructions", "tools", "temperature", "top_p",
    "response_format", "reasoning_effort"};
static const char *const own[] = {"metadata", "max_prompt_tokens", "max_completion_tokens",
    "truncation_strategy", "tool_choice", "parallel_tool_calls"};

const struct kind run_kind = {
    .name = "run",
    .prefix = "run",
    .owner = OWNER_THREAD,
    .record = &run_record,
};

/* --- a new run --- */

static bool
wants_stream(struct json_object *body)
{
	return json_object_get_boolean(json_get(body, "stream"));
}

/* Checks a body that may ask for a stream. */
static bool
check_body(struct call *call, struct json_object *body, const struct field *fields, size_t len)
{
	if (!check_fields(call, body, fields, len, ""))
		return false;
	if (!wants_stream(body) || call->request->listener)
		return true;
	call_refuse(
	    call, "stream", "Streams are not served here: send the request without 'stream'.");
	return false;
}

/* The run's options: its own, or else its assistant's. */
static struct json_object *
options_of(struct json_object *body, struct json_object *assistant)
{
	struct json_object *options = json_new_object();
	const char *more = json_get_string(body, "additional_instructions"), *instructions;
	char *both;

	for (size_t i = 0; i < FIELDS_LEN(inherited); i++)
		json_copy(options, json_get(body, inherited[i]) ? body : assistant, inherited[i]);
	for (size_t i = 0; i < FIELDS_LEN(own); i++)
		json_copy(options, body, own[i]);
	if (json_get(assistant, "tool_resources"))
		json_copy(options, assistant, "tool_resources");
	instructions = json_get_string(options, "instructions");
	if (more && *more &&
	    asprintf(&both, "%s%s%s", instructions ? instructions : "",
		instructions && *instructions ? "\n\n" : "", more) >= 0) {
		json_set_string(options, "instructions", both);
		free(both);
	}
	return options;
}

struct creation {
	struct call *call;
	struct json_object *body;
	const char *holder; /* NULL: the run is queued; else it is in progress at once */
	bool makes_thread;
	char thread_id[ID_SIZE], run_id[ID_SIZE]; /* of the new objects */
	struct json_object *thread;               /* the new thread, as the API shows it */
	struct run run;
};

/* Finds the call's thread, and checks that no run is active in it. */
static bool
take_thread(struct call *call, struct db_tx *tx, long long *thread)
{
	char active_id[ID_SIZE];
	int active;

	if (!call_thread(call, tx, thread))
		return false;
	active = thread_settle_active(&call->api->runs, tx, *thread, active_id);
	if (active == 1) {
		call_refuse(
		    call, NULL, "Thread %s already has an active run %s.", call->ids[0], active_id);
		call->response->error = API_THREAD_BUSY;
	}
	return active == 0;
}

/* Finds or creates the run's thread, with its new messages. */
static bool
write_thread(struct creation *creation, struct db_tx *tx, long long *thread)
{
	struct call *call = creation->call;
	const struct owner owner = {.tenant = call->request->tenant};
	struct json_object *body = creation->body;

	if (!creation->makes_thread)
		return take_thread(call, tx, thread) &&
		    messages_insert_new(call, tx, *thread, json_get(body, "additional_messages")) ==
		    1;
	json_object_put(creation->thread);
	creation->thread = NULL;
	return thread_insert_new(call, tx, json_get(body, "thread"), creation->thread_id, thread) ==
	    1 &&
	    record_find(tx, &thread_record, creation->thread_id, &owner, &creation->thread) == 1;
}

/* The body of the run's assistant; the caller releases it. NULL: there is none, or it failed. */
static struct json_object *
take_assistant(struct creation *creation, struct db_tx *tx)
{
	const struct owner owner = {.tenant = creation->call->request->tenant};
	const char *id = json_get_string(creation->body, "assistant_id");
	struct json_object *assistant = NULL;

	if (record_body(tx, &assistant_record, id, &owner, &assistant) == 0) {
		call_refuse_unknown(creation->call, "assistant", "asst", id);
		creation->call->response->error = API_NO_ASSISTANT;
	}
	return assistant;
}

static void
set_run(struct creation *creation, long long thread, struct json_object *assistant)
{
	struct call *call = creation->call;
	long long now = clock_unix();

	run_free(&creation->run);
	creation->run = (struct run){
	    .thread = thread,
	    .id = creation->run_id,
	    .thread_id = creation->makes_thread ? creation->thread_id : call->ids[0],
	    .assistant_id = json_get_string(creation->body, "assistant_id"),
	    .tenant = call->request->tenant,
	    .status = creation->holder ? RUN_IN_PROGRESS : RUN_QUEUED,
	    .created_at = now,
	    .expires_at = now + call->api->runs.timeout_s,
	    .started_at = creation->holder ? now : 0,
	    .body = options_of(creation->body, assistant),
	    .holder = creation->holder,
	};
}

/*
 * Whether the thread has a user message, or the run instructions. Version 1 allowed runs with
 * neither.
 */
static bool
is_about_something(struct call *call, struct db_tx *tx, const struct run *run)
{
	const char *instructions = json_get_string(run->body, "instructions");
	int found;

	if (call->request->first_version || (instructions && *instructions))
		return true;
	found = message_of_user(tx, run->thread);
	if (found == 0)
		call_refuse_as(call, "invalid_thread", NULL,
		    "Run creation requires a Thread with a user message or an assistant with "
		    "instructions.");
	return found == 1;
}

/*
 * Whether the result allows asking the model. If not, the call is refused, unless the database
 * failed.
 */
static bool
may_ask(struct call *call, enum budget_result result, long long wait_s)
{
	if (result == BUDGET_EMPTY || result == BUDGET_HELD)
		call_refuse_empty(call, wait_s);
	return result == BUDGET_RESERVED;
}

/* Reserves tokens for the run's next question; false as above. */
static bool
reserve(struct call *call, struct db_tx *tx, const struct run *run)
{
	long long wait_s;
	enum budget_result result = run_reserve(&call->api->runs, tx, run, &wait_s);

	return may_ask(call, result, wait_s);
}

/* Whether any tokens are left; if not, the call has been answered. */
static bool
has_tokens(struct call *call)
{
	struct runs *runs = &call->api->runs;
	const char *tenant = call->request->tenant;
	long long wait_s;
	enum budget_result result = budget_look(&runs->budgets, tenant, &wait_s);

	/* The reservations may be of runs whose process died. */
	if (result == BUDGET_HELD) {
		runs_bury(runs);
		result = budget_look(&runs->budgets, tenant, &wait_s);
	}
	if (result == BUDGET_FAILED)
		call_fail(call);
	return may_ask(call, result, wait_s);
}

/* Writes the thread if it is new, its messages, and the run, which locks it. */
static bool
write_run(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	struct call *call = creation->call;
	struct json_object *assistant = take_assistant(creation, tx);
	bool written = false;
	long long thread = 0;

	if (assistant && write_thread(creation, tx, &thread)) {
		set_run(creation, thread, assistant);
		written = is_about_something(call, tx, &creation->run) &&
		    run_insert(tx, &creation->run) == 1 && reserve(call, tx, &creation->run);
	}
	json_object_put(assistant);
	if (written)
		call_answer(call, 200, creation->holder ? NULL : run_json(&creation->run));
	return written;
}

/* Warns, once a run, of tools that the model is not told of. */
static void
warn_of_unserved_tools(const struct runs *runs, const struct run *run)
{
	struct json_object *tools = json_get(run->body, "tools");
	struct buf names = BUF_INIT(256);

	for (size_t i = 0; i < json_len(tools); i++) {
		struct json_object *tool = json_at(tools, i);

		if (!json_get(tool, "function") && !hosted_of_type(runs->hosted, tool))
			buf_printf(&names, "%s%s", names.len ? " and " : "",
			    json_get_string(tool, "type"));
	}
	if (names.len > 0)
		log_warn("the run has the tools %s, which are only stored so far: the model is not "
			 "told of them, nor of files",
		    names.data);
	buf_free(&names);
}

/* Executes the run here, with the client as its listener. */
static void
stream(struct call *call, struct run *run, const struct run_step *answered)
{
	const struct run_hearing hearing = {
	    .listener = call->request->listener,
	    .answers_calls = call->request->answers_calls,
	};

	call->response->retry_after_s = run_carry_out(&call->api->runs, run, &hearing, answered);
}

/* Executes what was stored, or leaves it to runners. */
static void
start_run(struct creation *creation)
{
	struct call *call = creation->call;

	warn_of_unserved_tools(&call->api->runs, &creation->run);
	if (!creation->holder) {
		runners_wake(call->api->runs.runners);
		return;
	}
	if (creation->thread)
		call->request->listener->on_event(call->request->listener->arg,
		    &(struct event){.kind = EVENT_THREAD_CREATED, .thread = creation->thread});
	stream(call, &creation->run, NULL);
}

/* Makes a run of a checked body. */
static void
create(struct creation *creation)
{
	struct call *call = creation->call;

	if (!has_tokens(call))
		return;
	id_new_in_order(creation->run_id, "run_");
	id_new(creation->thread_id, "thread_");
	if (wants_stream(creation->body) && !(creation->holder = runs_holder(&call->api->runs)))
		call_fail(call);
	else
		call_write(call, write_run, creation);
	if (call->response->status == 200)
		start_run(creation);
	run_free(&creation->run);
	json_object_put(creation->thread);
}

void
run_create(struct call *call)
{
	struct creation creation = {.call = call, .body = call_body(call)};
	struct json_object *messages = json_get(creation.body, "additional_messages");

	if (creation.body && check_body(call, creation.body, FIELDS(run_fields)) &&
	    messages_check(call, messages, "additional_messages"))
		create(&creation);
	json_object_put(creation.body);
}

void
run_create_with_thread(struct call *call)
{
	struct creation creation = {.call = call, .body = call_body(call), .makes_thread = true};
	struct json_object *thread = json_get(creation.body, "thread");

	if (creation.body && check_body(call, creation.body, FIELDS(thread_and_run_fields)) &&
	    (!thread || thread_check(call, thread, "thread.")))
		create(&creation);
	json_object_put(creation.body);
}

/* --- existing runs --- */

/* A call about the run in its path. */
struct change {
	struct call *call;
	struct json_object *body;
	struct run run;
	/* For submitting outputs. */
	const char *holder; /* NULL: the run is queued */
	struct open_step step;
	long long ended_at;
};

/* Loads the run in the path. False: not found, or the database failed. */
static bool
load_run(struct change *change, struct db_tx *tx)
{
	long long thread, seq;

	run_free(&change->run);
	return call_run(change->call, tx, &thread, &seq) && run_load(tx, seq, &change->run) == 1;
}

static bool
read_thread(struct db_tx *tx, void *arg)
{
	struct change *change = arg;

	return call_thread(change->call, tx, &change->run.thread);
}

/* Settling needs a transaction of its own, before the list is read. */
void
run_list(struct call *call)
{
	struct change change = {.call = call};

	if (db_read(call->api->runs.db, read_thread, &change) == 1)
		run_settle_thread(&call->api->runs, change.run.thread);
	object_list(call);
}

static bool
read_run(struct db_tx *tx, void *arg)
{
	struct change *change = arg;

	if (load_run(change, tx))
		call_answer(change->call, 200, NULL);
	return true;
}

void
run_retrieve(struct call *call)
{
	struct change change = {.call = call};

	call_read(call, read_run, &change);
	if (call->response->status == 200) {
		if (run_settle(&call->api->runs, &change.run) < 0)
			call_fail(call);
		else
			call_answer(call, 200, run_json(&change.run));
		/* The process that should have executed it may be gone. */
		if (change.run.status == RUN_QUEUED && call->api->stays)
			runners_wake(call->api->runs.runners);
	}
	run_free(&change.run);
}

static bool
write_change(struct db_tx *tx, void *arg)
{
	struct change *change = arg;
	struct run *run = &change->run;

	if (!load_run(change, tx))
		return false;
	if (run_status_is_at_work(run->status)) {
		call_refuse(change->call, NULL, "Cannot update run with status '%s'.",
		    run_status_words[run->status]);
		return false;
	}
	if (json_object_object_get_ex(change->body, "metadata", NULL))
		json_copy(run->body, change->body, "metadata");
	if (run_store_metadata(tx, run) != 1)
		return false;
	call_answer(change->call, 200, run_json(run));
	return true;
}

void
run_modify(struct call *call)
{
	struct change change = {.call = call, .body = call_body(call)};

	if (change.body && check_fields(call, change.body, FIELDS(changed_fields), ""))
		call_write(call, write_change, &change);
	run_free(&change.run);
	json_object_put(change.body);
}

static bool
write_cancellation(struct db_tx *tx, void *arg)
{
	struct change *change = arg;
	struct runs *runs = &change->call->api->runs;
	struct run *run = &change->run;
	bool at_work;

	if (!load_run(change, tx))
		return false;
	if (!run_status_is_active(run->status)) {
		call_refuse(change->call, NULL, "Cannot cancel run with status '%s'.",
		    run_status_words[run->status]);
		return false;
	}
	/*
	 * The executing process notices within a second. A run that no process executes is
	 * cancelled at once.
	 */
	at_work = run_status_is_at_work(run->status) && !run_is_abandoned(runs, run);
	if (run_cancel(tx, run, at_work) != 1 ||
	    (!at_work && !run_settle_lost(tx, &runs->budgets, run)))
		return false;
	call_answer(change->call, 200, run_json(run));
	return true;
}

void
run_cancel_call(struct call *call)
{
	struct change change = {.call = call};

	call_write(call, write_cancellation, &change);
	run_free(&change.run);
}

/* --- outputs of tools --- */

static struct json_object *
output_for(struct json_object *outputs, const char *id)
{
	for (size_t i = 0; i < json_len(outputs); i++)
		if (json_is(json_at(outputs, i), "tool_call_id", id))
			return json_at(outputs, i);
	return NULL;
}

/* Lists a member of the array's objects: "['a', 'b']". */
static void
list_ids(struct buf *list, struct json_object *array, const char *member)
{
	buf_puts(list, "[");
	for (size_t i = 0; i < json_len(array); i++)
		buf_printf(
		    list, "%s'%s'", i ? ", " : "", json_get_string(json_at(array, i), member));
	buf_puts(list, "]");
}

/* Puts each output into its call. False: the outputs do not match the calls. */
static bool
fill_outputs(struct call *call, struct json_object *calls, struct json_object *outputs)
{
	struct buf expected = BUF_INIT(4096), got = BUF_INIT(4096);
	bool good = json_len(calls) == json_len(outputs);

	for (size_t i = 0; good && i < json_len(calls); i++) {
		struct json_object *tool_call = json_at(calls, i);
		struct json_object *output = output_for(outputs, json_get_string(tool_call, "id"));
		const char *words = json_get_string(output, "output");

		good = output != NULL;
		if (good)
			json_set_string(
			    json_get(tool_call, "function"), "output", words ? words : "");
	}
	if (!good) {
		list_ids(&expected, calls, "id");
		list_ids(&got, outputs, "tool_call_id");
		call_refuse(call, "tool_outputs",
		    "Expected tool outputs for call_ids %.400s, got %.400s",
		    expected.data ? expected.data : "", got.data ? got.data : "");
	}
	buf_free(&expected);
	buf_free(&got);
	return good;
}

/* Stores the outputs, and lets the run continue. */
static bool
write_outputs(struct db_tx *tx, void *arg)
{
	struct change *change = arg;
	struct call *call = change->call;
	struct run *run = &change->run;
	struct open_step *step = &change->step;

	json_object_put(step->details);
	json_object_put(step->usage);
	*step = (struct open_step){.created_at = 0};
	if (!load_run(change, tx))
		return false;
	if (run->status == RUN_REQUIRES_ACTION && run_is_overdue(&call->api->runs, run))
		run->status = RUN_EXPIRED;
	if (run->status != RUN_REQUIRES_ACTION) {
		call_refuse(call, NULL, "Runs in status \"%s\" do not accept tool outputs.",
		    run_status_words[run->status]);
		return false;
	}
	if (run_step_load_open(tx, run->seq, step) != 1 ||
	    !fill_outputs(call, json_get_array(step->details, "tool_calls"),
		json_get_array(change->body, "tool_outputs")))
		return false;
	change->ended_at = clock_unix();
	if (run_step_end(tx,
		&(struct run_step){
		    .id = step->id,
		    .status = STEP_COMPLETED,
		    .ended_at = change->ended_at,
		    .details = step->details,
		}) != 1 ||
	    run_begin(tx, run, change->holder) != 1 || !reserve(call, tx, run))
		return false;
	call_answer(call, 200, change->holder ? NULL : run_json(run));
	return true;
}

static void
go_on(struct change *change)
{
	const struct run *run = &change->run;
	const struct run_step answered = {
	    .id = change->step.id,
	    .thread_id = run->thread_id,
	    .run_id = run->id,
	    .assistant_id = run->assistant_id,
	    .status = STEP_COMPLETED,
	    .created_at = change->step.created_at,
	    .ended_at = change->ended_at,
	    .expires_at = run->expires_at,
	    .details = change->step.details,
	    .usage = change->step.usage,
	};

	if (change->holder)
		stream(change->call, &change->run, &answered);
	else
		runners_wake(change->call->api->runs.runners);
}

void
run_submit_tool_outputs(struct call *call)
{
	struct change change = {.call = call, .body = call_body(call)};
	struct runs *runs = &call->api->runs;

	if (!change.body || !check_body(call, change.body, FIELDS(submit_fields)) ||
	    !has_tokens(call))
		goto out;
	if (wants_stream(change.body) && !(change.holder = runs_holder(runs)))
		call_fail(call);
	else
		call_write(call, write_outputs, &change);
	if (call->response->status == 200)
		go_on(&change);
out:
	json_object_put(change.step.details);
	json_object_put(change.step.usage);
	run_free(&change.run);
	json_object_put(change.body);
}
