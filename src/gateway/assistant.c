#include "gateway/assistant.h"

#include <errno.h>
#include <unistd.h>

#include "obs/log.h"
#include "os/file.h"
#include "os/hash.h"
#include "os/id.h"
#include "text/buf.h"
#include "text/json.h"

enum { CACHE_MAX = 8192, LOCK_WAIT_MS = 30000 };

struct assistant {
	struct openai *openai;
	char *cache_path, *lock_path;
};

/* What was found in the cache file. */
enum cache_state {
	CACHE_NONE,    /* missing, or made for another API */
	CACHE_DAMAGED, /* unreadable, or not of this form */
	CACHE_OLD,     /* made for this API, from another definition */
	CACHE_VALID,
};

struct assistant *
assistant_new(struct openai *openai, const char *state_dir)
{
	struct assistant *assistant = calloc(1, sizeof *assistant);

	if (!assistant)
		return NULL;
	assistant->openai = openai;
	if (asprintf(&assistant->cache_path, "%s/assistant", state_dir) < 0)
		assistant->cache_path = NULL;
	if (asprintf(&assistant->lock_path, "%s/assistant.lock", state_dir) < 0)
		assistant->lock_path = NULL;
	if (assistant->cache_path && assistant->lock_path)
		return assistant;
	assistant_free(assistant);
	return NULL;
}

void
assistant_free(struct assistant *assistant)
{
	if (!assistant)
		return;
	free(assistant->cache_path);
	free(assistant->lock_path);
	free(assistant);
}

/*
 * If *text begins with a line that starts with `name`, takes it off and returns its rest; else
 * NULL.
 */
static const char *
take_line(char **text, const char *name)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end || strncmp(line, name, strlen(name)) != 0)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line + strlen(name);
}

/* The text must end with a newline: that detects an id that was cut short. */
static enum cache_state
parse_cache(const struct assistant *assistant, const char *hash, char *text, size_t len,
    char id[ASSISTANT_ID_SIZE])
{
	char *at = text;
	const char *format = take_line(&at, "assistants-fcgi assistant 1");
	const char *place = take_line(&at, "place ");
	const char *made_of = take_line(&at, "definition sha256:");
	const char *found = take_line(&at, "id ");

	if (!format || *format || !place || !made_of || !found || at != text + len ||
	    !id_has_form(found, "") || strlen(found) >= ASSISTANT_ID_SIZE)
		return CACHE_DAMAGED;
	if (strcmp(place, openai_place(assistant->openai)) != 0)
		return CACHE_NONE;
	snprintf(id, ASSISTANT_ID_SIZE, "%s", found);
	return strcmp(made_of, hash) == 0 ? CACHE_VALID : CACHE_OLD;
}

static enum cache_state
read_cache(const struct assistant *assistant, const char *hash, char id[ASSISTANT_ID_SIZE])
{
	size_t len;
	char *text = file_read(assistant->cache_path, CACHE_MAX, &len);
	enum cache_state state;

	if (!text)
		return errno == ENOENT ? CACHE_NONE : CACHE_DAMAGED;
	state = parse_cache(assistant, hash, text, len, id);
	free(text);
	return state;
}

/* 0, or -1 with errno. */
static int
write_cache(const struct assistant *assistant, const char *hash, const char *id)
{
	struct buf text = BUF_INIT(CACHE_MAX);
	int result, error;

	errno = ENOMEM;
	buf_printf(
	    &text, "assistants-fcgi assistant 1\nplace %s\n", openai_place(assistant->openai));
	buf_printf(&text, "definition sha256:%s\nid %s\n", hash, id);
	result = text.failed ? -1 : file_replace(assistant->cache_path, text.data);
	error = errno;
	buf_free(&text);
	errno = error;
	return result;
}

/* Copies the id out of an answer. False: the call failed, or the id is not usable here. */
static bool
keep_id(struct openai_answer *answer, struct json_object *object, char id[ASSISTANT_ID_SIZE])
{
	const char *found = json_get_string(object, "id");

	if (!openai_did(answer))
		return false;
	if (found && id_has_form(found, "") && strlen(found) < ASSISTANT_ID_SIZE) {
		snprintf(id, ASSISTANT_ID_SIZE, "%s", found);
		return true;
	}
	log_error("assistants API: the server returned an assistant without a usable id");
	answer->failure = OPENAI_UNREACHABLE;
	return false;
}

/* A search by name through all pages. */
struct search {
	const char *name;
	struct json_object *oldest; /* among those with the name; NULL: none so far */
};

/* The list is newest first, so the last match is the oldest. */
static void
on_assistant(void *arg, struct json_object *assistant)
{
	struct search *search = arg;
	const char *name = json_get_string(assistant, "name");

	if (!name || strcmp(name, search->name) != 0)
		return;
	json_object_put(search->oldest);
	search->oldest = json_object_get(assistant);
}

/* 1: found. 0: not found. -1: `answer` failed. */
static int
find_by_name(struct assistant *assistant, const char *name, const struct interrupt *interrupt,
    char id[ASSISTANT_ID_SIZE], struct openai_answer *answer)
{
	struct search search = {.name = name};
	const struct openai_call call = {
	    .operation = API_ASSISTANT_LIST, .query = "limit=100", .interrupt = interrupt};
	int result = openai_list(assistant->openai, &call, on_assistant, &search, answer);

	if (result == 0 && search.oldest)
		result = keep_id(answer, search.oldest, id) ? 1 : -1;
	json_object_put(search.oldest);
	return result;
}

/*
 * Creates the assistant, or updates the one with `id` to the definition. 1: done, or the update was
 * refused, which has been logged. 0: the id is unknown. -1: failed.
 */
static int
post_definition(struct assistant *assistant, const struct definition *definition,
    const struct interrupt *interrupt, bool update, char id[ASSISTANT_ID_SIZE],
    struct openai_answer *answer)
{
	struct openai_call call = {
	    .operation = update ? API_ASSISTANT_MODIFY : API_ASSISTANT_CREATE,
	    .ids = {update ? id : NULL},
	    .interrupt = interrupt,
	};

	openai_answer_free(answer);
	json_parse(definition->text, strlen(definition->text), &call.body);
	openai_call(assistant->openai, &call, answer);
	json_object_put(call.body);
	if (update && answer->failure == OPENAI_ANSWERED && answer->status == 404)
		return 0;
	if (update && answer->failure == OPENAI_ANSWERED && answer->status == 400) {
		log_error("the assistant %s is unchanged, because the server refused its new "
			  "definition: %s",
		    id, openai_answer_error(answer));
		return 1;
	}
	if (!keep_id(answer, answer->body, id))
		return -1;
	log_info(
	    "the assistant %s was %s", id, update ? "updated to its new definition" : "created");
	return 1;
}

/* The caller holds the lock, or could not get it. */
static int
find_or_create(struct assistant *assistant, const struct definition *definition,
    const struct interrupt *interrupt, char id[ASSISTANT_ID_SIZE], struct openai_answer *answer)
{
	enum cache_state state = read_cache(assistant, definition->hash, id);
	int found = 0;

	if (state == CACHE_VALID)
		return 0;
	if (state == CACHE_OLD)
		found = post_definition(assistant, definition, interrupt, true, id, answer);
	if (found == 0)
		found = find_by_name(assistant, definition->name, interrupt, id, answer);
	if (found == 0)
		found = post_definition(assistant, definition, interrupt, false, id, answer);
	if (found < 0)
		return -1;
	if (write_cache(assistant, definition->hash, id) < 0)
		log_warn("the assistant's id cannot be stored in %s: %s", assistant->cache_path,
		    strerror(errno));
	else if (state == CACHE_DAMAGED)
		log_warn("the file %s was unreadable or damaged, and has been replaced",
		    assistant->cache_path);
	return 0;
}

int
assistant_id(struct assistant *assistant, const struct definition *definition,
    const struct interrupt *interrupt, char id[ASSISTANT_ID_SIZE], struct openai_answer *answer)
{
	int lock, result;

	*answer = (struct openai_answer){.retry_after_s = -1};
	if (read_cache(assistant, definition->hash, id) == CACHE_VALID)
		return 0;
	lock = file_lock(assistant->lock_path, LOCK_WAIT_MS, interrupt);
	if (lock < 0 && errno == ECANCELED) {
		answer->failure = OPENAI_INTERRUPTED;
		return -1;
	}
	if (lock < 0)
		log_warn("no lock on %s, going on without it: %s", assistant->lock_path,
		    strerror(errno));
	result = find_or_create(assistant, definition, interrupt, id, answer);
	if (lock >= 0)
		close(lock);
	return result;
}

void
assistant_forget(struct assistant *assistant, const struct interrupt *interrupt, const char *id)
{
	int lock = file_lock(assistant->lock_path, LOCK_WAIT_MS, interrupt);
	char cached[ASSISTANT_ID_SIZE];
	enum cache_state state;

	log_warn(
	    "the server does not know the assistant %s; another is found by its name, or created",
	    id);
	/* Another process may have replaced it by now. */
	state = read_cache(assistant, "", cached);
	if (state == CACHE_OLD && strcmp(cached, id) == 0)
		unlink(assistant->cache_path);
	if (lock >= 0)
		close(lock);
}
