#include "gateway/names.h"

#include "gateway/citations.h"
#include "obs/log.h"
#include "os/clock.h"
#include "os/id.h"
#include "text/text.h"

enum { FILES_MAX = 20, WAIT_MS = 5000 };

/* The answer is complete and waits only for names, so the wait is bounded. */
static bool
is_over(void *arg)
{
	const struct names *names = arg;

	return clock_ms() >= names->deadline_ms || interrupt_raised(names->client);
}

/* Asks the Assistants API for the file's name; the caller releases it. NULL: none. */
static struct json_object *
ask(struct names *names, const char *file)
{
	const struct interrupt interrupt = {
	    .fd = names->client ? names->client->fd : -1, .raised = is_over, .arg = names};
	const struct openai_call call = {
	    .operation = API_FILE_RETRIEVE, .ids = {file}, .interrupt = &interrupt};
	struct json_object *name = NULL;
	struct openai_answer answer;
	const char *told = NULL;

	/* The id becomes part of a path, so it must look like one. */
	if (names->files_left == 0 || !id_has_form(file, "") || is_over(names))
		return NULL;
	names->files_left--;
	openai_call(names->openai, &call, &answer);
	if (openai_did(&answer))
		told = json_get_string(answer.body, "filename");
	else if (answer.failure != OPENAI_ANSWERED ||
	    (answer.status != 404 && answer.status != 400))
		names->files_left = 0;
	/* openai_call() has logged other failures. */
	if (answer.failure == OPENAI_INTERRUPTED && !interrupt_raised(names->client))
		log_warn("assistants API: the names of the cited files did not come within %d s",
		    WAIT_MS / 1000);
	if (told && !text_is_blank(told))
		name = citations_line(told, CITATION_NAME_MAX);
	openai_answer_free(&answer);
	return name;
}

static void
keep_told_names(struct names *names, struct json_object *citations)
{
	for (size_t i = 0; i < json_len(citations); i++) {
		struct json_object *name = json_get(json_at(citations, i), "name");
		const char *file = json_get_string(json_at(citations, i), "file_id");

		if (file && name && !json_get(names->known, file))
			json_set(names->known, file, json_object_get(name));
	}
}

/* The file's name; the caller releases it. */
static struct json_object *
name_of_file(struct names *names, const char *file)
{
	struct json_object *name = json_get(names->known, file);

	if (!name) {
		name = ask(names, file);
		if (!name)
			name = citations_line(file, CITATION_NAME_MAX);
		json_set(names->known, file, name);
	}
	return json_object_get(name);
}

void
names_init(struct names *names, struct openai *openai, const struct interrupt *client)
{
	*names = (struct names){
	    .openai = openai,
	    .client = client,
	    .left_ms = WAIT_MS,
	    .files_left = FILES_MAX,
	    .known = json_new_object(),
	};
}

void
names_free(struct names *names)
{
	json_object_put(names->known);
}

void
names_find(struct names *names, struct json_object *citations)
{
	names->deadline_ms = clock_ms() + names->left_ms;
	keep_told_names(names, citations);
	for (size_t i = 0; i < json_len(citations); i++) {
		struct json_object *citation = json_at(citations, i);
		const char *url = json_get_string(citation, "url");
		const char *file = json_get_string(citation, "file_id");

		if (json_get(citation, "name"))
			continue;
		if (file)
			json_set(citation, "name", name_of_file(names, file));
		else
			json_set_string(citation, "name", url);
	}
	names->left_ms = names->deadline_ms - clock_ms();
}
