/* Text of a client's body, and of a message with citations. */
#include "support.h"

#include "gateway/message_text.h"
#include "gateway/names.h"
#include "openai/transport.h"
#include "os/clock.h"

/* An annotation: its marker and offsets as JSON has them, and a file. */
#define AT(marker, start, end, file)                                                               \
	"{'type':'file_citation','text':'" marker "','start_index':" #start ",'end_index':" #end   \
	",'file_citation':{'file_id':'" file "'}}"
#define MARKS(marker, file)                                                                        \
	"{'type':'file_path','text':'" marker "','file_path':{'file_id':'" file "'}}"
#define RANGE(start, end, file)                                                                    \
	"{'type':'file_citation','start_index':" #start ",'end_index':" #end                       \
	",'file_citation':{'file_id':'" file "'}}"
#define QUOTE(quote, file)                                                                         \
	"{'type':'file_citation','file_citation':{'file_id':'" file "','quote':'" quote "'}}"
#define PAGE(url, title)                                                                           \
	"{'type':'url_citation','start_index':0,'end_index':1,'url':'" url "','title':'" title "'" \
	"}"
#define TEXT(value, annotations)                                                                   \
	"{'type':'text','text':{'value':'" value "','annotations':[" annotations "]}}"

/* Parses JSON with single quotes. */
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

/* An Assistants API that has files. */
struct files {
	struct openai openai;
	int asked;
	char last[256]; /* the last path that was asked for */
	enum openai_failure failure;
	int status;
	const char *body; /* NULL: the file's name is "NAME of " and its path */
};

static void
call_files(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	struct files *files = (struct files *)openai;
	char name[300];

	assert_int_equal(call->operation, API_FILE_RETRIEVE);
	assert_null(call->body);
	assert_non_null(call->interrupt);
	files->asked++;
	snprintf(files->last, sizeof files->last, "/files/%s", call->ids[0]);
	snprintf(name, sizeof name, "NAME of /files/%s", call->ids[0]);
	answer->failure = files->failure;
	answer->status = files->status;
	answer->body = files->body ? parse(files->body) : json_object_new_object();
	if (!files->body)
		json_set_string(answer->body, "filename", name);
}

static struct files
new_files(int status)
{
	return (struct files){
	    .openai = {.place = "here", .logged_status = status, .call = call_files},
	    .status = status,
	};
}

struct message_row {
	const char *name, *content, *words;
	const char *footnotes; /* if the Assistants API has no names; "": none */
};

static void
find_names(struct files *files, struct json_object *list, const struct interrupt *client)
{
	struct names names;

	names_init(&names, &files->openai, client);
	names_find(&names, list);
	names_free(&names);
}

static void
check_message(const struct message_row *row)
{
	struct files files = new_files(404);
	struct buf footnotes = BUF_INIT(1 << 20);
	struct json_object *message;
	struct citations citations;
	char *text, *words;

	assert_true(asprintf(&text, "{'content':[%s]}", row->content) > 0);
	message = parse(text);
	citations_init(&citations);
	words = message_text(json_get_array(message, "content"), &citations);
	check_text(row->name, words, row->words);
	find_names(&files, citations.list, NULL);
	citations_print(citations.list, &footnotes);
	check_text(row->name, footnotes.data ? footnotes.data : "", row->footnotes);
	for (size_t i = 0; i < json_len(citations.list); i++)
		check_int(row->name, json_get_int(json_at(citations.list, i), "index", 0),
		    (long long)i + 1);
	citations_free(&citations);
	buf_free(&footnotes);
	json_object_put(message);
	free(words);
	free(text);
}

static void
test_message(void **state)
{
	static const struct message_row rows[] = {
	    {"nothing", "", "", ""},
	    {"no annotation", TEXT("Hello", ""), "Hello", ""},
	    {"parts", TEXT("a", "") "," TEXT("", "") "," TEXT("b", ""), "a\n\nb", ""},
	    {"refusal", "{'type':'refusal','refusal':'No.'}", "No.", ""},
	    {"image", "{'type':'image_file','image_file':{}}", "", ""},
	    {"no text", "{'type':'text','text':{'annotations':[" MARKS("a", "f") "]}}", "",
		"\n\n[1] f"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_message(&rows[i]);
}

static void
test_places(void **state)
{
	static const struct message_row rows[] = {
	    {"by offsets", TEXT("<1> <1>", AT("<1>", 4, 7, "a")), "<1> [1]", "\n\n[1] a"},
	    {"characters, not bytes", TEXT("ä€😀<1><1>", AT("<1>", 6, 9, "a")), "ä€😀<1>[1]",
		"\n\n[1] a"},
	    {"escaped characters", TEXT("\\ud83d\\ude00<1><1>", AT("<1>", 4, 7, "a")), "😀<1>[1]",
		"\n\n[1] a"},
	    {"CRLF is two characters", TEXT("a\\r\\n<1><1>", AT("<1>", 6, 9, "a")), "a\r\n<1>[1]",
		"\n\n[1] a"},
	    {"a marker of many bytes", TEXT("ä 【4:0†s】.", AT("【4:0†s】", 2, 9, "a")), "ä [1].",
		"\n\n[1] a"},
	    {"without offsets", TEXT("<1> <1>", MARKS("<1>", "a")), "[1] <1>", "\n\n[1] a"},
	    {"wrong offsets", TEXT("a <1> <1>", AT("<1>", 0, 3, "a")), "a [1] <1>", "\n\n[1] a"},
	    {"an end that is wrong", TEXT("a <1> b", AT("<1>", 2, 4, "a")), "a [1] b", "\n\n[1] a"},
	    {"bytes for offsets", TEXT("ä<1>", AT("<1>", 2, 5, "a")), "ä[1]", "\n\n[1] a"},
	    {"negative", TEXT("<1>", AT("<1>", -1, -4, "a")), "[1]", "\n\n[1] a"},
	    {"huge", TEXT("<1>", AT("<1>", 9223372036854775807, 18446744073709551615, "a")), "[1]",
		"\n\n[1] a"},
	    {"larger than any", TEXT("<1>", AT("<1>", 0, 1e300, "a")), "[1]", "\n\n[1] a"},
	    {"the wrong way round", TEXT("<1>", AT("<1>", 3, 0, "a")), "[1]", "\n\n[1] a"},
	    {"of wrong types", TEXT("<1>", AT("<1>", [], "0", "a")), "[1]", "\n\n[1] a"},
	    {"a marker that is missing", TEXT("a", AT("<1>", 0, 1, "a")), "a", "\n\n[1] a"},
	    {"an empty marker", TEXT("a", AT("", 0, 1, "a")), "a", "\n\n[1] a"},
	    {"an empty range", TEXT("a", AT("", 0, 0, "a")), "a", "\n\n[1] a"},
	    {"a range alone", TEXT("äbc", RANGE(1, 2, "a")), "ä[1]c", "\n\n[1] a"},
	    {"a range to the end", TEXT("abc", RANGE(2, 3, "a")), "ab[1]", "\n\n[1] a"},
	    {"the whole", TEXT("abc", RANGE(0, 3, "a")), "[1]", "\n\n[1] a"},
	    {"a range past the end", TEXT("abc", RANGE(2, 4, "a")), "abc", "\n\n[1] a"},
	    {"a range from before the start", TEXT("abc", RANGE(-1, 2, "a")), "abc", "\n\n[1] a"},
	    {"an empty range alone", TEXT("abc", RANGE(2, 2, "a")), "abc", "\n\n[1] a"},
	    {"a range in nothing", TEXT("", RANGE(0, 1, "a")), "", "\n\n[1] a"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_message(&rows[i]);
}

static void
test_many(void **state)
{
	static const struct message_row rows[] = {
	    {"in the annotations' order",
		TEXT("See <2> and <1>.", MARKS("<1>", "a") "," MARKS("<2>", "b")),
		"See [2] and [1].", "\n\n[1] a\n[2] b"},
	    {"the range before wins", TEXT("abcd", RANGE(1, 3, "a") "," RANGE(0, 2, "b")), "[2]cd",
		"\n\n[1] a\n[2] b"},
	    {"one within another", TEXT("abcd", RANGE(1, 2, "a") "," RANGE(0, 4, "b")), "[2]",
		"\n\n[1] a\n[2] b"},
	    {"the same range, two sources", TEXT("abcd", RANGE(1, 2, "a") "," RANGE(1, 3, "b")),
		"a[1]cd", "\n\n[1] a\n[2] b"},
	    {"the same range, one source", TEXT("abcd", RANGE(1, 2, "a") "," RANGE(1, 2, "a")),
		"a[1]cd", "\n\n[1] a"},
	    {"side by side", TEXT("abcd", RANGE(2, 3, "a") "," RANGE(1, 2, "b")), "a[2][1]d",
		"\n\n[1] a\n[2] b"},
	    {"three on one source",
		TEXT("<1> <2> <1>",
		    AT("<1>", 0, 3, "a") "," MARKS("<2>", "a") "," AT("<1>", 8, 11, "a")),
		"[1] [1] [1]", "\n\n[1] a"},
	    {"each takes the next occurrence",
		TEXT("<1> <1> <1>", MARKS("<1>", "a") "," MARKS("<1>", "b")), "[1] [2] <1>",
		"\n\n[1] a\n[2] b"},
	    {"what offsets lead to is taken",
		TEXT("<1> <1>", MARKS("<1>", "a") "," AT("<1>", 0, 3, "b")), "[2] [1]",
		"\n\n[1] a\n[2] b"},
	    {"a marker in what is taken",
		TEXT("aaaaa", RANGE(1, 3, "a") "," MARKS("aa", "b") "," MARKS("aa", "c")),
		"a[1][2]", "\n\n[1] a\n[2] b\n[3] c"},
	    {"an occurrence that is half taken",
		TEXT("abab", RANGE(1, 2, "a") "," MARKS("ab", "b")), "a[1][2]", "\n\n[1] a\n[2] b"},
	    {"markers that overlap", TEXT("abc", MARKS("bc", "a") "," MARKS("ab", "b")), "a[1]",
		"\n\n[1] a\n[2] b"},
	    {"a number that was put in is no marker",
		TEXT("x1", MARKS("x", "a") "," MARKS("1", "b")), "[1][2]", "\n\n[1] a\n[2] b"},
	    {"a bracket", TEXT("[", MARKS("[", "a") "," MARKS("[", "b") "," MARKS("1", "c")), "[1]",
		"\n\n[1] a\n[2] b\n[3] c"},
	    {"numbers count on, offsets do not",
		TEXT("<1>", AT("<1>", 0, 3, "a")) "," TEXT("<1>", AT("<1>", 0, 3, "b")) "," TEXT(
		    "<1>", AT("<1>", 0, 3, "a")),
		"[1]\n\n[2]\n\n[1]", "\n\n[1] a\n[2] b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_message(&rows[i]);
}

static void
test_sources(void **state)
{
	static const struct message_row rows[] = {
	    {"no sources",
		TEXT("a",
		    "5,{},[],null,'a',{'type':'file_citation','text':'a'},{'type':5,'text':'a'},"
		    "{'type':'file_citation','text':'a','file_citation':{'file_id':7}},"
		    "{'type':'file_citation','text':'a','file_citation':{'file_id':' '}},"
		    "{'type':'text','text':'a'}"),
		"a", ""},
	    {"a quote", TEXT("a", QUOTE("q", "f")), "a", "\n\n[1] f: q"},
	    {"quotes", TEXT("a", QUOTE("q", "f") "," QUOTE("r", "f") "," QUOTE("q", "f")), "a",
		"\n\n[1] f: q\n[2] f: r"},
	    {"forged lines", TEXT("a", QUOTE("q\\n[2] x\\u2028y\\r\\u0085z\\u001b", "f\\n[3]")),
		"a", "\n\n[1] f [3]: q [2] x y  z "},
	    {"turned lines", TEXT("a", QUOTE("\\u202eq\\u2066r", "f")), "a", "\n\n[1] f:  q r"},
	    {"a file as in the Responses API",
		TEXT("a", "{'type':'file_citation','file_id':'f','index':0,'filename':'t.txt'}"),
		"a", "\n\n[1] t.txt"},
	    {"a name that comes later",
		TEXT("a", MARKS("x", "f") ",{'file_id':'f','filename':'t.txt'}"), "a",
		"\n\n[1] t.txt"},
	    {"a name that another quote has",
		TEXT("a", QUOTE("q", "f") ",{'file_id':'f','filename':'t.txt'}"), "a",
		"\n\n[1] t.txt: q\n[2] t.txt"},
	    {"a page", TEXT("abc", PAGE("https://a.test/b?c#d", "T\\n[2]")), "[1]bc",
		"\n\n[1] T [2] https://a.test/b?c#d"},
	    {"a page without a title", TEXT("abc", PAGE("http://a.test/", "")), "[1]bc",
		"\n\n[1] http://a.test/"},
	    {"a page within the annotation",
		TEXT("abc",
		    "{'type':'url_citation','url_citation':{'start_index':1,'end_index':2,"
		    "'url':'http://a.test/','title':'T'}}"),
		"a[1]c", "\n\n[1] T http://a.test/"},
	    {"other URLs are not shown",
		TEXT("abc",
		    PAGE("javascript:alert(1)", "T") "," PAGE("data:text/html,x", "") "," PAGE(
			"http://a.test/\\nb", "") "," PAGE("http://a.test/\\u2028b",
			"") "," PAGE("http://user@a.test/", "") "," PAGE("/b", "")),
		"[1]bc", "\n\n[1] T"},
	    {"a file and a page of one name",
		TEXT("a", MARKS("a", "http://a.test/") "," PAGE("http://a.test/", "")), "[2]",
		"\n\n[1] http://a.test/\n[2] http://a.test/"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_message(&rows[i]);
}

/* --- names --- */

static struct json_object *
cited_files(size_t files, const char *prefix, bool numbered)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < files; i++) {
		struct json_object *citation = json_object_new_object();
		char file[300];

		snprintf(file, sizeof file, "%s", prefix);
		if (numbered)
			snprintf(file, sizeof file, "%s%zu", prefix, i);
		json_set_string(citation, "file_id", file);
		json_set_string(citation, "name", NULL);
		json_add(list, citation);
	}
	return list;
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		int status;
		enum openai_failure failure;
		const char *body, *file;
		bool numbered;
		int files, asked;
		const char *first; /* the first one's name */
	} rows[] = {
	    {"known", 200, OPENAI_ANSWERED, NULL, "file_", true, 3, 3, "NAME of /files/file_0"},
	    {"one often", 200, OPENAI_ANSWERED, NULL, "file_x", false, 9, 1,
		"NAME of /files/file_x"},
	    {"too many", 200, OPENAI_ANSWERED, NULL, "file_", true, 30, 20,
		"NAME of /files/file_0"},
	    {"no id", 200, OPENAI_ANSWERED, NULL, "../assistants?a=", true, 3, 0,
		"../assistants?a=0"},
	    {"unknown", 404, OPENAI_ANSWERED, "{}", "file_", true, 3, 3, "file_0"},
	    {"unknown, often", 404, OPENAI_ANSWERED, "{}", "file_x", false, 3, 1, "file_x"},
	    {"bad ids", 400, OPENAI_ANSWERED, "{}", "file_", true, 3, 3, "file_0"},
	    {"failed", 500, OPENAI_ANSWERED, "{}", "file_", true, 3, 1, "file_0"},
	    {"unreachable", 0, OPENAI_UNREACHABLE, "{}", "file_", true, 3, 1, "file_0"},
	    {"silent", 0, OPENAI_SILENT, "{}", "file_", true, 3, 1, "file_0"},
	    {"no name", 200, OPENAI_ANSWERED, "{'filename':5}", "file_", true, 3, 3, "file_0"},
	    {"a blank name", 200, OPENAI_ANSWERED, "{'filename':' '}", "file_", true, 1, 1,
		"file_0"},
	    {"a list", 200, OPENAI_ANSWERED, "[]", "file_", true, 1, 1, "file_0"},
	    {"a forged line", 200, OPENAI_ANSWERED, "{'filename':'a\\n[2] b'}", "file_", true, 1, 1,
		"a [2] b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct files files = new_files(rows[i].status);
		struct json_object *list =
		    cited_files((size_t)rows[i].files, rows[i].file, rows[i].numbered);

		files.failure = rows[i].failure;
		files.body = rows[i].body;
		find_names(&files, list, NULL);
		check_int(rows[i].name, files.asked, rows[i].asked);
		check_text(rows[i].name, json_get_string(json_at(list, 0), "name"), rows[i].first);
		for (size_t c = 0; c < json_len(list); c++)
			assert_non_null(json_get_string(json_at(list, c), "name"));
		json_object_put(list);
	}
}

/* A name is cut between characters, because it may be shown for each of many quotes. */
static void
test_long_name(void **state)
{
	struct files files = new_files(200);
	struct json_object *list = cited_files(1, "file_", true);
	struct buf body = BUF_INIT(2000);
	const char *name;

	(void)state;
	buf_puts(&body, "{'filename':'x");
	for (size_t i = 0; i < 600; i++)
		buf_puts(&body, "ä");
	buf_puts(&body, "'}");
	files.body = body.data;
	find_names(&files, list, NULL);
	name = json_get_string(json_at(list, 0), "name");
	assert_int_equal(strlen(name), 511);
	assert_string_equal(name + 509, "ä");
	buf_free(&body);
	json_object_put(list);
}

static bool
gone(void *arg)
{
	(void)arg;
	return true;
}

static void
test_names_of_nobody(void **state)
{
	struct files files = new_files(200);
	struct json_object *list = cited_files(1, "file_", true);
	const struct interrupt client = {.fd = -1, .raised = gone};

	(void)state;
	find_names(&files, list, &client);
	assert_int_equal(files.asked, 0);
	check_text("the client has gone", json_get_string(json_at(list, 0), "name"), "file_0");
	json_object_put(list);
}

/* --- hostile sizes --- */

enum { WORDS_LEN = 1 << 20, ANNOTATIONS = 30000, PATIENCE_MS = 10000 };

static struct json_object *
annotation_of(const char *marker, long long start, long long end, int file)
{
	struct json_object *annotation = json_object_new_object();
	char id[32];

	snprintf(id, sizeof id, "file_%d", file);
	json_set_string(annotation, "type", "file_citation");
	json_set_string(annotation, "file_id", id);
	json_set_string(annotation, "text", marker);
	json_set_int(annotation, "start_index", start);
	json_set_int(annotation, "end_index", end);
	return annotation;
}

/* Each of these takes long, or endless memory, if an annotation costs a pass over the text. */
static struct json_object *
hostile_annotation(const char *kind, int i)
{
	char marker[300];

	memset(marker, 'a', sizeof marker);
	snprintf(marker + 250, sizeof marker - 250, "%d", i);
	if (strcmp(kind, "missing") == 0)
		return annotation_of(marker, -1, -1, i);
	if (strcmp(kind, "same") == 0)
		return annotation_of("a", -1, -1, 1);
	if (strcmp(kind, "taken") == 0 && i > 0) {
		marker[1 + i % 200] = '\0';
		return annotation_of(marker, -1, -1, i);
	}
	/* Each is within the one before. */
	return annotation_of(NULL, i, WORDS_LEN - i, i);
}

/* Processor time in milliseconds, so that other programs do not count. */
static long long
worked_ms(void)
{
	struct timespec worked;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &worked);
	return worked.tv_sec * 1000LL + worked.tv_nsec / 1000000;
}

static void
test_hostile(void **state)
{
	static const struct {
		const char *kind;
		size_t len;
	} rows[] = {
	    {"missing", WORDS_LEN},
	    {"same", WORDS_LEN + 2 * ANNOTATIONS},
	    {"taken", 3},
	    {"nested", 3},
	};
	char *words = malloc(WORDS_LEN + 1);

	(void)state;
	assert_non_null(words);
	memset(words, 'a', WORDS_LEN);
	words[WORDS_LEN] = '\0';
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *annotations = json_object_new_array();
		struct citations citations;
		long long start;
		char *marked;

		for (int a = 0; a < ANNOTATIONS; a++)
			json_add(annotations, hostile_annotation(rows[i].kind, a));
		citations_init(&citations);
		start = worked_ms();
		marked = citations_mark(&citations, words, annotations);
		assert_true(worked_ms() - start < PATIENCE_MS);
		check_int(rows[i].kind, (long long)strlen(marked), (long long)rows[i].len);
		free(marked);
		citations_free(&citations);
		json_object_put(annotations);
	}
	free(words);
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
		char *words = message_text_of_request(&request, &problem, &status);

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
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_long_name),
	    cmocka_unit_test(test_names_of_nobody),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
