/* Settings from environment and file: their values, and which one an error names. */
#include "support.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "text/json.h"

static const char *const names[] = {"OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL",
    "ASSISTANTS_MODEL_API", "ASSISTANTS_MODEL", "ASSISTANTS_MODELS", "ASSISTANTS_CA_FILE",
    "ASSISTANTS_DEFINITION", "ASSISTANTS_STATE_DIR", "ASSISTANTS_SYNC", "ASSISTANTS_UPSTREAM_URL",
    "ASSISTANTS_UPSTREAM_KEY", "ASSISTANTS_WORKERS", "ASSISTANTS_RUN_TIMEOUT",
    "ASSISTANTS_MAX_BODY", "ASSISTANTS_LOG", "ASSISTANTS_CONFIG", "ASSISTANTS_ALLOW_ORIGIN",
    "ASSISTANTS_RATE", "ASSISTANTS_DAILY_TOKENS", "ASSISTANTS_TRUSTED_PROXIES",
    "ASSISTANTS_ACCESS_TOKEN_FILE", "ASSISTANTS_TOOLS_DIR", "ASSISTANTS_RETENTION_DAYS",
    "ASSISTANTS_METRICS", "ASSISTANTS_ALLOWED_HOSTS", "ASSISTANTS_KEY_DAILY_TOKENS"};

/* A folder with a file "key"; $ in a row stands for it. */
static char *folder;

struct row {
	const char *environment[3]; /* NAME=value */
	const char *file;           /* the file's content; NULL: empty */
	const char *field;          /* the member to check; NULL: an error is expected */
	const char *expected;       /* the member's value, or a part of the error */
};

static const struct row values[] = {
    /* without any settings */
    {{NULL}, NULL, "api_key", "(null)"},
    {{NULL}, NULL, "base_url", "https://api.openai.com/v1"},
    {{NULL}, NULL, "model_api", "offline"},
    {{NULL}, NULL, "model", "gpt-5.4-mini"},
    {{NULL}, NULL, "ca_file", "(null)"},
    {{NULL}, NULL, "definition", "(null)"},
    {{NULL}, NULL, "sync", "full"},
    {{NULL}, NULL, "upstream_url", "(null)"},
    {{NULL}, NULL, "upstream_key", "(null)"},
    {{NULL}, NULL, "workers", "128"},
    {{NULL}, NULL, "run_timeout_s", "600"},
    {{NULL}, NULL, "retention_days", "0"},
    {{NULL}, NULL, "max_body", "1048576"},
    {{NULL}, NULL, "log_level", "info"},
    {{NULL}, NULL, "metrics", "off"},
    /* each from the environment */
    {{"OPENAI_API_KEY=sk-1"}, NULL, "api_key", "sk-1"},
    {{"OPENAI_API_KEY_FILE=$/key"}, NULL, "api_key", "sk-from-file"},
    {{"OPENAI_BASE_URL=http://127.0.0.1:8000/v1"}, NULL, "base_url", "http://127.0.0.1:8000/v1"},
    {{"OPENAI_BASE_URL=https://example.org//"}, NULL, "base_url", "https://example.org"},
    {{"OPENAI_BASE_URL=http://[::1]:80/"}, NULL, "base_url", "http://[::1]:80"},
    {{"ASSISTANTS_MODEL=any thing"}, NULL, "model", "any thing"},
    {{"ASSISTANTS_CA_FILE=/ca.pem"}, NULL, "ca_file", "/ca.pem"},
    {{"ASSISTANTS_DEFINITION=/a.json"}, NULL, "definition", "/a.json"},
    {{"ASSISTANTS_STATE_DIR=/s"}, NULL, "state_dir", "/s"},
    {{"ASSISTANTS_SYNC=normal"}, NULL, "sync", "normal"},
    {{"ASSISTANTS_UPSTREAM_URL=https://example.org/v1/"}, NULL, "upstream_url",
	"https://example.org/v1"},
    {{"ASSISTANTS_UPSTREAM_URL=https://example.org", "ASSISTANTS_UPSTREAM_KEY=u1"}, NULL,
	"upstream_key", "u1"},
    {{"ASSISTANTS_WORKERS=3"}, NULL, "workers", "3"},
    {{"ASSISTANTS_WORKERS=100000"}, NULL, "workers", "100000"},
    {{"ASSISTANTS_RUN_TIMEOUT=86400"}, NULL, "run_timeout_s", "86400"},
    {{"ASSISTANTS_RETENTION_DAYS=1"}, NULL, "retention_days", "1"},
    {{"ASSISTANTS_RETENTION_DAYS=36500"}, NULL, "retention_days", "36500"},
    {{"ASSISTANTS_RETENTION_DAYS=off", "ASSISTANTS_UPSTREAM_URL=https://example.org"}, NULL,
	"retention_days", "0"},
    {{"ASSISTANTS_LOG=error"}, NULL, "log_level", "error"},
    {{"ASSISTANTS_LOG=debug"}, NULL, "log_level", "debug"},
    {{"ASSISTANTS_METRICS=on"}, NULL, "metrics", "on"},
    {{"ASSISTANTS_METRICS=off"}, "ASSISTANTS_METRICS=on\n", "metrics", "off"},
    /* which model API, if none is configured */
    {{"OPENAI_API_KEY=sk-1"}, NULL, "model_api", "auto"},
    {{"OPENAI_API_KEY_FILE=$/key"}, NULL, "model_api", "auto"},
    {{"OPENAI_BASE_URL=http://127.0.0.1"}, NULL, "model_api", "auto"},
    {{"OPENAI_API_KEY=sk-1", "ASSISTANTS_MODEL_API=offline"}, NULL, "model_api", "offline"},
    {{"ASSISTANTS_MODEL_API=responses"}, NULL, "model_api", "responses"},
    {{"ASSISTANTS_MODEL_API=chat"}, NULL, "model_api", "chat"},
    {{"ASSISTANTS_MODEL_API=auto"}, NULL, "model_api", "offline"},
    /* which model is sent for which */
    {{NULL}, NULL, "models", "null"},
    {{"ASSISTANTS_MODELS=a=b"}, NULL, "models", "{\"a\":\"b\"}"},
    {{"ASSISTANTS_MODELS=a=b:c=d,*=x/y"}, NULL, "models", "{\"a\":\"b:c=d\",\"*\":\"x/y\"}"},
    /* sizes */
    {{"ASSISTANTS_MAX_BODY=1024"}, NULL, "max_body", "1024"},
    {{"ASSISTANTS_MAX_BODY=1KiB"}, NULL, "max_body", "1024"},
    {{"ASSISTANTS_MAX_BODY=16 MiB"}, NULL, "max_body", "16777216"},
    {{"ASSISTANTS_MAX_BODY=1GiB"}, NULL, "max_body", "1073741824"},
    {{"ASSISTANTS_MAX_BODY=1073741824"}, NULL, "max_body", "1073741824"},
    /* admission, and tools */
    {{NULL}, NULL, "rate", "30"},
    {{NULL}, NULL, "daily_tokens", "2000000"},
    {{NULL}, NULL, "access_token", "(null)"},
    {{NULL}, NULL, "allow_origin", "(null)"},
    {{NULL}, NULL, "tools_dir", "(null)"},
    {{"ASSISTANTS_RATE=off", "ASSISTANTS_DAILY_TOKENS=1"}, NULL, "rate", "0"},
    {{"ASSISTANTS_RATE=1", "ASSISTANTS_DAILY_TOKENS=off"}, NULL, "rate", "1"},
    {{"ASSISTANTS_DAILY_TOKENS=1000000000"}, NULL, "daily_tokens", "1000000000"},
    {{"ASSISTANTS_DAILY_TOKENS=off"}, NULL, "daily_tokens", "0"},
    {{NULL}, NULL, "key_daily_tokens", "0"},
    {{"ASSISTANTS_KEY_DAILY_TOKENS=1000000000"}, NULL, "key_daily_tokens", "1000000000"},
    {{NULL}, NULL, "allowed_hosts", "(null)"},
    {{"ASSISTANTS_ALLOWED_HOSTS=*"}, NULL, "allowed_hosts", "*"},
    {{"ASSISTANTS_ALLOWED_HOSTS=a.example, B-1.example [::1]"}, NULL, "allowed_hosts",
	"a.example, B-1.example [::1]"},
    {{"ASSISTANTS_ACCESS_TOKEN_FILE=$/token"}, NULL, "access_token", "0123456789abcdef"},
    {{"ASSISTANTS_ALLOW_ORIGIN=*"}, NULL, "allow_origin", "*"},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://a.example, http://b.example:8080 null"}, NULL,
	"allow_origin", "https://a.example, http://b.example:8080 null"},
    {{"ASSISTANTS_ALLOW_ORIGIN=http://[::1]:443 https://x-1_2.example:80"}, NULL, "allow_origin",
	"http://[::1]:443 https://x-1_2.example:80"},
    {{"ASSISTANTS_TOOLS_DIR=/tools"}, NULL, "tools_dir", "/tools"},
    /* the file, and what overrides it */
    {{NULL}, "ASSISTANTS_MODEL=m\n", "model", "m"},
    {{NULL}, "ASSISTANTS_MODEL=m", "model", "m"},
    {{NULL}, "# c\n\n \t\r\n  ASSISTANTS_MODEL=m \t\r\n #x\n", "model", "m"},
    {{NULL}, "ASSISTANTS_MODEL=a=b # c\n", "model", "a=b # c"},
    {{NULL}, "OPENAI_API_KEY_FILE=$/key\n", "api_key", "sk-from-file"},
    {{NULL}, "ASSISTANTS_WORKERS=7\nASSISTANTS_MODEL=m\n", "workers", "7"},
    {{NULL}, "ASSISTANTS_MODEL=\n", "model", "gpt-5.4-mini"},
    {{"ASSISTANTS_MODEL=e"}, "ASSISTANTS_MODEL=f\n", "model", "e"},
    {{"ASSISTANTS_MODEL=e"}, "ASSISTANTS_WORKERS=7\n", "workers", "7"},
    /* what the environment overrides is not even checked */
    {{"ASSISTANTS_WORKERS=9"}, "ASSISTANTS_WORKERS=nonsense\n", "workers", "9"},
    {{"OPENAI_API_KEY=sk-e"}, "OPENAI_API_KEY=sk-f\n", "api_key", "sk-e"},
    {{"OPENAI_API_KEY=sk-e"}, "OPENAI_API_KEY_FILE=/none\n", "api_key", "sk-e"},
    {{"OPENAI_API_KEY_FILE=$/key"}, "OPENAI_API_KEY=sk-f\n", "api_key", "sk-from-file"},
    /* an empty variable is no value, but still hides the file's */
    {{"ASSISTANTS_MODEL="}, "ASSISTANTS_MODEL=f\n", "model", "gpt-5.4-mini"},
    {{"OPENAI_API_KEY="}, "OPENAI_API_KEY=sk-f\n", "api_key", "(null)"},
    {{"ASSISTANTS_MODEL="}, NULL, "model", "gpt-5.4-mini"},
    {{"OPENAI_API_KEY=", "OPENAI_API_KEY_FILE=$/key"}, NULL, "api_key", "sk-from-file"},
};

static const struct row errors[] = {
    {{"ASSISTANTS_METRICS=yes"}, NULL, NULL,
	"ASSISTANTS_METRICS is \"yes\": it must be one of off, on"},
    {{"OPENAI_API_KEY=sk 1"}, NULL, NULL, "OPENAI_API_KEY has a character"},
    {{"OPENAI_API_KEY=sk\r\nX: 1"}, NULL, NULL, "OPENAI_API_KEY has a character"},
    {{"OPENAI_API_KEY=sk-\xc3\xa9"}, NULL, NULL, "OPENAI_API_KEY has a character"},
    {{"OPENAI_API_KEY=a", "OPENAI_API_KEY_FILE=$/key"}, NULL, NULL,
	"OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set"},
    {{NULL}, "OPENAI_API_KEY=a\nOPENAI_API_KEY_FILE=$/key\n", NULL, "are both set"},
    {{"OPENAI_API_KEY_FILE=key"}, NULL, NULL, "OPENAI_API_KEY_FILE is not an absolute path"},
    {{"OPENAI_API_KEY_FILE=$/none"}, NULL, NULL, "/none: No such file"},
    {{"OPENAI_API_KEY_FILE=$"}, NULL, NULL, "OPENAI_API_KEY_FILE: "},
    {{"OPENAI_API_KEY_FILE=$/empty"}, NULL, NULL, "/empty is empty"},
    {{"OPENAI_API_KEY_FILE=$/lines"}, NULL, NULL, "OPENAI_API_KEY_FILE has a character"},
    {{"OPENAI_API_KEY_FILE=$/long"}, NULL, NULL, "/long: File too large"},
    {{"OPENAI_BASE_URL=example.org"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=ftp://example.org"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=file:///etc/passwd"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://u:p@example.org"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://example.org/?a=b"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://example.org/#a"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://example.org/a b"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"OPENAI_BASE_URL=http://example.org:99999"}, NULL, NULL, "OPENAI_BASE_URL is not a URL"},
    {{"ASSISTANTS_UPSTREAM_URL=/v1"}, NULL, NULL, "ASSISTANTS_UPSTREAM_URL is not a URL"},
    {{"ASSISTANTS_UPSTREAM_KEY=k"}, NULL, NULL, "ASSISTANTS_UPSTREAM_URL is not"},
    {{"ASSISTANTS_UPSTREAM_URL=https://example.org", "ASSISTANTS_RETENTION_DAYS=1"}, NULL, NULL,
	"ASSISTANTS_RETENTION_DAYS and ASSISTANTS_UPSTREAM_URL are both set"},
    {{"ASSISTANTS_RETENTION_DAYS=0"}, NULL, NULL,
	"ASSISTANTS_RETENTION_DAYS is \"0\": it must be a whole number from 1 to 36500, or off"},
    {{"ASSISTANTS_RETENTION_DAYS=36501"}, NULL, NULL, "number from 1 to 36500"},
    {{"ASSISTANTS_RETENTION_DAYS=1.5"}, NULL, NULL, "number from 1 to 36500"},
    {{"ASSISTANTS_RETENTION_DAYS=never"}, NULL, NULL, ", or off"},
    {{"ASSISTANTS_MODEL_API=Chat"}, NULL, NULL,
	"ASSISTANTS_MODEL_API is \"Chat\": it must be one of auto, responses, chat, offline"},
    {{"ASSISTANTS_MODELS=a"}, NULL, NULL,
	"ASSISTANTS_MODELS is \"a\": it must be pairs ASKED=SENT of model names"},
    {{"ASSISTANTS_MODELS=a=b,"}, NULL, NULL, "ASSISTANTS_MODELS is \"a=b,\""},
    {{"ASSISTANTS_MODELS=a=b,,c=d"}, NULL, NULL, "ASSISTANTS_MODELS is"},
    {{"ASSISTANTS_MODELS==b"}, NULL, NULL, "ASSISTANTS_MODELS is"},
    {{"ASSISTANTS_MODELS=a="}, NULL, NULL, "ASSISTANTS_MODELS is"},
    {{"ASSISTANTS_MODELS=a=b, c=d"}, NULL, NULL, "commas without blanks"},
    {{"ASSISTANTS_MODELS=a=b,a=c"}, NULL, NULL, "ASSISTANTS_MODELS is"},
    {{"ASSISTANTS_MODELS=a=\xff"}, NULL, NULL, "ASSISTANTS_MODELS is \"not UTF-8\""},
    {{"ASSISTANTS_SYNC=FULL"}, NULL, NULL,
	"ASSISTANTS_SYNC is \"FULL\": it must be one of full, normal"},
    {{"ASSISTANTS_LOG=loud"}, NULL, NULL, "it must be one of error, warn, info, debug"},
    {{"ASSISTANTS_MODEL= "}, NULL, NULL, "ASSISTANTS_MODEL is empty or not UTF-8"},
    {{"ASSISTANTS_MODEL=\xff"}, NULL, NULL, "ASSISTANTS_MODEL is empty or not UTF-8"},
    {{"ASSISTANTS_CA_FILE=ca.pem"}, NULL, NULL, "ASSISTANTS_CA_FILE is relative"},
    {{"ASSISTANTS_DEFINITION=./a"}, NULL, NULL, "ASSISTANTS_DEFINITION is relative"},
    {{"ASSISTANTS_STATE_DIR=~/a"}, NULL, NULL, "ASSISTANTS_STATE_DIR is relative"},
    {{"ASSISTANTS_WORKERS=2"}, NULL, NULL, "ASSISTANTS_WORKERS is \"2\""},
    {{"ASSISTANTS_WORKERS=100001"}, NULL, NULL, "whole number from 3 to 100000"},
    {{"ASSISTANTS_WORKERS=-3"}, NULL, NULL, "ASSISTANTS_WORKERS is \"-3\""},
    {{"ASSISTANTS_WORKERS=4 "}, NULL, NULL, "ASSISTANTS_WORKERS is \"4 \""},
    {{"ASSISTANTS_WORKERS=99999999999999999999"}, NULL, NULL, "ASSISTANTS_WORKERS is"},
    {{"ASSISTANTS_RUN_TIMEOUT=0"}, NULL, NULL, "ASSISTANTS_RUN_TIMEOUT is \"0\""},
    {{"ASSISTANTS_RUN_TIMEOUT=10s"}, NULL, NULL, "ASSISTANTS_RUN_TIMEOUT is \"10s\""},
    {{"ASSISTANTS_MAX_BODY=1023"}, NULL, NULL, "size from 1024 to 1073741824 bytes"},
    {{"ASSISTANTS_MAX_BODY=0KiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"0KiB\""},
    {{"ASSISTANTS_MAX_BODY=1073741825"}, NULL, NULL, "ASSISTANTS_MAX_BODY is"},
    {{"ASSISTANTS_MAX_BODY=2GiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"2GiB\""},
    {{"ASSISTANTS_MAX_BODY=9007199254740993KiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is"},
    {{"ASSISTANTS_MAX_BODY=1MB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"1MB\""},
    {{"ASSISTANTS_MAX_BODY=000000000000000102400000000000"}, NULL, NULL, "ASSISTANTS_MAX_BODY is"},
    {{"ASSISTANTS_MAX_BODY=1.5MiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"1.5MiB\""},
    {{"ASSISTANTS_MAX_BODY=MiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"MiB\""},
    {{"ASSISTANTS_MAX_BODY=-1MiB"}, NULL, NULL, "ASSISTANTS_MAX_BODY is \"-1MiB\""},
    /* admission, and tools */
    {{"ASSISTANTS_RATE=0"}, NULL, NULL,
	"ASSISTANTS_RATE is \"0\": it must be a whole number from 1 to 1000000, or off"},
    {{"ASSISTANTS_RATE=OFF"}, NULL, NULL, "ASSISTANTS_RATE is \"OFF\""},
    {{"ASSISTANTS_RATE=1000001"}, NULL, NULL, "ASSISTANTS_RATE is"},
    {{"ASSISTANTS_DAILY_TOKENS=1000000001"}, NULL, NULL, "from 1 to 1000000000, or off"},
    {{"ASSISTANTS_DAILY_TOKENS=2M"}, NULL, NULL, "ASSISTANTS_DAILY_TOKENS is \"2M\""},
    {{"ASSISTANTS_KEY_DAILY_TOKENS=0"}, NULL, NULL, "from 1 to 1000000000, or off"},
    {{"ASSISTANTS_ALLOWED_HOSTS=a.example https://b.example"}, NULL, NULL,
	"ASSISTANTS_ALLOWED_HOSTS has \"https://b.example\": a host name looks like"},
    {{"ASSISTANTS_ALLOWED_HOSTS=a.example:80"}, NULL, NULL, "has \"a.example:80\""},
    {{"ASSISTANTS_ALLOWED_HOSTS=*.example"}, NULL, NULL, "has \"*.example\""},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://a.example/"}, NULL, NULL,
	"ASSISTANTS_ALLOW_ORIGIN has \"https://a.example/\": an origin looks like"},
    {{"ASSISTANTS_ALLOW_ORIGIN=*,a.example"}, NULL, NULL, "has \"a.example\""},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://"}, NULL, NULL, "has \"https://\""},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://*.a.example"}, NULL, NULL, "has \"https://*.a.example\""},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://A.example"}, NULL, NULL, "has \"https://A.example\""},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://a.example:443"}, NULL, NULL, "in lower case"},
    {{"ASSISTANTS_ALLOW_ORIGIN=http://a.example:80"}, NULL, NULL, "the scheme's default port"},
    {{"ASSISTANTS_ALLOW_ORIGIN=https://a.example?b"}, NULL, NULL, "has \"https://a.example?b\""},
    {{"ASSISTANTS_TRUSTED_PROXIES=10.0.0.0/8 localhost"}, NULL, NULL,
	"ASSISTANTS_TRUSTED_PROXIES has \"localhost\": an address or range looks like"},
    {{"ASSISTANTS_ACCESS_TOKEN_FILE=$/key"}, NULL, NULL,
	"has fewer than 16 characters: `openssl rand -hex 32` makes"},
    {{"ASSISTANTS_ACCESS_TOKEN_FILE=token"}, NULL, NULL, "is not an absolute path"},
    {{"ASSISTANTS_TOOLS_DIR=tools"}, NULL, NULL, "ASSISTANTS_TOOLS_DIR is relative"},
    /* the file */
    {{"ASSISTANTS_CONFIG=$/none"}, NULL, NULL, "/none cannot be read: No such file"},
    {{"ASSISTANTS_CONFIG=$"}, NULL, NULL, "cannot be read"},
    {{NULL}, "\nASSISTANT_MODEL=m\n", NULL, "line 2: there is no setting \"ASSISTANT_MODEL\""},
    {{NULL}, "assistants_model=m\n", NULL, "line 1: there is no setting \"assistants_model\""},
    {{NULL}, "export ASSISTANTS_MODEL=m\n", NULL, "line 1: there is no setting"},
    {{NULL}, "ASSISTANTS_CONFIG=/x\n", NULL, "there is no setting \"ASSISTANTS_CONFIG\""},
    {{NULL}, "=m\n", NULL, "line 1: there is no setting \"\""},
    {{NULL}, "ASSISTANTS_LOG=warn\nmodel\n", NULL, "line 2: only NAME=value"},
    {{NULL}, "ASSISTANTS_LOG=warn\n#\nASSISTANTS_LOG=info\n", NULL,
	"line 3: ASSISTANTS_LOG is set a second time"},
    {{NULL}, "ASSISTANTS_WORKERS=many\n", NULL, "ASSISTANTS_WORKERS is \"many\""},
    /* a wrong line in the file is an error even if the environment sets everything */
    {{"ASSISTANTS_MODEL=e"}, "nonsense\n", NULL, "line 1: only NAME=value"},
};

/* `text` with the folder for each $; the caller frees. */
static char *
filled_in(const char *text)
{
	struct buf out = BUF_INIT(100000);

	for (; *text; text++)
		if (*text == '$')
			buf_puts(&out, folder);
		else
			buf_append(&out, text, 1);
	return buf_take(&out);
}

static int
load(const struct row *row, struct config *config, char *error)
{
	char *path = path_in(folder, "config"), *text = filled_in(row->file ? row->file : "");

	for (size_t i = 0; i < COUNT(names); i++)
		unsetenv(names[i]);
	file_write(path, text);
	setenv("ASSISTANTS_CONFIG", path, 1);
	for (size_t i = 0; i < COUNT(row->environment) && row->environment[i]; i++) {
		char *variable = filled_in(row->environment[i]), *equals = strchr(variable, '=');

		*equals = '\0';
		setenv(variable, equals + 1, 1);
		free(variable);
	}
	free(path);
	free(text);
	return config_load(config, error);
}

/* A member as text. */
static const char *
shown(const struct config *config, const char *field, char number[32])
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	static const char *const apis[] = {"auto", "responses", "chat", "offline"};
	const struct {
		const char *name, *text;
	} texts[] = {
	    {"api_key", config->api_key},
	    {"base_url", config->base_url},
	    {"model_api", apis[config->model_api]},
	    {"model", config->model},
	    {"models", json_text(config->models)},
	    {"ca_file", config->ca_file},
	    {"definition", config->definition},
	    {"state_dir", config->state_dir},
	    {"sync", config->sync == SYNC_FULL ? "full" : "normal"},
	    {"upstream_url", config->upstream_url},
	    {"upstream_key", config->upstream_key},
	    {"access_token", config->access_token},
	    {"allow_origin", config->allow_origin},
	    {"allowed_hosts", config->allowed_hosts},
	    {"tools_dir", config->tools_dir},
	    {"log_level", levels[config->log_level]},
	    {"metrics", config->metrics == SWITCH_ON ? "on" : "off"},
	};
	const struct {
		const char *name;
		size_t value;
	} numbers[] = {
	    {"workers", config->workers},
	    {"run_timeout_s", config->run_timeout_s},
	    {"max_body", config->max_body},
	    {"max_file", config->max_file},
	    {"files_quota", config->files_quota},
	    {"rate", config->rate},
	    {"daily_tokens", config->daily_tokens},
	    {"key_daily_tokens", config->key_daily_tokens},
	    {"retention_days", config->retention_days},
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (strcmp(texts[i].name, field) == 0)
			return texts[i].text ? texts[i].text : "(null)";
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (strcmp(numbers[i].name, field) == 0) {
			snprintf(number, 32, "%zu", numbers[i].value);
			return number;
		}
	fail_msg("shown() has no member %s", field);
	return NULL;
}

static void
check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[160], error[ERROR_SIZE] = "", number[32];
		struct config config;
		int result = load(&rows[i], &config, error);

		snprintf(name, sizeof name, "row %zu, %s, %s", i,
		    rows[i].environment[0] ? rows[i].environment[0] : "-",
		    rows[i].file ? rows[i].file : "-");
		if (rows[i].field) {
			check_text(name, error, "");
			check_int(name, result, 0);
			check_text(name, shown(&config, rows[i].field, number), rows[i].expected);
		} else {
			check_has(name, error, rows[i].expected);
			check_int(name, result, -1);
			/* One sentence, without any key. */
			if (strchr(error, '\n') || strstr(error, "sk-") || strstr(error, "sk 1"))
				fail_msg("%s: %s", name, error);
		}
		config_free(&config);
	}
}

static void
test_values(void **state)
{
	(void)state;
	check_rows(values, COUNT(values));
}

static void
test_errors(void **state)
{
	(void)state;
	check_rows(errors, COUNT(errors));
}

static void
test_file_with_nul(void **state)
{
	char *path = path_in(folder, "nul"), error[ERROR_SIZE];
	static const struct row row = {{"ASSISTANTS_CONFIG=$/nul"}, NULL, NULL, NULL};
	static const char text[] = "ASSISTANTS_LOG=warn\n\0ASSISTANTS_WORKERS=5\n";
	FILE *file = fopen(path, "we");
	struct config config;

	(void)state;
	assert_int_equal(fwrite(text, 1, sizeof text - 1, file), sizeof text - 1);
	fclose(file);
	assert_int_equal(load(&row, &config, error), -1);
	check_has("NUL", error, "NUL");
	config_free(&config);
	free(path);
}

/* Not set: there is a default, an absolute path. */
static void
test_default_state_dir(void **state)
{
	static const struct row row = {{NULL}, NULL, NULL, NULL};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&row, &config, error), 0);
	assert_int_equal(config.state_dir[0], '/');
	config_free(&config);
}

/* Even one that occurs twice, and one that is not used because another setting is wrong. */
static void
test_keys_are_wiped(void **state)
{
	char settings_file[] = "ASSISTANTS_CONFIG=/dev/null", key[] = "OPENAI_API_KEY=sk-first-key",
	     again[] = "OPENAI_API_KEY=sk-second-key", like[] = "OPENAI_API_KEYS=not-a-key",
	     upstream[] = "ASSISTANTS_UPSTREAM_KEY=sk-upstream", wrong[] = "ASSISTANTS_WORKERS=0";
	char *variables[] = {settings_file, key, again, like, upstream, wrong, NULL};
	char **saved = environ, error[ERROR_SIZE];
	struct config config;
	int result;

	(void)state;
	environ = variables;
	result = config_load(&config, error);
	environ = saved;
	assert_int_equal(result, -1);
	check_text("the first", config.api_key, "sk-first-key");
	config_free(&config);
	check_text("first", key, "OPENAI_API_KEY=");
	check_text("second", again, "OPENAI_API_KEY=");
	assert_null(memmem(again, sizeof again, "second", strlen("second")));
	assert_null(memmem(upstream, sizeof upstream, "sk-", strlen("sk-")));
	check_text("no setting", like, "OPENAI_API_KEYS=not-a-key");
	for (size_t i = 0; variables[i]; i++)
		assert_true(variables[i] != key && variables[i] != again);
}

static void
test_hide_memory(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		config_hide_memory();
		_exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int
make_folder(void **state)
{
	static char text[5000];
	static const char *const files[][2] = {{"key", "sk-from-file \r\n\n"}, {"empty", " \n"},
	    {"lines", "sk-1\nsk-2\n"}, {"long", text}, {"token", "0123456789abcdef\n"}};

	(void)state;
	memset(text, 'a', sizeof text - 1);
	folder = folder_new();
	for (size_t i = 0; i < COUNT(files); i++) {
		char *path = path_in(folder, files[i][0]);

		file_write(path, files[i][1]);
		free(path);
	}
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	folder_remove(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_file_with_nul),
	    cmocka_unit_test(test_default_state_dir),
	    cmocka_unit_test(test_keys_are_wiped),
	    cmocka_unit_test(test_hide_memory),
	};

	return cmocka_run_group_tests_name("config", tests, make_folder, remove_folder);
}
