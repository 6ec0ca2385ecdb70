/* JSON from outside: what is accepted and what is not, and getters with a type. */
#include "support.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text/json.h"

static const struct {
	const char *text;
	const char *again; /* as it is printed again; NULL: not JSON */
} texts[] = {
    {"{}", "{}"},
    {"[]", "[]"},
    {" \t\r\n{ \"a\" : [ 1 , true , null ] } \t\r\n", "{\"a\":[1,true,null]}"},
    {"null", "null"},
    {"true", "true"},
    {"false \n", "false"},
    {"0", "0"},
    {"-1", "-1"},
    {"12 ", "12"},
    {"1.5", "1.5"},
    {"1e2", "1e2"},
    {"-0.5E-1", "-0.5E-1"},
    {"\"\"", "\"\""},
    {"\"a/b\"", "\"a/b\""},
    {"\"\\u00e9\\n\\\"\"", "\"\xc3\xa9\\n\\\"\""},
    {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
    {"\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
    {"9223372036854775807", "9223372036854775807"},
    {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
    {"", NULL},
    {" ", NULL},
    {"{", NULL},
    {"[1", NULL},
    {"[1,]", NULL},
    {"[1, ]", NULL},
    {"nan", NULL},
    {"[nan]", NULL},
    {"[NaN]", NULL},
    {"Infinity", NULL},
    {"True", NULL},
    {"[1/* */]", NULL},
    {"{'a':1}", NULL},
    {"\"\t\"", NULL},
    {"{\"a\":1,}", NULL},
    {"{\"a\"}", NULL},
    {"{a:1}", NULL},
    {"'a'", NULL},
    {"\"a", NULL},
    {"\"\\", NULL},
    {"\"\\x\"", NULL},
    {"\"\\u12\"", NULL},
    {"{} {}", NULL},
    {"{}x", NULL},
    {"{}]", NULL},
    {"1 2", NULL},
    {"nul", NULL},
    {"nullx", NULL},
    {"True", NULL},
    {"1.", NULL},
    {"1.e5", NULL},
    {"-01", NULL},
    {"00", NULL},
    {"{'a':1}", NULL},
    {"\"a\nb\"", NULL},
    {"NaN", NULL},
    {"[Infinity]", NULL},
    {"{\"a\":{\"b\":[-Infinity]}}", NULL},
    {"1e999", NULL},
    {"-", NULL},
    {"+1", NULL},
    {".5", NULL},
    {"01", NULL},
    {"1e", NULL},
    {"0x10", NULL},
    {"// c\n{}", NULL},
    {"{} /* c */", NULL},
    {"\"\xff\"", NULL},
    {"\"\xed\xa0\x80\"", NULL},
    {"{}\xc3", NULL},
    {"\xef\xbb\xbf{}", NULL},
};

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct json_object *value = (struct json_object *)1;
		int result = json_parse(texts[i].text, strlen(texts[i].text), &value);

		check_int(texts[i].text, result, texts[i].again ? 0 : -1);
		if (texts[i].again)
			check_text(texts[i].text, json_text(value), texts[i].again);
		else
			assert_null(value);
		json_object_put(value);
	}
}

/* The length counts, not a NUL, nor what follows. */
static void
test_parse_len(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		int result;
	} rows[] = {
	    {"{}x", 2, 0},
	    {"123", 2, 0},
	    {"{}", 1, -1},
	    {"{}", 0, -1},
	    {"{}\0", 3, -1},
	    {"1\0", 2, -1},
	    {"\0{}", 3, -1},
	    {"{\"a\":\0 1}", 9, -1},
	    {"\"a\0b\"", 5, -1},
	    {"null\0", 5, -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *value;
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		check_int(row, json_parse(rows[i].text, rows[i].len, &value), rows[i].result);
		json_object_put(value);
	}
}

/* A few bytes of text must not become gigabytes. */
static void
test_parse_size(void **state)
{
	static const struct {
		const char *value;
		size_t count;
		int result;
	} rows[] = {
	    {"{}", 60000, 0},
	    {"{}", 70000, -1},
	    {"[]", 60000, 0},
	    {"[]", 70000, -1},
	    {"1", 1000000, 0},
	    {"1", 1100000, -1},
	    {"\"\"", 1000000, 0},
	    {"\"\"", 1100000, -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf text = BUF_INIT(8 << 20);
		struct json_object *value;

		buf_puts(&text, "[");
		for (size_t n = 0; n < rows[i].count; n++) {
			buf_puts(&text, n ? "," : "");
			buf_puts(&text, rows[i].value);
		}
		buf_puts(&text, "]");
		check_int(rows[i].value, json_parse(text.data, text.len, &value), rows[i].result);
		json_object_put(value);
		buf_free(&text);
	}
}

static bool
hold(void *arg, size_t bytes)
{
	size_t *most = arg;
	bool room = bytes <= *most;

	*most = bytes;
	return room;
}

static void
test_parse_within(void **state)
{
	static const struct {
		const char *text;
		size_t values, memory;
		enum json_result result;
	} rows[] = {
	    {"1", 1, 0, JSON_PARSED},
	    {"{}", 1, 1024, JSON_PARSED},
	    {"{}", 0, 1024, JSON_BAD},
	    {"{}", 1, 1023, JSON_NO_MEMORY},
	    {"{}x", 1, 0, JSON_BAD},
	    {"[1,2]", 3, 2000, JSON_PARSED},
	    {"[1,2]", 2, 2000, JSON_BAD},
	    {"{\"a\":1,\"b\":[{}]}", 4, 9999, JSON_PARSED},
	    {"{\"a\":1,\"b\":[{}]}", 3, 9999, JSON_BAD},
	    {"{\"a:[1,2]\\\"\":\"{,}\", \"b\" : null}", 3, 9999, JSON_PARSED},
	    {"{\"a:[1,2]\\\"\":\"{,}\", \"b\" : null}", 2, 9999, JSON_BAD},
	    {"[ true , -1e5 , \"\" ]", 4, 9999, JSON_PARSED},
	    {"[ true , -1e5 , \"\" ]", 3, 9999, JSON_BAD},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t memory = rows[i].memory;
		const struct json_bounds bounds = {rows[i].values, hold, &memory};
		struct json_object *value;

		check_int(rows[i].text,
		    json_parse_within(rows[i].text, strlen(rows[i].text), &bounds, &value),
		    rows[i].result);
		check_int(rows[i].text, value != NULL, rows[i].result == JSON_PARSED);
		json_object_put(value);
	}
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
static const struct json_bounds all = {.values = SIZE_MAX};

/* Of this process, in bytes. */
static size_t
address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_true(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}
#endif

/* Out of memory, which is not the text's fault. */
static void
test_parse_without_memory(void **state)
{
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	enum { VALUES = 500000, LEFT = 8 << 20 };
	struct buf text = BUF_INIT(4 * VALUES);
	struct json_object *value;
	struct rlimit limit;
	int status;

	for (int i = 0; i < VALUES; i++)
		buf_puts(&text, i ? ",1" : "[1");
	buf_puts(&text, "]");
	if (fork() == 0) {
		getrlimit(RLIMIT_AS, &limit);
		limit.rlim_cur = address_space() + LEFT;
		setrlimit(RLIMIT_AS, &limit);
		_exit(json_parse_within(text.data, text.len, &all, &value));
	}
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), JSON_NO_MEMORY);
	assert_int_equal(json_parse_within(text.data, text.len, &all, &value), JSON_PARSED);
	json_object_put(value);
	buf_free(&text);
#endif
	(void)state;
}

static void
test_parse_foreign(void **state)
{
	static const struct {
		const char *text, *again; /* NULL: it is refused */
	} rows[] = {
	    {"\"a\"", "\"a\""},
	    {"\"\"", "\"\""},
	    {"\"\\u0000\"", "\"\xef\xbf\xbd\""},
	    {"\"a\\u0000\\u0000b\"",
		"\"a\xef\xbf\xbd\xef\xbf\xbd"
		"b\""},
	    {"\"\\u0000a\"",
		"\"\xef\xbf\xbd"
		"a\""},
	    {"\"\\\\u0000\"", "\"\\\\u0000\""},
	    {"{\"a\":[{\"b\":\"\\u0000\"},7,null]}", "{\"a\":[{\"b\":\"\xef\xbf\xbd\"},7,null]}"},
	    {"null", "null"},
	    {"{", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *value;

		check_int(rows[i].text,
		    json_parse_foreign(rows[i].text, strlen(rows[i].text), &value),
		    rows[i].again ? 0 : -1);
		if (rows[i].again)
			check_text(rows[i].text, json_text(value), rows[i].again);
		json_object_put(value);
	}
}

static void
test_parse_depth(void **state)
{
	static const struct {
		size_t depth;
		int result;
	} rows[] = {{1, 0}, {60, 0}, {66, -1}, {100000, -1}};
	static char text[200001];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *value;

		memset(text, '[', rows[i].depth);
		memset(text + rows[i].depth, ']', rows[i].depth);
		assert_int_equal(json_parse(text, 2 * rows[i].depth, &value), rows[i].result);
		json_object_put(value);
		/* Never closed. */
		assert_int_equal(json_parse(text, rows[i].depth, &value), -1);
	}
}

static void
test_get(void **state)
{
	static const char text[] =
	    "{\"o\":{\"x\":1},\"a\":[1,\"two\"],\"s\":\"text\",\"i\":42,\"n\":null,"
	    "\"f\":1.5,\"b\":true,\"is\":\"7\",\"big\":-9223372036854775808}";
	static const char *const keys[] = {"o", "a", "s", "i", "n", "f", "b", "is", "big", "none"};
	struct json_object *object;

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &object), 0);
	for (size_t i = 0; i < COUNT(keys); i++) {
		const char *key = keys[i];
		const char *string = strcmp(key, "s") == 0 ? "text"
		    : strcmp(key, "is") == 0               ? "7"
							   : NULL;
		long long number = strcmp(key, "i") == 0 ? 42
		    : strcmp(key, "big") == 0            ? INT64_MIN
							 : -7;
		bool there = strcmp(key, "n") != 0 && strcmp(key, "none") != 0;

		check_int(key, json_get(object, key) != NULL, there);
		check_int(key, json_get_object(object, key) != NULL, strcmp(key, "o") == 0);
		check_int(key, json_get_array(object, key) != NULL, strcmp(key, "a") == 0);
		check_text(key, json_get_string(object, key), string);
		check_int(key, json_get_int(object, key, -7), number);
		/* From something that is no object, and from nothing. */
		assert_null(json_get(json_get(object, "a"), key));
		assert_null(json_get(json_get(object, "s"), key));
		assert_null(json_get(NULL, key));
		assert_null(json_get_string(NULL, key));
		check_int(key, json_get_int(NULL, key, 3), 3);
	}
	assert_int_equal(json_len(json_get(object, "a")), 2);
	assert_string_equal(json_object_get_string(json_at(json_get(object, "a"), 1)), "two");
	assert_null(json_at(json_get(object, "a"), 2));
	assert_null(json_at(json_get(object, "o"), 0));
	assert_null(json_at(NULL, 0));
	assert_int_equal(json_len(json_get(object, "o")), 0);
	assert_int_equal(json_len(json_get(object, "s")), 0);
	assert_int_equal(json_len(NULL), 0);
	json_object_put(object);
}

/* Each text's "key", followed by "a"; NULL: missing; all NULL: no object. */
static void
test_peek(void **state)
{
	static const char *const keys[] = {"key", "a", NULL};
	static const struct {
		const char *text;
		bool is_object;
		const char *key, *a;
	} rows[] = {
	    {"{\"key\": \"x\"}", true, "\"x\"", NULL},
	    {" { \"a\" : {\"key\": 2, \"b\": [\"]}\"]} , \"key\" : [1, {\"x\": 3}] } ", true,
		"[1, {\"x\": 3}]", "{\"key\": 2, \"b\": [\"]}\"]}"},
	    {"{\"a\":\"\\\"key\\\":1,\",\"key\":\"\\u00e9\\n\"}", true, "\"\\u00e9\\n\"",
		"\"\\\"key\\\":1,\""},
	    {"{\"a\":null,\"key\":true}", true, "true", "null"},
	    {"{\"key\":1,\"key\":-2.5}", true, "-2.5", NULL},
	    {"{\"key\":1e3}", false, NULL, NULL},
	    {"{\"\\u0061\":1}", false, NULL, NULL},
	    {"{\"keys\":1,\"ke\":2,\"b\":\"key\"}", true, NULL, NULL},
	    {"{\"b\":{\"key\":1},\"c\":[],\"d\":{}}", true, NULL, NULL},
	    {"{\"key\":1 x", false, NULL, NULL},
	    {"{\"key\":1,x", false, NULL, NULL},
	    {"{\"key\":1,}", false, NULL, NULL},
	    {"{\"key\":1}}", false, NULL, NULL},
	    {"{\"key\":01}", false, NULL, NULL},
	    {"{\"key\":tru}", false, NULL, NULL},
	    {"{\"key\":\"\\q\"}", false, NULL, NULL},
	    {"{\"key\":\"\\u12x4\"}", false, NULL, NULL},
	    {"{\"key\":\"x", false, NULL, NULL},
	    {"{\"key\":}", false, NULL, NULL},
	    {"{\"key\":\"\xff\"}", false, NULL, NULL},
	    {"{\"key\"", false, NULL, NULL},
	    {"{\"key\":", false, NULL, NULL},
	    {"{\"a\":1", false, NULL, NULL},
	    {"{\"a\":[", false, NULL, NULL},
	    {"{\"a\":[1}", false, NULL, NULL},
	    {"{\"a\" 1}", false, NULL, NULL},
	    {"{\"k", false, NULL, NULL},
	    {"{", false, NULL, NULL},
	    {"[\"key\",1]", false, NULL, NULL},
	    {"\"key\"", false, NULL, NULL},
	    {"", false, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t len = strlen(rows[i].text);
		/* Without a NUL after it, so that reading too far is detected. */
		char *text = malloc(len + !len);
		struct json_raw values[2];

		memcpy(text, rows[i].text, len);
		check_int(rows[i].text, json_peek(text, len, keys, values), rows[i].is_object);
		for (int k = 0; rows[i].is_object && k < 2; k++) {
			const char *expected = k ? rows[i].a : rows[i].key;

			check_int(rows[i].text, values[k].at != NULL, expected != NULL);
			if (expected) {
				check_int(rows[i].text, (long long)values[k].len,
				    (long long)strlen(expected));
				assert_memory_equal(values[k].at, expected, values[k].len);
			}
		}
		free(text);
	}
}

static void
test_raw(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
	    {"\"plain\"", "\"plain\""},
	    {"\"\"", "\"\""},
	    {"\"\\u00e9\\n\"", "\"\xc3\xa9\\n\""},
	    {"\"a\\u0000b\"",
		"\"a\xef\xbf\xbd"
		"b\""},
	    {"-12", "-12"},
	    {"[1]", "[1]"},
	    {"null", "null"},
	    {"", "null"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *value =
		    json_raw_parse((struct json_raw){rows[i].text, strlen(rows[i].text)});

		check_text(rows[i].text, json_text(value), rows[i].value);
		json_object_put(value);
	}
	assert_null(json_raw_parse((struct json_raw){0}));
}

static void
test_set(void **state)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();

	(void)state;
	json_set_string(object, "s", "a \"quote\"/\n\xc3\xa9");
	json_set_string(object, "none", NULL);
	json_set_int(object, "i", INT64_MAX);
	json_set(object, "i", json_object_new_int64(5));
	json_add(array, json_object_new_string("x"));
	json_add(array, NULL);
	json_set(object, "a", array);
	assert_string_equal(json_text(object),
	    "{\"s\":\"a \\\"quote\\\"/\\n\xc3\xa9\",\"none\":null,\"i\":5,\"a\":[\"x\",null]}");
	assert_string_equal(json_text(NULL), "null");
	json_object_put(object);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_len),
	    cmocka_unit_test(test_parse_depth),
	    cmocka_unit_test(test_parse_size),
	    cmocka_unit_test(test_parse_within),
	    cmocka_unit_test(test_parse_without_memory),
	    cmocka_unit_test(test_parse_foreign),
	    cmocka_unit_test(test_peek),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_get),
	    cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
