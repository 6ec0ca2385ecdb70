/*
 * The gateway's words: what a client's body says, and what a message of the Assistants API says.
 *
 * Input: t, j or m; then a body that is text, one that is JSON, or a message's JSON.
 */
#include "support.h"

#include "gateway/words.h"
#include "util/text.h"

enum { WORDS_MAX = 1 << 20 };

static void
read_request(enum media media, char *body, size_t len)
{
	struct request request = {.body = body, .body_len = len, .body_media = media};
	const char *problem;
	int status;
	char *words = words_of_request(&request, &problem, &status);

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

static void
read_message(const char *text, size_t len)
{
	struct json_object *message, *citations = json_object_new_array(), *again = NULL;
	const char *shown;
	char *words;

	if (json_parse(text, len, &message) == 0) {
		words = words_of_message(message, citations);
		CHECK(words);
		CHECK(utf8_valid(words, strlen(words)));
		/* Whatever the markers, an answer does not grow without bound. */
		CHECK(strlen(words) < WORDS_MAX);
		shown = json_text(citations);
		CHECK(json_parse(shown, strlen(shown), &again) == 0);
		json_object_put(again);
		json_object_put(message);
		free(words);
	}
	json_object_put(citations);
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
