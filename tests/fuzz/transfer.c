/*
 * Imports: any bytes. All of it is imported, or nothing; what was imported is served, in both
 * versions, and can be sent to a model; and an export of it contains nothing new.
 *
 * Input: the file.
 */
#include "support.h"

#include "../unit/events.h"

#include "assistants/import_export.h"
#include "text/json.h"
#include "v1/beta_v1.h"

static struct state state;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	state_open(&state);
	return 0;
}

static int
import(const char *text, size_t len, const char *tenant, struct transfer_counts *counts)
{
	char error[ERROR_SIZE] = "";
	struct transfer_source source = {
	    .in = fmemopen((void *)(uintptr_t)text, len ? len : 1, "r"),
	    .tenant = tenant,
	    .folder = state.folder,
	    .mend = beta_v1_saved,
	};
	int result;

	CHECK(source.in);
	result = transfer_import(state.db, &source, counts, error);
	CHECK(result == 0 || *error);
	fclose(source.in);
	return result;
}

/* The caller's to free. */
static char *export(void)
{
	char error[ERROR_SIZE], *text = NULL;
	struct transfer_counts counts;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(out && transfer_export(state.db, out, &counts, error) == 0);
	fclose(out);
	return text;
}

static void
check_shown(const char *line, size_t len)
{
	struct json_object *object, *shown;

	CHECK(json_parse(line, len, &object) == 0);
	shown = beta_v1_shown(object);
	CHECK(shown);
	json_object_put(shown);
	json_object_put(object);
}

static void
on_event(void *arg, const char *event, struct json_object *data)
{
	(void)event;
	(void)data;
	++*(unsigned *)arg;
}

static void
on_event_heard(void *arg, const struct event *event)
{
	event_hear(event, on_event, arg);
}

static void
check_run(void)
{
	struct json_object *body;
	struct api_response response;
	unsigned events = 0;
	struct api_request request = {
	    .tenant = "api",
	    .method = "POST",
	    .path = "/threads/thread_a/runs",
	    .listener = &(struct listener){.on_event = on_event_heard, .arg = &events},
	};

	CHECK(json_parse("{\"assistant_id\":\"asst_a\"}", 25, &body) == 0);
	json_set(body, "stream", json_object_new_boolean(1));
	request.body = body;
	api_handle(state.api, &request, &response);
	CHECK(response.status == 200 && events > 5);
	json_object_put(response.body);
	json_object_put(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size), *before, *after;
	struct transfer_counts counts;
	int result;

	state_reset(&state);
	before = export();
	result = import(size ? text : " ", size, "api", &counts);
	after = export();
	CHECK(result == 0 || strcmp(before, after) == 0);
	if (result == 0) {
		for (const char *line = after; *line; line += strcspn(line, "\n") + 1)
			check_shown(line, strcspn(line, "\n"));
		CHECK(import(after, strlen(after), NULL, &counts) == 0);
		for (int kind = 0; kind < TRANSFER__MAX; kind++)
			CHECK(counts.added[kind] == 0);
		check_run();
	}
	free(before);
	free(after);
	free(text);
	return 0;
}
