#include "model/history.h"

#include "model/backend.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

enum { NAME_LEN_MAX = 64, OWN_ID_LEN_MAX = 64, SHORT_ID_LEN = 9, WORDS_MAX = 64 << 20 };

/* Sent where a server requires a user message and the conversation has none. */
static const char user_begins[] = "(The assistant begins.)";
static const char user_goes_on[] = "(Please go on.)";
static const char assistant_goes_on[] = "(No answer.)";
static const char unseen_image[] = "[An image that you cannot see]";

struct forming {
	const struct model_request *request;
	const char *server;
	unsigned needs;
	struct model_context told;
	struct json_object *used; /* the ids of calls so far */
	bool user_spoke;
	size_t last_user; /* index of the last user message in the request's context */
};

/* --- arguments and names --- */

static struct json_object *
parse_object(const char *text)
{
	struct json_object *value;

	if (json_parse_foreign(text, strlen(text), &value) < 0)
		return NULL;
	if (json_object_is_type(value, json_type_object))
		return value;
	json_object_put(value);
	return NULL;
}

bool
history_takes_arguments(const char *arguments)
{
	struct json_object *value = parse_object(arguments);

	json_object_put(value);
	return value != NULL;
}

/* Some models write the object as a string within a string. */
static struct json_object *
repaired_arguments(const char *arguments)
{
	struct json_object *value = NULL, *inner = NULL, *repaired;

	if (json_parse_foreign(arguments, strlen(arguments), &value) == 0 &&
	    json_object_is_type(value, json_type_string))
		inner = parse_object(json_object_get_string(value));
	repaired = json_new_string(inner ? json_text(inner) : "{}");
	json_object_put(inner);
	json_object_put(value);
	return repaired;
}

static struct json_object *
told_arguments(struct json_object *call, bool valid)
{
	const char *arguments = json_get_string(call, "arguments");

	if (arguments && (valid || history_takes_arguments(arguments)))
		return json_object_get(json_get(call, "arguments"));
	return repaired_arguments(arguments ? arguments : "");
}

static struct json_object *
told_name(struct json_object *call)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-";
	const char *name = json_get_string(call, "name");
	char told[NAME_LEN_MAX + 1];

	snprintf(told, sizeof told, "%s", name && *name ? name : "unknown");
	for (char *at = told; *at; at++)
		if (!strchr(allowed, *at))
			*at = '_';
	return json_new_string(told);
}

/* --- ids --- */

/* Nine characters that depend only on `id` and `nth`, because servers cache what they have read. */
static void
make_short_id(const char *id, unsigned nth, char made[SHORT_ID_LEN + 1])
{
	static const char digits[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t hash = 14695981039346656037U + nth; /* FNV-1a */

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 1099511628211U;
	for (size_t i = 0; i < SHORT_ID_LEN; i++) {
		made[i] = digits[hash % 62];
		hash /= 62;
	}
	made[SHORT_ID_LEN] = '\0';
}

static struct json_object *
told_id(struct forming *forming, const char *id, bool own)
{
	char made[SHORT_ID_LEN + 1];
	bool kept = own && *id && strlen(id) <= OWN_ID_LEN_MAX &&
	    !(forming->needs & NEED_SHORT_IDS) && !json_get(forming->used, id);

	for (unsigned nth = 0; !kept; nth++) {
		make_short_id(id, nth, made);
		if (!json_get(forming->used, made))
			break;
	}
	json_set_int(forming->used, kept ? id : made, 1);
	return json_new_string(kept ? id : made);
}

/* --- entries --- */

static struct model_entry *
last_entry(struct forming *forming)
{
	return forming->told.len ? &forming->told.entries[forming->told.len - 1] : NULL;
}

static bool
is_kind(const struct model_entry *entry, enum model_entry_kind kind)
{
	return entry && entry->kind == kind;
}

/* The entry's items if this server made them, else NULL. */
static struct json_object *
items_of(const struct forming *forming, const struct model_entry *entry)
{
	const char *from = json_get_string(entry->items, "server");

	return from && strcmp(from, forming->server) == 0 ? entry->items : NULL;
}

/* Adds an entry; takes `content` over. */
static void
push(struct forming *forming, enum model_entry_kind kind, struct json_object *content,
    struct json_object *items)
{
	bool given_back = !(forming->needs & NEED_NOTHING_MORE);

	model_context_add(
	    &forming->told, kind, content, given_back ? json_object_get(items) : NULL);
}

static void add_words(struct forming *forming, enum model_entry_kind kind, const char *words);

/* Adds what a server that insists on an order of roles needs before a message, or calls. */
static void
prepare_turn(struct forming *forming, enum model_entry_kind kind)
{
	const struct model_entry *last = last_entry(forming);

	if (!(forming->needs & NEED_ALTERNATION))
		return;
	if (!last && kind != MODEL_USER)
		add_words(forming, MODEL_USER, user_begins);
	else if (kind == MODEL_USER && is_kind(last, MODEL_CALLS))
		add_words(forming, MODEL_ASSISTANT, assistant_goes_on);
}

/* The content as an array; takes it over. */
static struct json_object *
as_parts(struct json_object *content)
{
	struct json_object *parts = model_parts(content);

	json_object_put(content);
	return parts;
}

/* Adds a message, or appends it to the previous one; takes `content` over. */
static void
add_content(struct forming *forming, enum model_entry_kind kind, struct json_object *content,
    struct json_object *items)
{
	struct model_entry *last;

	prepare_turn(forming, kind);
	last = last_entry(forming);
	/* What the server itself sent goes back unchanged, unless it must not have neighbours. */
	if (!is_kind(last, kind) ||
	    ((items || last->items) && !(forming->needs & NEED_ALTERNATION))) {
		push(forming, kind, content, items);
		return;
	}
	content = as_parts(content);
	last->content = as_parts(last->content);
	for (size_t i = 0; i < json_len(content); i++)
		json_add(last->content, json_object_get(json_at(content, i)));
	json_object_put(content);
	json_object_put(last->items);
	last->items = NULL;
}

static void
add_words(struct forming *forming, enum model_entry_kind kind, const char *words)
{
	add_content(forming, kind, model_text_content(words), NULL);
}

/* The texts and images of a message, without blank texts, which servers refuse. */
static struct json_object *
told_content(struct json_object *content, unsigned needs)
{
	struct json_object *told = json_new_array();

	for (size_t i = 0; i < json_len(content); i++) {
		struct json_object *part = json_at(content, i);
		const char *words = model_part_words(part);
		bool is_image = json_get_object(part, "image_url") && !(needs & NEED_NO_IMAGES);

		if (is_image || (words && !text_is_blank(words)))
			json_add(told, json_object_get(part));
		else if (!words)
			json_add(told, model_text_part(unseen_image));
	}
	return told;
}

static void
add_message(struct forming *forming, const struct model_entry *entry)
{
	struct json_object *content = model_is_words(entry->content)
	    ? json_object_get(entry->content)
	    : told_content(entry->content, forming->needs);

	forming->user_spoke |= entry->kind == MODEL_USER;
	if (model_is_words(content) || json_len(content) > 0)
		add_content(forming, entry->kind, content, items_of(forming, entry));
	else
		json_object_put(content);
}

static struct json_object *
told_call(struct forming *forming, const struct model_entry *entry, struct json_object *call)
{
	const char *id = json_get_string(call, "id"), *output = json_get_string(call, "output");
	bool valid = json_object_get_boolean(json_get(entry->items, "valid"));
	struct json_object *told = json_new_object();

	id = id ? id : "";
	json_set(told, "id", told_id(forming, id, items_of(forming, entry) != NULL));
	json_set_string(told, "came_as", id);
	json_set(told, "name", told_name(call));
	json_set(told, "arguments", told_arguments(call, valid));
	if ((!output || text_is_blank(output)) && (forming->needs & NEED_WORDS))
		output = "(nothing)";
	json_set_string(told, "output", output ? output : "");
	return told;
}

/* For a server that does not accept calls: describes the calls and their outputs in text. */
static void
add_calls_as_words(struct forming *forming, struct json_object *calls)
{
	struct buf called = BUF_INIT(WORDS_MAX), came = BUF_INIT(WORDS_MAX);

	for (size_t i = 0; i < json_len(calls); i++) {
		struct json_object *call = json_at(calls, i);

		buf_printf(&called, "%s(I call %s with %s)", i ? "\n" : "",
		    json_get_string(call, "name"), json_get_string(call, "arguments"));
		buf_printf(&came, "%s(%s answers: %s)", i ? "\n" : "",
		    json_get_string(call, "name"), json_get_string(call, "output"));
	}
	add_words(forming, MODEL_ASSISTANT, called.data ? called.data : "");
	add_words(forming, MODEL_USER, came.data ? came.data : "");
	buf_free(&called);
	buf_free(&came);
}

static void
add_calls(struct forming *forming, const struct model_entry *entry)
{
	struct json_object *told = json_new_array(), *one;

	for (size_t i = 0; i < json_len(entry->content); i++)
		json_add(told, told_call(forming, entry, json_at(entry->content, i)));
	if (forming->needs & (NEED_CALLS_AS_WORDS | NEED_NO_TOOLS)) {
		add_calls_as_words(forming, told);
	} else if ((forming->needs & NEED_SINGLE_CALLS) && json_len(told) > 1) {
		for (size_t i = 0; i < json_len(told); i++) {
			one = json_new_array();
			json_add(one, json_object_get(json_at(told, i)));
			push(forming, MODEL_CALLS, one, NULL);
		}
	} else {
		push(forming, MODEL_CALLS, json_object_get(told), items_of(forming, entry));
	}
	json_object_put(told);
}

static void
add_entries(struct forming *forming)
{
	const struct model_context *context = forming->request->context;
	size_t begin = forming->needs & NEED_LAST_TURN ? forming->last_user : 0;

	for (size_t i = begin; i < context->len; i++) {
		const struct model_entry *entry = &context->entries[i];

		if (entry->kind != MODEL_CALLS)
			add_message(forming, entry);
		else if (forming->user_spoke)
			add_calls(forming, entry);
	}
}

static size_t
find_last_user(const struct model_context *context)
{
	for (size_t i = context->len; i > 0; i--)
		if (context->entries[i - 1].kind == MODEL_USER)
			return i - 1;
	return 0;
}

void
history_form(struct history *history, const struct model_request *request, const char *server,
    unsigned needs)
{
	const char *instructions = json_get_string(request->options, "instructions");
	struct forming forming = {
	    .request = request,
	    .server = server,
	    .needs = needs,
	    .used = json_new_object(),
	    .last_user = find_last_user(request->context),
	};
	const struct model_entry *last;

	history->instructions = instructions && *instructions ? instructions : NULL;
	/* First, so that it is joined with the first user message. */
	if (history->instructions && (needs & NEED_NO_SYSTEM)) {
		add_words(&forming, MODEL_USER, instructions);
		history->instructions = NULL;
	}
	add_entries(&forming);
	last = last_entry(&forming);
	if ((needs & NEED_USER_LAST) && (!last || last->kind == MODEL_ASSISTANT))
		add_words(&forming, MODEL_USER, user_goes_on);
	history->told = forming.told;
	json_object_put(forming.used);
}

void
history_free(struct history *history)
{
	model_context_free(&history->told);
}

/* --- what is stored --- */

struct json_object *
history_items(const char *server, bool valid)
{
	struct json_object *items = json_new_object();

	json_set_string(items, "server", server);
	if (valid)
		json_set(items, "valid", json_new_bool(1));
	return items;
}
