/* A model's arguments, checked against a function's parameters. */
#include "support.h"

#include "gateway/tool_arguments.h"
#include "text/json.h"

#define TWO_NUMBERS                                                                                \
	"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":"        \
	"\"number\"}},\"required\":[\"a\",\"b\"]}"
#define ONE(type) "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":" type "}}}"

static void
test_rows(void **state)
{
	static const struct {
		const char *parameters, *arguments;
		const char *error; /* NULL: they fit */
	} rows[] = {
	    {TWO_NUMBERS, "{\"a\":1,\"b\":2.5}", NULL},
	    {TWO_NUMBERS, "{\"a\":1,\"b\":-2e9,\"c\":\"more\"}", NULL},
	    {TWO_NUMBERS, "{\"a\":\"x\",\"b\":1}", "\"a\" must be of type number"},
	    {TWO_NUMBERS, "{\"a\":null,\"b\":1}", "\"a\" must be of type number"},
	    {TWO_NUMBERS, "{\"a\":1}", "\"b\" is missing"},
	    {TWO_NUMBERS, "{}", "\"a\" is missing"},
	    {TWO_NUMBERS, "[1,2]", "the arguments must be of type object"},
	    {ONE("\"string\""), "{\"x\":\"1\"}", NULL},
	    {ONE("\"string\""), "{\"x\":1}", "\"x\" must be of type string"},
	    {ONE("\"integer\""), "{\"x\":1}", NULL},
	    {ONE("\"integer\""), "{\"x\":1.0}", NULL},
	    {ONE("\"integer\""), "{\"x\":1.5}", "\"x\" must be of type integer"},
	    {ONE("\"integer\""), "{\"x\":1e300}", NULL},
	    {ONE("\"boolean\""), "{\"x\":true}", NULL},
	    {ONE("\"boolean\""), "{\"x\":\"true\"}", "\"x\" must be of type boolean"},
	    {ONE("\"null\""), "{\"x\":null}", NULL},
	    {ONE("\"array\""), "{\"x\":[]}", NULL},
	    {ONE("\"array\""), "{\"x\":{}}", "\"x\" must be of type array"},
	    {ONE("\"object\""), "{\"x\":[]}", "\"x\" must be of type object"},
	    {ONE("[\"string\",\"null\"]"), "{\"x\":null}", NULL},
	    {ONE("[\"string\",\"null\"]"), "{\"x\":1}",
		"\"x\" must be of type [\"string\",\"null\"]"},
	    /* deeper */
	    {"{\"properties\":{\"p\":{\"properties\":{\"q\":{\"type\":\"string\"}},"
	     "\"required\":[\"q\"]}}}",
		"{\"p\":{}}", "\"p.q\" is missing"},
	    {"{\"properties\":{\"p\":{\"properties\":{\"q\":{\"type\":\"string\"}}}}}",
		"{\"p\":{\"q\":1}}", "\"p.q\" must be of type string"},
	    {"{\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}}}",
		"{\"l\":[1,2,\"3\"]}", "\"l.[]\" must be of type number"},
	    /* a schema without content, or nonsense */
	    {"{}", "{\"a\":1}", NULL},
	    {"{\"type\":5}", "{\"a\":1}", NULL},
	    {"{\"type\":[5]}", "{\"a\":1}", "the arguments must be of type [5]"},
	    {ONE("[\"string\",null]"), "{\"x\":1}", "\"x\" must be of type [\"string\",null]"},
	    {ONE("[\"string\",null]"), "{\"x\":null}", NULL},
	    {"{\"required\":[5,null]}", "{\"a\":1}", NULL},
	    {"{\"properties\":[],\"items\":7}", "{\"a\":[1]}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char error[ERROR_SIZE] = "";
		struct json_object *parameters, *arguments;

		assert_int_equal(
		    json_parse(rows[i].parameters, strlen(rows[i].parameters), &parameters), 0);
		assert_int_equal(
		    json_parse(rows[i].arguments, strlen(rows[i].arguments), &arguments), 0);
		check_int(rows[i].arguments, arguments_fit(parameters, arguments, error),
		    rows[i].error == NULL);
		check_text(rows[i].arguments, error, rows[i].error ? rows[i].error : "");
		json_object_put(parameters);
		json_object_put(arguments);
	}
}

/* What the model invented is cut between characters, and never too long. */
static void
test_long_names(void **state)
{
	struct json_object *parameters = json_object_new_object(), *inner = NULL;
	struct json_object *properties = json_object_new_object(), *arguments;
	char error[ERROR_SIZE], name[1001];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof name; i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	name[sizeof name - 1] = '\0';
	json_parse("{\"type\":\"null\"}", 15, &inner);
	json_set(properties, name, inner);
	json_set(parameters, "properties", properties);
	arguments = json_object_new_object();
	json_set_int(arguments, name, 1);
	assert_false(arguments_fit(parameters, arguments, error));
	assert_non_null(strstr(error, "must be of type null"));
	json_object_put(parameters);
	json_object_put(arguments);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
