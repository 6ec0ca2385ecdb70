#include "model/history.h"

#include "model/backend.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

enum { NAME_LEN_MAX = 64, OWN_ID_LEN_MAX = 64, SHORT_ID_LEN = 9, WORDS_MAX = 64 << 20 };

/* What stands where a server insists on a message, and there is none. */
static const char user_begins[] = "(The assistant begins.)";
static const char user_goes_on[] = "(Please go on.)";
static const char assistant_goes_on[] = "(No answer.)";
static const char unseen_image[] = "[An image that you cannot see]";

struct forming {
	const struct model_request *request;
	const char *server;
	unsigned needs;
	struct json_object *entries;
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
	repaired = json_object_new_string(inner ? json_text(inner) : "{}");
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
	return json_object_new_string(told);
}

/* --- ids --- */

/* Nine characters that depend on `id` and `nth` alone: servers cache what they were told before. */
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
	return json_object_new_string(kept ? id : made);
}

/* --- entries --- */

static struct json_object *
last_entry(const struct forming *forming)
{
	size_t len = json_len(forming->entries);

	return len ? json_at(forming->entries, len - 1) : NULL;
}

static bool
is_role(struct json_object *entry, const char *role)
{
	const char *has = json_get_string(entry, "role");

	return has && strcmp(has, role) == 0;
}

/* The entry's items if this server made them; NULL: it did not. */
static struct json_object *
items_of(const struct forming *forming, struct json_object *entry)
{
	struct json_object *items = json_get_object(entry, "items");
	const char *from = json_get_string(items, "server");

	return from && strcmp(from, forming->server) == 0 ? items : NULL;
}

static void
set_own(const struct forming *forming, struct json_object *made, struct json_object *items)
{
	if (items && !(forming->needs & NEED_NOTHING_MORE))
		json_set(made, "own", json_object_get(items));
}

static void add_words(struct forming *forming, const char *role, const char *words);

/* What a server that insists on the order of roles wants to see before `role`. */
static void
prepare_turn(struct forming *forming, const char *role)
{
	struct json_object *last = last_entry(forming);
	bool is_user = strcmp(role, "user") == 0;

	if (!(forming->needs & NEED_ALTERNATION))
		return;
	if (!last && !is_user)
		add_words(forming, "user", user_begins);
	else if (last && is_user && json_get(last, "calls"))
		add_words(forming, "assistant", assistant_goes_on);
}

/* The content as an array; takes it over. */
static struct json_object *
as_parts(struct json_object *content)
{
	struct json_object *parts = model_parts(content);

	json_object_put(content);
	return parts;
}

/* Takes `content` over. */
static void
add_content(struct forming *forming, const char *role, struct json_object *content,
    struct json_object *items)
{
	struct json_object *last, *message;

	prepare_turn(forming, role);
	last = last_entry(forming);
	/* What the server said itself goes back as it came, unless it wants no neighbours. */
	if (is_role(last, role) &&
	    ((!items && !json_get(last, "own")) || (forming->needs & NEED_ALTERNATION))) {
		content = as_parts(content);
		json_set(last, "content", as_parts(json_object_get(json_get(last, "content"))));
		for (size_t i = 0; i < json_len(content); i++)
			json_add(json_get(last, "content"), json_object_get(json_at(content, i)));
		json_object_object_del(last, "own");
		json_object_put(content);
		return;
	}
	message = json_object_new_object();
	json_set_string(message, "role", role);
	json_set(message, "content", content);
	set_own(forming, message, items);
	json_add(forming->entries, message);
}

static void
add_words(struct forming *forming, const char *role, const char *words)
{
	add_content(forming, role, model_text_content(words), NULL);
}

/* The texts and images of a message; blank texts, which servers refuse, are left out. */
static struct json_object *
told_content(struct json_object *content, unsigned needs)
{
	struct json_object *told = json_object_new_array();

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
add_message(struct forming *forming, struct json_object *entry)
{
	struct json_object *content = json_get(entry, "content");
	bool words_alone = json_object_is_type(content, json_type_string);

	content = words_alone ? json_object_get(content) : told_content(content, forming->needs);
	forming->user_spoke |= is_role(entry, "user");
	if (words_alone || json_len(content) > 0)
		add_content(
		    forming, json_get_string(entry, "role"), content, items_of(forming, entry));
	else
		json_object_put(content);
}

static struct json_object *
told_call(struct forming *forming, struct json_object *entry, struct json_object *call)
{
	const char *id = json_get_string(call, "id"), *output = json_get_string(call, "output");
	bool valid = json_object_get_boolean(json_get(json_get(entry, "items"), "valid"));
	struct json_object *told = json_object_new_object();

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

/* For a server that cannot be told of calls: what was called, and what came of it. */
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
	add_words(forming, "assistant", called.data ? called.data : "");
	add_words(forming, "user", came.data ? came.data : "");
	buf_free(&called);
	buf_free(&came);
}

/* Takes `calls` over; `own` may be NULL. */
static void
push_calls(struct forming *forming, struct json_object *calls, struct json_object *own)
{
	struct json_object *made = json_object_new_object();

	json_set(made, "calls", calls);
	set_own(forming, made, own);
	json_add(forming->entries, made);
}

static void
add_calls(struct forming *forming, struct json_object *entry, struct json_object *calls)
{
	struct json_object *told = json_object_new_array(), *one;

	for (size_t i = 0; i < json_len(calls); i++)
		json_add(told, told_call(forming, entry, json_at(calls, i)));
	if (forming->needs & (NEED_CALLS_AS_WORDS | NEED_NO_TOOLS)) {
		add_calls_as_words(forming, told);
	} else if ((forming->needs & NEED_SINGLE_CALLS) && json_len(told) > 1) {
		for (size_t i = 0; i < json_len(told); i++) {
			one = json_object_new_array();
			json_add(one, json_object_get(json_at(told, i)));
			push_calls(forming, one, NULL);
		}
	} else {
		push_calls(forming, json_object_get(told), items_of(forming, entry));
	}
	json_object_put(told);
}

static void
add_entries(struct forming *forming)
{
	struct json_object *context = forming->request->context;
	size_t begin = forming->needs & NEED_LAST_TURN ? forming->last_user : 0;

	for (size_t i = begin; i < json_len(context); i++) {
		struct json_object *entry = json_at(context, i);
		struct json_object *calls = json_get_array(entry, "calls");

		if (!calls)
			add_message(forming, entry);
		else if (forming->user_spoke)
			add_calls(forming, entry, calls);
	}
}

static size_t
find_last_user(struct json_object *context)
{
	for (size_t i = json_len(context); i > 0; i--)
		if (is_role(json_at(context, i - 1), "user"))
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
	    .entries = json_object_new_array(),
	    .used = json_object_new_object(),
	    .last_user = find_last_user(request->context),
	};
	struct json_object *last;

	history->instructions = instructions && *instructions ? instructions : NULL;
	/* First, so that they are merged with the first message of the user. */
	if (history->instructions && (needs & NEED_NO_SYSTEM)) {
		add_words(&forming, "user", instructions);
		history->instructions = NULL;
	}
	add_entries(&forming);
	last = last_entry(&forming);
	if ((needs & NEED_USER_LAST) && (!last || is_role(last, "assistant")))
		add_words(&forming, "user", user_goes_on);
	history->entries = forming.entries;
	json_object_put(forming.used);
}

void
history_free(struct history *history)
{
	json_object_put(history->entries);
}

/* --- what is kept --- */

struct json_object *
history_items(const char *server, bool valid)
{
	struct json_object *items = json_object_new_object();

	json_set_string(items, "server", server);
	if (valid)
		json_set(items, "valid", json_object_new_boolean(1));
	return items;
}
