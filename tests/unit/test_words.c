/* The gateway's words: of a client's body, and of a message with citations. */
#include "support.h"

#include "gateway/words.h"

#define ANNOTATION(marker, file)                                                                   \
	"{'type':'file_citation','text':'" marker "','file_citation':{'file_id':'" file "'}}"
#define TEXT(value, annotations)                                                                   \
	"{'type':'text','text':{'value':'" value "','annotations':[" annotations "]}}"

/* Single-quoted for reading. */
static struct json_object *
parse(const char *quoted)
{
	struct json_object *object;
	char *text = strdup(quoted);

	assert_non_null(text);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(text, strlen(text), &object), 0);
	free(text);
	return object;
}

static void
test_message(void **state)
{
	static const struct {
		const char *content, *words;
		int citations;
	} rows[] = {
	    {"", "", 0},
	    {TEXT("Hello", ""), "Hello", 0},
	    {TEXT("a", "") "," TEXT("", "") "," TEXT("b", ""), "a\n\nb", 0},
	    {"{'type':'refusal','refusal':'No.'}", "No.", 0},
	    {"{'type':'image_file','image_file':{}}", "", 0},
	    {TEXT("See <1> and <2>.", ANNOTATION("<1>", "a") "," ANNOTATION("<2>", "b")),
		"See [1] and [2].", 2},
	    {TEXT("See <2> and <1>.", ANNOTATION("<1>", "a") "," ANNOTATION("<2>", "b")),
		"See [2] and [1].", 2},
	    {TEXT("<1> <1>", ANNOTATION("<1>", "a")), "[1] [1]", 1},
	    {TEXT("<1>", ANNOTATION("<1>", "a")) "," TEXT("<1>", ANNOTATION("<1>", "b")),
		"[1]\n\n[2]", 2},
	    {TEXT("a", ANNOTATION("", "a")), "a", 1},
	    {TEXT("a", "5,{}"), "a", 2},
	    /* A number that was put in is no marker. */
	    {TEXT("x1", ANNOTATION("x", "a") "," ANNOTATION("1", "b")), "[1][2]", 2},
	    {TEXT("[", ANNOTATION("[", "a") "," ANNOTATION("[", "b") "," ANNOTATION("1", "c")),
		"[1]", 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *citations = json_object_new_array(), *message;
		char *text, *words;

		assert_true(asprintf(&text, "{'content':[%s]}", rows[i].content) > 0);
		message = parse(text);
		words = words_of_message(message, citations);
		check_text(rows[i].content, words, rows[i].words);
		check_int(rows[i].content, (long long)json_len(citations), rows[i].citations);
		for (size_t c = 0; c < json_len(citations); c++)
			check_int(rows[i].content, json_get_int(json_at(citations, c), "index", 0),
			    (long long)c + 1);
		json_object_put(citations);
		json_object_put(message);
		free(words);
		free(text);
	}
}

static void
test_request(void **state)
{
	static const struct {
		enum media media;
		const char *body, *words; /* NULL: refused */
	} rows[] = {
	    {MEDIA_TEXT, "Hello", "Hello"},
	    {MEDIA_FORM, "a=b&c", "a=b&c"},
	    {MEDIA_TEXT, "", NULL},
	    {MEDIA_TEXT, " \n", NULL},
	    {MEDIA_TEXT, "\xff", NULL},
	    {MEDIA_JSON, "{\"text\":\"Hello\"}", "Hello"},
	    {MEDIA_JSON, "{\"text\":\"a\\u0000b\"}", NULL},
	    {MEDIA_JSON, "{\"text\":\" \"}", NULL},
	    {MEDIA_JSON, "{\"text\":5}", NULL},
	    {MEDIA_JSON, "[]", NULL},
	    {MEDIA_JSON, "{", NULL},
	    {MEDIA_JSON, "", NULL},
	    {MEDIA_JSON,
		"{\"messages\":[{\"role\":\"user\",\"text\":\"first\"},{\"role\":\"user\","
		"\"text\":\"last\"},{\"role\":\"assistant\",\"text\":\"no\"}]}",
		"last"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *body = strdup(rows[i].body);
		struct request request = {
		    .body = body, .body_len = strlen(body), .body_media = rows[i].media};
		const char *problem;
		int status;
		char *words = words_of_request(&request, &problem, &status);

		check_text(rows[i].body, words, rows[i].words);
		assert_int_equal(!words, problem != NULL);
		assert_int_equal(status, 400);
		free(words);
		free(body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_message),
	    cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
