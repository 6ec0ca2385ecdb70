/*
 * Text in the gateway: of a client's body, and of a message of the Assistants API.
 *
 * Input: t, j or m; then a body of text, a body of JSON, or a message's JSON.
 */
#include "support.h"

#include "gateway/message_text.h"
#include "gateway/names.h"
#include "openai/transport.h"
#include "os/id.h"
#include "text/text.h"

enum { FILES_MAX = 20 };

/* An Assistants API that has some files, by their ids. */
struct files {
	struct openai openai;
	unsigned asked;
};

static void
call_files(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	struct files *files = (struct files *)openai;
	const char *file = call->ids[0];
	char name[1024];

	CHECK(++files->asked <= FILES_MAX);
	CHECK(call->operation == API_FILE_RETRIEVE && id_has_form(file, ""));
	snprintf(name, sizeof name, "%s\n[1] forged", file);
	answer->status = strlen(file) % 2 ? 200 : 404;
	answer->body = json_object_new_object();
	json_set_string(answer->body, "filename", name);
}

static void
read_request(enum media media, char *body, size_t len)
{
	struct request request = {.body = body, .body_len = len, .body_media = media};
	const char *problem;
	int status;
	char *words = message_text_of_request(&request, &problem, &status);

	CHECK(!words == (problem != NULL));
	if (words) {
		CHECK(utf8_valid(words, strlen(words)));
		CHECK(!text_is_blank(words));
		if (media == MEDIA_TEXT)
			CHECK(strlen(words) == len && memcmp(words, body, len) == 0);
	} else {
		CHECK(status == 400 || status == 413);
		CHECK(*problem);
	}
	free(words);
}

/* Each citation has a number, a name, and one line. */
static void
check_citations(struct json_object *list)
{
	struct buf footnotes = BUF_INIT((size_t)-1 / 2);
	size_t lines = 0;

	citations_print(list, &footnotes);
	for (size_t i = 0; i < footnotes.len; i++)
		lines += footnotes.data[i] == '\n';
	CHECK(lines == (json_len(list) ? json_len(list) + 1 : 0));
	CHECK(utf8_valid(footnotes.data ? footnotes.data : "", footnotes.len));
	for (size_t i = 0; i < json_len(list); i++) {
		const char *name = json_get_string(json_at(list, i), "name");

		CHECK(json_get_int(json_at(list, i), "index", 0) == (long long)i + 1);
		CHECK(name && *name);
	}
	buf_free(&footnotes);
}

static void
read_message(const char *text, size_t len)
{
	struct files files = {.openai = {.place = "here", .call = call_files}};
	struct json_object *message, *again = NULL;
	struct citations citations;
	struct names names;
	const char *shown;
	char *words;

	if (json_parse(text, len, &message) < 0)
		return;
	citations_init(&citations);
	words = message_text(json_get_array(message, "content"), &citations);
	CHECK(words);
	CHECK(utf8_valid(words, strlen(words)));
	/* An annotation is longer than the number that it adds. */
	CHECK(strlen(words) <= 2 * len);
	names_init(&names, &files.openai, NULL);
	names_find(&names, citations.list);
	names_free(&names);
	check_citations(citations.list);
	shown = json_text(citations.list);
	CHECK(json_parse(shown, strlen(shown), &again) == 0);
	json_object_put(again);
	json_object_put(message);
	citations_free(&citations);
	free(words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = text_of(data + 1, size - 1);
	if (*data == 'm')
		read_message(text, size - 1);
	else
		read_request(*data == 'j' ? MEDIA_JSON : MEDIA_TEXT, text, size - 1);
	free(text);
	return 0;
}
