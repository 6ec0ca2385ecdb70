/*
 * The configuration file. What is accepted is sane, and means the same when it is written again.
 *
 * Input: the file.
 */
#include "support.h"

#include "config.h"
#include "net/http_client.h"
#include "text/buf.h"
#include "text/text.h"

static char *path;

static const char *const names[] = {"OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL",
    "ASSISTANTS_MODEL_API", "ASSISTANTS_MODEL", "ASSISTANTS_MODELS", "ASSISTANTS_CA_FILE",
    "ASSISTANTS_DEFINITION", "ASSISTANTS_STATE_DIR", "ASSISTANTS_SYNC", "ASSISTANTS_UPSTREAM_URL",
    "ASSISTANTS_UPSTREAM_KEY", "ASSISTANTS_WORKERS", "ASSISTANTS_RUN_TIMEOUT",
    "ASSISTANTS_MAX_BODY", "ASSISTANTS_LOG"};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	path = path_in(folder_new(), "config");
	for (size_t i = 0; i < COUNT(names); i++)
		unsetenv(names[i]);
	CHECK(setenv("ASSISTANTS_CONFIG", path, 1) == 0);
	return 0;
}

static void
check_url(const char *url)
{
	CHECK(http_url_valid(url));
	CHECK(url[strlen(url) - 1] != '/');
}

static void
check_key(const char *key)
{
	CHECK(*key);
	for (; *key; key++)
		CHECK(*key > ' ' && *key <= '~');
}

static void
check_config(const struct config *config)
{
	const char *const texts[] = {
	    config->model, config->state_dir, config->ca_file, config->definition};

	CHECK(config->model && config->state_dir && config->base_url);
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!texts[i])
			continue;
		CHECK(utf8_valid(texts[i], strlen(texts[i])) && !text_is_blank(texts[i]));
		CHECK(i == 0 || *texts[i] == '/');
	}
	check_url(config->base_url);
	if (config->upstream_url)
		check_url(config->upstream_url);
	CHECK(config->upstream_url || !config->upstream_key);
	if (config->api_key)
		check_key(config->api_key);
	if (config->upstream_key)
		check_key(config->upstream_key);
	CHECK(config->model_api < MODEL_API__MAX);
	CHECK(config->sync < SYNC__MAX && config->log_level < LOG_LEVEL__MAX);
	CHECK(config->workers >= 3 && config->workers <= 100000);
	CHECK(config->run_timeout_s >= 1 && config->run_timeout_s <= 86400);
	CHECK(config->max_body >= 1024 && config->max_body <= 1 << 30);
}

static void
put_text(struct buf *out, const char *name, const char *value)
{
	if (value)
		buf_printf(out, "%s=%s\n", name, value);
}

static void
put_models(struct buf *out, struct json_object *models)
{
	const char *before = "ASSISTANTS_MODELS=";

	if (!models)
		return;
	json_object_object_foreach(models, asked, sent)
	{
		buf_printf(out, "%s%s=%s", before, asked, json_object_get_string(sent));
		before = ",";
	}
	buf_puts(out, "\n");
}

static void
write_down(const struct config *config)
{
	static const char *const apis[] = {"auto", "responses", "chat", "offline"};
	static const char *const syncs[] = {"full", "normal"};
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	struct buf out = BUF_INIT(1 << 20);

	put_text(&out, "OPENAI_API_KEY", config->api_key);
	put_text(&out, "OPENAI_BASE_URL", config->base_url);
	put_text(&out, "ASSISTANTS_MODEL_API", apis[config->model_api]);
	put_text(&out, "ASSISTANTS_MODEL", config->model);
	put_models(&out, config->models);
	put_text(&out, "ASSISTANTS_CA_FILE", config->ca_file);
	put_text(&out, "ASSISTANTS_DEFINITION", config->definition);
	put_text(&out, "ASSISTANTS_STATE_DIR", config->state_dir);
	put_text(&out, "ASSISTANTS_SYNC", syncs[config->sync]);
	put_text(&out, "ASSISTANTS_UPSTREAM_URL", config->upstream_url);
	put_text(&out, "ASSISTANTS_UPSTREAM_KEY", config->upstream_key);
	buf_printf(&out, "ASSISTANTS_WORKERS=%u\nASSISTANTS_RUN_TIMEOUT=%u\n", config->workers,
	    config->run_timeout_s);
	buf_printf(&out, "ASSISTANTS_MAX_BODY=%zu\nASSISTANTS_LOG=%s", config->max_body,
	    levels[config->log_level]);
	CHECK(!out.failed);
	file_write(path, out.data, out.len);
	buf_free(&out);
}

static bool
same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void
check_same(const struct config *a, const struct config *b)
{
	CHECK(same(a->api_key, b->api_key) && same(a->upstream_key, b->upstream_key));
	CHECK(same(a->base_url, b->base_url) && same(a->upstream_url, b->upstream_url));
	CHECK(same(a->model, b->model) && same(a->state_dir, b->state_dir));
	CHECK(json_object_equal(a->models, b->models));
	CHECK(same(a->ca_file, b->ca_file) && same(a->definition, b->definition));
	CHECK(a->model_api == b->model_api && a->sync == b->sync);
	CHECK(a->workers == b->workers && a->run_timeout_s == b->run_timeout_s);
	CHECK(a->max_body == b->max_body && a->log_level == b->log_level);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[ERROR_SIZE] = "";
	struct config config, again;

	file_write(path, data, size);
	if (config_load(&config, error) == 0) {
		check_config(&config);
		write_down(&config);
		if (config_load(&again, error) < 0)
			finding("what was taken is refused: %s", error);
		check_same(&config, &again);
		config_free(&again);
	} else {
		CHECK(*error && memchr(error, '\0', sizeof error));
		CHECK(!strchr(error, '\n'));
	}
	config_free(&config);
	return 0;
}
