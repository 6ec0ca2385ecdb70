/* Which API a model server is asked by if none is configured, and what is remembered. */
#include "model_rows.h"

#define NOT_FOUND ERROR("404", "{\"detail\":\"Not Found\"}")
#define CHAT STREAM DATA("{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}") DATA("[DONE]")
#define RESPONSES                                                                                  \
	STREAM DATA("{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}")                   \
	    DATA("{\"type\":\"response.completed\",\"response\":{}}")
#define SAID "M D:a W[a] "
#define NO_MODEL "{\"error\":{\"message\":\"oh\",\"code\":\"model_not_found\"}}"

static bool remembers;
static unsigned recalled, kept;

static unsigned
recall(void *arg, const char *name)
{
	(void)arg;
	/* The needs of its models are tested elsewhere. */
	if (*name)
		return 0;
	recalled++;
	return remembers ? NEED_CHAT : 0;
}

static void
keep(void *arg, const char *name, unsigned needs)
{
	(void)arg;
	kept += !*name && needs == NEED_CHAT;
}

static struct model *
new_model(struct http_client *client, const struct model_server *server)
{
	const struct model_memory memory = {.recall = recall, .keep = keep};
	struct model_server remembering = *server;

	remembering.memory = &memory;
	return model_auto_new(client, &remembering);
}

static const struct row {
	struct model_row row;
	bool remembers;
	unsigned kept;
} rows[] = {
    {{"Responses", {RESPONSES}, .heard = SAID SAID, .asks = 2, .requests = 2,
	 .sent = "POST /responses"},
	.kept = 0},
    {{"Responses, and then no more", {RESPONSES, NOT_FOUND, CHAT}, .heard = SAID SAID, .asks = 2,
	 .requests = 3, .sent = "POST /chat/completions"},
	.kept = 1},
    {{"404", {NOT_FOUND, CHAT}, .heard = SAID SAID, .asks = 2, .requests = 3,
	 .sent = "POST /chat/completions"},
	.kept = 1},
    {{"404 by nginx", {"HTTP/1.1 404 No\r\nContent-Type: text/html\r\n\r\n<h1>model</h1>", CHAT},
	 .heard = SAID, .requests = 2},
	.kept = 1},
    {{"405", {ERROR("405", "{}"), CHAT}, .heard = SAID, .requests = 2}, .kept = 1},
    {{"501", {ERROR("501", "{}"), CHAT}, .heard = SAID, .requests = 2}, .kept = 1},
    {{"500", {ERROR("500", "{}"), CHAT}, .heard = "", .outcome = MODEL_FAILED, .error = "500"},
	.kept = 0},
    {{"200 with an error", {JSON("{\"error\":\"Unexpected endpoint or method.\"}"), CHAT},
	 .heard = SAID SAID, .asks = 2, .requests = 3, .sent = "POST /chat/completions"},
	.kept = 1},
    {{"200 with a page", {OK "Content-Type: text/html\r\n\r\n<h1>Hello</h1>", CHAT}, .heard = SAID,
	 .requests = 2},
	.kept = 1},
    {{"400 that names the path",
	 {ERROR("400", "{\"error\":{\"message\":\"Unknown endpoint /v1/responses\"}}"), CHAT},
	 .heard = SAID, .requests = 2},
	.kept = 1},
    {{"no such model", {ERROR("404", NO_MODEL)}, .heard = "", .outcome = MODEL_FAILED,
	 .error =
	     "ASSISTANTS_MODELS=m=NAME to send another name. The model server answered 404: oh"},
	.kept = 0},
    {{"neither", {NOT_FOUND}, .heard = "", .outcome = MODEL_FAILED, .error = "answered 404",
	 .asks = 2, .requests = 4, .sent = "POST /chat/completions"},
	.kept = 0},
    {{"it was known", {CHAT}, .heard = SAID, .sent = "POST /chat/completions"}, .remembers = true,
	.kept = 0},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		remembers = rows[i].remembers;
		recalled = kept = 0;
		check_model_row(&rows[i].row, new_model);
		check_int(rows[i].row.name, kept, rows[i].kept);
		/* The memory is asked once a minute. */
		check_int(rows[i].row.name, recalled, 1);
	}
}

static void
test_without_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (!rows[i].remembers)
			check_model_row(&rows[i].row, model_auto_new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_without_memory),
	};

	/* The developer's proxy must not be used. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("auto", tests, NULL, NULL);
}
