/*
 * Runs: an assistant at work on a thread. Here the API's calls are answered; run_store.c keeps
 * runs, runner.c carries them out.
 */
#include "assistants/runs.h"

#include "assistants/leases.h"
#include "assistants/runner.h"
#include "assistants/runner_pool.h"
#include "obs/log.h"
#include "os/clock.h"
#include "text/buf.h"

#define RANGE "r.thread = ? AND r.seq > ? AND r.seq < ? ORDER BY r.seq"
#define LEN(array) (sizeof(array) / sizeof *(array))

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
	refuse(call, "truncation_strategy.last_messages",
	    "Missing required parameter: '%slast_messages'.", prefix);
	return false;
}

static const struct shape truncation = {
    NULL, truncation_fields, LEN(truncation_fields), check_truncation};

static const char *const tool_choices[] = {"none", "auto", "required", NULL};
static const struct field choice_fields[] = {{"type", FIELD_STRING, true}};
static const struct field function_name[] = {{"name", FIELD_STRING, true, 1, 64}};
static const struct shape function = {NULL, function_name, LEN(function_name)};
static const struct field function_choice_fields[] = {
    {"type", FIELD_STRING, true},
    {"function", FIELD_OBJECT, true, .shapes = &function},
};
static const struct shape chosen_tools[] = {
    {"function", function_choice_fields, LEN(function_choice_fields)},
    {"code_interpreter", choice_fields, LEN(choice_fields)},
    {"file_search", choice_fields, LEN(choice_fields)},
    {NULL},
};

/* What all new runs' bodies have alike, a row a line. */
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

static const struct field modify_fields[] = {{"metadata", FIELD_METADATA}};

static const struct field output_fields[] = {
    {"tool_call_id", FIELD_STRING, true},
    {"output", FIELD_STRING, false, 0, OUTPUT_MAX},
};

static const struct shape output_shape = {NULL, output_fields, LEN(output_fields)};
static const struct field output_element = {.types = FIELD_OBJECT, .shapes = &output_shape};
static const struct field submit_fields[] = {
    {"tool_outputs", FIELD_ARRAY, true, .element = &output_element},
    {"stream", FIELD_BOOLEAN},
};

/* What a run takes from its assistant unless it says otherwise, and what it has of its own. */
static const char *const inherited[] = {"model", "instructions", "tools", "temperature", "top_p",
    "response_format", "reasoning_effort"};
static const char *const own[] = {"metadata", "max_prompt_tokens", "max_completion_tokens",
    "truncation_strategy", "tool_choice", "parallel_tool_calls"};

/* --- a new run --- */

/* A body that may ask for a stream. */
static bool
check_body(struct call *call, struct json_object *body, const struct field *fields, size_t len)
{
	if (!check_fields(call, body, fields, len, ""))
		return false;
	if (!json_object_get_boolean(json_get(body, "stream")) || call->request->on_event)
		return true;
	refuse(call, "stream", "Streams are not served here.");
	return false;
}

/* What the run will be carried out with: its own words, or else its assistant's. */
static struct json_object *
options_of(struct json_object *body, struct json_object *assistant)
{
	struct json_object *options = json_object_new_object();
	const char *more = json_get_string(body, "additional_instructions"), *instructions;
	char *both;

	for (size_t i = 0; i < LEN(inherited); i++)
		copy_member(options, json_get(body, inherited[i]) ? body : assistant, inherited[i]);
	for (size_t i = 0; i < LEN(own); i++)
		copy_member(options, body, own[i]);
	if (json_get(assistant, "tool_resources"))
		copy_member(options, assistant, "tool_resources");
	instructions = json_get_string(options, "instructions");
	if (more && *more &&
	    asprintf(&both, "%s%s%s", instructions ? instructions : "",
		instructions && *instructions ? "\n\n" : "", more) >= 0) {
		json_set_string(options, "instructions", both);
		free(both);
	}
	return options;
}

/* A run to be stored; with a holder it is in_progress at once, carried out by who creates it. */
static struct run *
run_new(struct call *call, struct json_object *body, struct json_object *assistant,
    const char *thread_id, const char *holder)
{
	struct run *run = calloc(1, sizeof *run);
	char id[ID_SIZE];

	if (!run)
		return NULL;
	id_new_in_order(id, "run_");
	run->id = strdup(id);
	run->thread_id = strdup(thread_id);
	run->assistant_id = strdup(json_get_string(body, "assistant_id"));
	run->tenant = strdup(call->request->tenant);
	run->created_at = clock_unix();
	run->expires_at = run->created_at + call->api->run_timeout_s;
	run->started_at = holder ? run->created_at : 0;
	run->status = holder ? "in_progress" : "queued";
	run->body = options_of(body, assistant);
	run->lease_holder = holder ? strdup(holder) : NULL;
	run->lease_until = holder ? run->created_at + LEASE_S : 0;
	if (run->id && run->thread_id && run->assistant_id && run->tenant &&
	    (run->lease_holder || !holder))
		return run;
	run_free(run);
	return NULL;
}

/* The call's thread, free for a run. False when the call was answered. */
static bool
take_thread(struct call *call, struct db_tx *tx, long long *thread)
{
	char active_id[ID_SIZE];
	int found = thread_find(tx, call->request->tenant, call->params[0], thread);

	if (found == 0)
		refuse_unknown(call, "thread", "thread", call->params[0]);
	if (found == 1) {
		found = run_active(call->api, tx, *thread, active_id);
		if (found == 0)
			return true;
		if (found == 1)
			refuse(call, NULL, "Thread %s already has an active run %s.",
			    call->params[0], active_id);
	}
	if (found < 0)
		fail(call);
	return false;
}

/* The body's assistant. NULL when the call was answered. */
static struct json_object *
take_assistant(struct call *call, struct db_tx *tx, struct json_object *body)
{
	const char *id = json_get_string(body, "assistant_id");
	struct json_object *assistant = NULL;
	int found = assistant_load(tx, call->request->tenant, id, &assistant);

	if (found == 0)
		refuse_unknown(call, "assistant", "asst", id);
	else if (found < 0)
		fail(call);
	return assistant;
}

struct creation {
	struct call *call;
	struct json_object *body;
	const char *holder;                 /* NULL: the run is queued */
	struct json_object **thread_object; /* gets a thread that is made; NULL: it is there */
	char new_id[ID_SIZE];               /* that thread's */
	struct run *run;
};

/* The run's thread, with its new messages. 0, or -1, also when the call was answered. */
static int
write_thread(struct creation *creation, struct db_tx *tx, long long *thread)
{
	struct call *call = creation->call;
	const char *tenant = call->request->tenant;
	struct json_object *body = creation->body;

	if (!creation->thread_object) {
		if (!take_thread(call, tx, thread))
			return -1;
		return messages_insert(tx, *thread, json_get(body, "additional_messages"));
	}
	if (thread_insert(tx, tenant, json_get(body, "thread"), creation->new_id, thread) !=
	    DB_DONE)
		return -1;
	return thread_load(tx, tenant, creation->new_id, creation->thread_object) == 1 ? 0 : -1;
}

/*
 * Whether the thread has a message of its user, or the run instructions; if it has neither, or the
 * database failed, the call is answered. The first version took such runs.
 */
static bool
is_about_something(struct call *call, struct db_tx *tx, const struct run *run)
{
	const char *instructions = json_get_string(run->body, "instructions");
	struct db_stmt *stmt;
	enum db_result found;

	if (call->request->first_version || (instructions && *instructions))
		return true;
	stmt = db_prepare(tx, "SELECT 1 FROM messages WHERE thread = ? AND role = 'user' LIMIT 1");
	db_bind_int(stmt, 1, run->thread);
	found = db_finish(stmt, db_step(stmt));
	if (found == DB_DONE)
		refuse_as(call, "invalid_thread", NULL,
		    "Run creation requires a Thread with a user message or an assistant with "
		    "instructions.");
	return found == DB_ROW;
}

/* Whether that says that the model may be asked; else, unless it failed, the call is answered. */
static bool
may_ask(struct call *call, enum budget_result result, long long wait_s)
{
	if (result == BUDGET_EMPTY || result == BUDGET_HELD)
		refuse_empty(call, wait_s);
	return result == BUDGET_RESERVED;
}

/* Reserves the run's next question; false as above. */
static bool
reserve(struct call *call, struct db_tx *tx, const struct run *run)
{
	long long wait_s;
	enum budget_result result = run_reserve(call->api, tx, run, &wait_s);

	return may_ask(call, result, wait_s);
}

/* Whether there is anything left to reserve; false as above. */
static bool
has_tokens(struct call *call)
{
	const struct budgets *budgets = &call->api->budgets;
	long long wait_s;
	enum budget_result result = budget_look(budgets, call->request->tenant, &wait_s);

	/* By runs that are over, since their process died. */
	if (result == BUDGET_HELD) {
		runs_bury(call->api);
		result = budget_look(budgets, call->request->tenant, &wait_s);
	}
	return may_ask(call, result, wait_s);
}

/* The thread where the call makes one, its messages, and the run that locks it. */
static bool
write_run(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	struct call *call = creation->call;
	struct json_object *assistant = take_assistant(call, tx, creation->body);
	long long thread = 0;
	bool written = false;

	if (assistant && write_thread(creation, tx, &thread) == 0)
		creation->run = run_new(call, creation->body, assistant,
		    creation->thread_object ? creation->new_id : call->params[0], creation->holder);
	if (creation->run) {
		creation->run->thread = thread;
		written = is_about_something(call, tx, creation->run) &&
		    run_insert(tx, creation->run) == DB_DONE && reserve(call, tx, creation->run);
	}
	json_object_put(assistant);
	return written;
}

/*
 * One transaction. NULL when the call was answered. `thread_object` gets a thread that was made.
 */
static struct run *
store_run(
    struct call *call, struct json_object *body, bool streams, struct json_object **thread_object)
{
	struct creation creation = {.call = call, .body = body, .thread_object = thread_object};

	if (has_tokens(call) && streams)
		creation.holder = run_holder(call->api);
	if (!call->response->body && (creation.holder || !streams) &&
	    db_write(call->api->db, DB_WRITE, write_run, &creation) == 1)
		return creation.run;
	/* What was wrong has been answered, unless it was the database. */
	if (!call->response->body)
		fail(call);
	run_free(creation.run);
	return NULL;
}

static bool
wants_stream(struct json_object *body)
{
	return json_object_get_boolean(json_get(body, "stream"));
}

/* Says once a run what its model is not told of. */
static void
warn_of_hosted_tools(const struct run *run)
{
	static const char *const hosted[] = {"code_interpreter", "file_search"};
	struct json_object *tools = json_get(run->body, "tools");
	char names[64] = "";
	size_t used = 0;

	for (size_t h = 0; h < LEN(hosted); h++) {
		size_t i = 0;

		while (i < json_len(tools) &&
		    strcmp(json_get_string(json_at(tools, i), "type"), hosted[h]) != 0)
			i++;
		if (i < json_len(tools))
			used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
			    used ? " and " : "", hosted[h]);
	}
	if (used)
		log_warn("the run uses %s, only stored yet: the model knows nothing of it, "
			 "nor of files",
		    names);
}

/* Carries the new run out, or leaves it to those who do; takes it over. */
static void
start_run(struct call *call, struct run *run, bool streams)
{
	warn_of_hosted_tools(run);
	if (streams) {
		call->response->retry_after_s = runner_stream(call->api, run, call->request);
		answer(call, 200, NULL);
	} else {
		answer(call, 200, run_compose(run));
		runner_pool_wake(call->api->runners);
	}
	run_free(run);
}

void
runs_create(struct call *call)
{
	struct json_object *body = body_object(call);
	struct run *run = NULL;

	if (body && check_body(call, body, run_fields, LEN(run_fields)) &&
	    messages_check(call, json_get(body, "additional_messages"), "additional_messages"))
		run = store_run(call, body, wants_stream(body), NULL);
	if (run)
		start_run(call, run, wants_stream(body));
	json_object_put(body);
}

void
runs_create_with_thread(struct call *call)
{
	struct json_object *body = body_object(call), *thread = NULL;
	struct run *run = NULL;

	if (body && check_body(call, body, thread_and_run_fields, LEN(thread_and_run_fields)) &&
	    (!json_get(body, "thread") || thread_check(call, json_get(body, "thread"), "thread.")))
		run = store_run(call, body, wants_stream(body), &thread);
	if (run && wants_stream(body))
		call->request->on_event(call->request->event_arg, "thread.created", thread);
	if (run)
		start_run(call, run, wants_stream(body));
	json_object_put(thread);
	json_object_put(body);
}

/* --- runs that are there --- */

bool
call_run(struct call *call, struct db_tx *tx, long long *run)
{
	long long thread;
	int found = tx ? thread_find(tx, call->request->tenant, call->params[0], &thread) : -1;

	if (found == 0) {
		refuse_unknown(call, "thread", "thread", call->params[0]);
		return false;
	}
	if (found == 1)
		found = run_find(tx, thread, call->params[1], run);
	if (found == 0)
		refuse_unknown(call, "run", "run", call->params[1]);
	else if (found < 0)
		fail(call);
	return found == 1;
}

/* The call's run. NULL when it was answered. */
static struct run *
find_run(struct call *call, struct db_tx *tx)
{
	struct run *run = NULL;
	long long seq;

	if (call_run(call, tx, &seq) && !(run = run_load(tx, seq)))
		fail(call);
	return run;
}

static struct json_object *
compose_row(struct db_stmt *row, void *arg)
{
	struct run *run = run_of_row(row);
	struct json_object *object = run ? run_compose(run) : NULL;

	(void)arg;
	run_free(run);
	return object;
}

void
runs_list(struct call *call)
{
	struct list list = {
	    .sql_ascending = RUN_SELECT RANGE " LIMIT ?",
	    .sql_descending = RUN_SELECT RANGE " DESC LIMIT ?",
	    .cursor_sql = "SELECT seq FROM runs WHERE id = ? AND thread = ?",
	    .kind = "run",
	    .prefix = "run",
	    .compose = compose_row,
	};
	struct page page;
	struct db_tx *tx;
	int found;

	if (!page_read(call, &page, false))
		return;
	tx = db_begin(call->api->db, DB_READ);
	found = tx ? thread_find(tx, call->request->tenant, call->params[0], &list.owner) : -1;
	db_rollback(tx);
	if (found == 1) {
		run_settle_thread(call->api, list.owner);
		list.tx = db_begin(call->api->db, DB_READ);
	}
	if (list.tx)
		list_answer(call, &page, &list);
	else if (found == 0)
		refuse_unknown(call, "thread", "thread", call->params[0]);
	else
		fail(call);
	page_free(&page);
}

void
runs_retrieve(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_READ);
	struct run *run = find_run(call, tx);

	db_rollback(tx);
	if (!run)
		return;
	run = run_settle(call->api, run);
	/* Who was to carry it out may be gone. */
	if (run && strcmp(run->status, "queued") == 0 && call->api->stays)
		runner_pool_wake(call->api->runners);
	if (run)
		answer(call, 200, run_compose(run));
	else
		fail(call);
	run_free(run);
}

/* Commits what was done to the run, and answers with it. */
static void
answer_changed(struct call *call, struct db_tx *tx, const struct run *run, enum db_result result)
{
	if (result != DB_DONE)
		db_rollback(tx);
	if (result == DB_DONE && db_commit(tx) == 0)
		answer(call, 200, run_compose(run));
	else
		fail(call);
}

static enum db_result
update_body(struct db_tx *tx, const struct run *run)
{
	struct db_stmt *stmt = db_prepare(tx, "UPDATE runs SET body = ? WHERE seq = ?");

	db_bind_text(stmt, 1, json_text(run->body));
	db_bind_int(stmt, 2, run->seq);
	return db_finish(stmt, db_step(stmt));
}

void
runs_modify(struct call *call)
{
	struct json_object *body = body_object(call);
	struct db_tx *tx = NULL;
	struct run *run;

	if (!body || !check_fields(call, body, modify_fields, LEN(modify_fields), ""))
		goto out;
	tx = db_begin(call->api->db, DB_WRITE);
	run = find_run(call, tx);
	if (run && run_is_carried_out(run)) {
		refuse(call, NULL, "Cannot update run with status '%s'.", run->status);
	} else if (run) {
		if (json_object_object_get_ex(body, "metadata", NULL))
			copy_member(run->body, body, "metadata");
		answer_changed(call, tx, run, update_body(tx, run));
		tx = NULL;
	}
	run_free(run);
out:
	db_rollback(tx);
	json_object_put(body);
}

void
runs_cancel(struct call *call)
{
	struct db_tx *tx = db_begin(call->api->db, DB_WRITE);
	struct run *run = find_run(call, tx);

	if (run && !run_is_active(run)) {
		refuse(call, NULL, "Cannot cancel run with status '%s'.", run->status);
	} else if (run) {
		answer_changed(call, tx, run, run_cancel(call->api, tx, run));
		tx = NULL;
	}
	db_rollback(tx);
	run_free(run);
}

/* --- what tools answered --- */

static struct json_object *
output_for(struct json_object *outputs, const char *id)
{
	for (size_t i = 0; i < json_len(outputs); i++)
		if (strcmp(json_get_string(json_at(outputs, i), "tool_call_id"), id) == 0)
			return json_at(outputs, i);
	return NULL;
}

/* "['a', 'b']" of a member of an array's objects. */
static void
list_ids(struct buf *list, struct json_object *array, const char *member)
{
	buf_puts(list, "[");
	for (size_t i = 0; i < json_len(array); i++)
		buf_printf(
		    list, "%s'%s'", i ? ", " : "", json_get_string(json_at(array, i), member));
	buf_puts(list, "]");
}

/* Puts the outputs into the calls, each into its own. False when they are not the calls'. */
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
		refuse(call, "tool_outputs",
		    "Expected tool outputs for call_ids %.400s, got %.400s",
		    expected.data ? expected.data : "", got.data ? got.data : "");
	}
	buf_free(&expected);
	buf_free(&got);
	return good;
}

/* The run with its calls answered, and their step as it ended. NULL when the call was answered. */
static struct run *
store_outputs(struct call *call, struct json_object *body, struct run_step *step)
{
	bool streams = wants_stream(body);
	const char *holder = streams ? run_holder(call->api) : NULL;
	struct db_tx *tx = NULL;
	struct run *run = NULL;
	int result = -1;

	if (!has_tokens(call)) {
		if (!call->response->body)
			fail(call);
		return NULL;
	}
	if (!streams || holder)
		tx = db_begin(call->api->db, DB_WRITE);
	run = find_run(call, tx);
	if (!run)
		goto out;
	if (strcmp(run->status, "requires_action") == 0 && run_is_overdue(call->api, run))
		run->status = "expired";
	if (strcmp(run->status, "requires_action") != 0) {
		refuse(
		    call, NULL, "Runs in status \"%s\" do not accept tool outputs.", run->status);
		goto out;
	}
	if (run_step_load_open(tx, run, step) != 1) {
		fail(call);
		goto out;
	}
	if (!fill_outputs(call, json_get_array(step->details, "tool_calls"),
		json_get_array(body, "tool_outputs")))
		goto out;
	step->status = "completed";
	step->ended_at = clock_unix();
	if (run_step_end(tx, step) == DB_DONE && run_begin(tx, run, holder) == DB_DONE &&
	    reserve(call, tx, run)) {
		result = db_commit(tx);
		tx = NULL;
	}
	/* What was wrong has been answered, unless it was the database. */
	if (result < 0 && !call->response->body)
		fail(call);
out:
	db_rollback(tx);
	if (result == 0)
		return run;
	run_free(run);
	return NULL;
}

void
runs_submit_tool_outputs(struct call *call)
{
	struct json_object *body = body_object(call);
	struct run_step step = {.status = "in_progress"};
	struct run *run = NULL;

	if (body && check_body(call, body, submit_fields, LEN(submit_fields)))
		run = store_outputs(call, body, &step);
	if (run && wants_stream(body)) {
		call->response->retry_after_s = runner_resume(call->api, run, &step, call->request);
		answer(call, 200, NULL);
	} else if (run) {
		answer(call, 200, run_compose(run));
		runner_pool_wake(call->api->runners);
	}
	run_free(run);
	run_step_free(&step);
	json_object_put(body);
}
