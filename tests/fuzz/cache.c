/*
 * The cache file with the gateway's assistant. Only a file of exactly the right form is believed.
 * After any other the assistant is looked for, and stored in that form.
 *
 * Input: the file.
 */
#include "support.h"

#include "gateway/assistant.h"
#include "openai/transport.h"
#include "os/file.h"
#include "os/hash.h"
#include "os/id.h"
#include "text/json.h"

static char *path, *head;
static struct assistant *assistant;
static unsigned calls;

/* An Assistants API that has every assistant that it is asked for. */
static void
stub_call(struct openai *openai, const struct openai_call *call, struct openai_answer *answer)
{
	(void)openai;
	calls++;
	answer->status = 200;
	answer->body = json_object_new_object();
	switch (call->operation) {
	case API_ASSISTANT_LIST:
		json_set(answer->body, "data", json_object_new_array());
		break;
	case API_ASSISTANT_CREATE:
		json_set_string(answer->body, "id", "asst_new");
		break;
	default:
		CHECK(call->operation == API_ASSISTANT_MODIFY);
		CHECK(id_has_form(call->ids[0], ""));
		/* Ids that begin so are unknown. */
		if (strncmp(call->ids[0], "gone", 4) == 0)
			answer->status = 404;
		else
			json_set_string(answer->body, "id", call->ids[0]);
	}
}

static struct definition definition = {
    .name = (char[]){"a"}, .text = (char[]){"{\"name\":\"a\",\"model\":\"m\"}"}};
static struct openai stub = {.place = "stub", .call = stub_call};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *folder = folder_new();

	(void)argc;
	(void)argv;
	sha256_hex(definition.text, strlen(definition.text), definition.hash);
	CHECK(asprintf(&head, "assistants-fcgi assistant 1\nplace stub\ndefinition sha256:%s\nid ",
		  definition.hash) > 0);
	path = path_in(folder, "assistant");
	assistant = assistant_new(&stub, folder);
	CHECK(assistant);
	return 0;
}

/* Whether the file is what the program writes for the id. */
static bool
says(const char *bytes, size_t size, const char *id)
{
	size_t head_len = strlen(head), id_len = strlen(id);

	return size == head_len + id_len + 1 && memcmp(bytes, head, head_len) == 0 &&
	    memcmp(bytes + head_len, id, id_len) == 0 && bytes[size - 1] == '\n';
}

static void
find(char id[ASSISTANT_ID_SIZE])
{
	struct openai_answer answer;

	calls = 0;
	CHECK(assistant_id(assistant, &definition, NULL, id, &answer) == 0);
	CHECK(id_has_form(id, ""));
	openai_answer_free(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char id[ASSISTANT_ID_SIZE], again[ASSISTANT_ID_SIZE];
	char *kept;
	size_t len;

	file_write(path, data, size);
	find(id);
	CHECK((calls == 0) == says((const char *)data, size, id));
	kept = file_read(path, 8192, &len);
	CHECK(kept && says(kept, len, id));
	free(kept);
	find(again);
	CHECK(calls == 0 && strcmp(id, again) == 0);
	assistant_forget(assistant, NULL, id);
	find(again);
	CHECK(calls > 0 && strcmp(again, "asst_new") == 0);
	return 0;
}
