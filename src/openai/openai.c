#include "openai/openai.h"

#include "obs/log.h"
#include "openai/transport.h"
#include "text/json.h"
#include "text/text.h"

enum { LIST_PAGES_MAX = 10000 };

void
openai_free(struct openai *openai)
{
	if (openai)
		openai->free(openai);
}

const char *
openai_place(const struct openai *openai)
{
	return openai->place;
}

bool
openai_ready(struct openai *openai)
{
	return openai->ready(openai);
}

void
openai_answer_free(struct openai_answer *answer)
{
	json_object_put(answer->body);
	answer->body = NULL;
}

bool
openai_did(const struct openai_answer *answer)
{
	return answer->failure == OPENAI_ANSWERED && answer->status / 100 == 2;
}

const char *
openai_answer_error(const struct openai_answer *answer)
{
	const char *message = json_get_string(json_get_object(answer->body, "error"), "message");

	return message ? message : "";
}

/* 400 and 404 are mostly the client's fault: a busy thread, an unknown one. */
static void
log_refusal(const struct openai *openai, const struct openai_answer *answer)
{
	int status = answer->status;
	bool quiet = status == 400 || status == 404 || status == openai->logged_status ||
	    answer->error == API_NO_TOKENS;

	if (answer->failure == OPENAI_ANSWERED && status / 100 != 2)
		log_write(quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
		    "assistants API: answered %d: %s", status, openai_answer_error(answer));
}

void
openai_call(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	*answer = (struct openai_answer){.retry_after_s = -1};
	openai->call(openai, call, answer);
	log_refusal(openai, answer);
}

static int
refuse_list(struct openai_answer *answer)
{
	log_error("assistants API: a list has no data, invalid ids, or no end");
	answer->failure = OPENAI_UNREACHABLE;
	return -1;
}

int
openai_list_page(struct openai *openai, struct openai_cursor *cursor, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer)
{
	struct openai_call call = cursor->call;
	struct buf query = BUF_INIT(5 * OPENAI_CURSOR_SIZE);
	struct json_object *data;
	const char *last;
	bool more;

	openai_answer_free(answer);
	buf_puts(&query, call.query);
	if (*cursor->after) {
		buf_puts(&query, "&after=");
		percent_encode(&query, cursor->after);
	}
	if (query.failed) {
		buf_free(&query);
		return refuse_list(answer);
	}
	call.query = query.data;
	openai_call(openai, &call, answer);
	buf_free(&query);
	data = json_get_array(answer->body, "data");
	if (!openai_did(answer))
		return -1;
	if (!data || cursor->pages++ == LIST_PAGES_MAX)
		return refuse_list(answer);
	last = json_len(data) ? json_get_string(json_at(data, json_len(data) - 1), "id") : NULL;
	/* The same page again: the server does not know cursors. */
	if (last && strcmp(last, cursor->after) == 0)
		return 0;
	for (size_t i = 0; i < json_len(data); i++)
		on_item(arg, json_at(data, i));
	more = last && json_object_get_boolean(json_get(answer->body, "has_more"));
	if (more && strlen(last) >= sizeof cursor->after)
		return refuse_list(answer);
	snprintf(cursor->after, sizeof cursor->after, "%s", more ? last : "");
	openai_answer_free(answer);
	return more;
}

int
openai_list(struct openai *openai, const struct openai_call *call, openai_item_fn *on_item,
    void *arg, struct openai_answer *answer)
{
	struct openai_cursor cursor = {.call = *call};
	int more;

	do
		more = openai_list_page(openai, &cursor, on_item, arg, answer);
	while (more == 1);
	return more;
}

void
openai_stream(struct openai *openai, const struct openai_call *call,
    const struct listener *listener, struct openai_answer *answer)
{
	*answer = (struct openai_answer){.retry_after_s = -1};
	json_set(call->body, "stream", json_new_bool(1));
	openai->stream(openai, call, listener, answer);
	log_refusal(openai, answer);
}

void
openai_keep(struct openai *openai)
{
	openai->keep(openai);
}
