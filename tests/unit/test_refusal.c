/* What is understood of the many forms in which model servers refuse. */
#include "support.h"

#include "model/refusal.h"
#include "text/json.h"

static const struct {
	long status;
	const char *body; /* JSON with single quotes, or text */
	enum refusal_kind kind;
	const char *words;
} rows[] = {
    {400, "{'error': {'message': 'oh'}}", REFUSAL_FORM, "oh"},
    {400, "{'error': 'oh'}", REFUSAL_FORM, "oh"},
    {400, "[{'error': {'code': 400, 'message': 'oh'}}]", REFUSAL_FORM, "oh"},
    {422, "{'detail': [{'loc': ['body', 'messages', 0], 'msg': 'oh'}]}", REFUSAL_FORM,
	"body.messages.0: oh"},
    {401, "{'detail': 'oh'}", REFUSAL_OTHER, "oh"},
    {400, "{'object': 'error', 'message': 'oh'}", REFUSAL_FORM, "oh"},
    {400, "{'error': {'message': 'Provider', 'metadata': {'raw': 'oh'}}}", REFUSAL_FORM,
	"Provider: oh"},
    {500, "<html><h1>oh</h1>\n<p>no</p></html>", REFUSAL_OTHER, "oh no"},
    {500, "", REFUSAL_OTHER, "it gave no reason"},
    {500, "{}", REFUSAL_OTHER, "it gave no reason"},
    {429, "{'error': {'message': 'oh'}}", REFUSAL_BUSY, "oh"},
    {503, "", REFUSAL_BUSY, "it gave no reason"},
    {529, "{'error': {'type': 'overloaded_error'}}", REFUSAL_BUSY, "overloaded_error"},
    {0, "{'error': {'code': 'rate_limit_exceeded', 'message': 'oh'}}", REFUSAL_BUSY, "oh"},
    {429, "{'error': {'message': 'oh', 'code': 'insufficient_quota'}}", REFUSAL_QUOTA, "oh"},
    {429, "{'error': {'message': 'oh', 'type': 'insufficient_quota'}}", REFUSAL_QUOTA, "oh"},
    {402, "{'error': {'message': 'Insufficient Balance'}}", REFUSAL_QUOTA, "Insufficient Balance"},
    {400, "{'error': {'message': 'maximum context length'}}", REFUSAL_TOO_LONG,
	"maximum context length"},
    {413, "", REFUSAL_TOO_LONG, "it gave no reason"},
    {404, "{'error': {'code': 'model_not_found', 'message': 'oh'}}", REFUSAL_MODEL, "oh"},
    {404, "{'error': {'message': 'model \\'m\\' not found'}}", REFUSAL_MODEL, "model"},
    {400, "{'error': {'message': 'Model Not Exist'}}", REFUSAL_MODEL, "Model Not Exist"},
    {400, "{'error': {'message': 'tools are not supported by this model'}}", REFUSAL_FORM, "tools"},
    {404, "{'detail': 'Not Found'}", REFUSAL_PATH, "Not Found"},
    {404, "<h1>model</h1>", REFUSAL_PATH, "model"},
    {405, "", REFUSAL_PATH, "it gave no reason"},
    {307, "", REFUSAL_PATH, "it gave no reason"},
    {400, "{'error': 'Unexpected endpoint'}", REFUSAL_PATH, "Unexpected endpoint"},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = strdup(rows[i].body);
		struct json_object *body = NULL;
		struct refusal refusal;

		assert_non_null(text);
		for (char *at = text; *text != '<' && *at; at++)
			if (*at == '\'' && (at == text || at[-1] != '\\'))
				*at = '"';
		for (char *at = text; (at = strstr(at, "\\'"));)
			memmove(at, at + 1, strlen(at));
		if (json_parse_foreign(text, strlen(text), &body) < 0)
			body = NULL;
		refusal_read(&refusal, rows[i].status, body, text);
		check_int(rows[i].body, refusal.kind, rows[i].kind);
		check_has(rows[i].body, refusal.words, rows[i].words);
		refusal_free(&refusal);
		json_object_put(body);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
