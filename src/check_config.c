#include "check_config.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#include "assistants/api.h"
#include "check_url.h"
#include "config.h"
#include "db/db.h"
#include "gateway/definition.h"
#include "model/model.h"
#include "net/http_client.h"
#include "obs/log.h"
#include "records/thread.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"
#include "v1/keys.h"

enum {
	TIMEOUT_MS = 10000,
	ANSWER_MAX = 16 << 20, /* some servers list hundreds of models, each with a description */
	PART_MAX = 16 << 10,
	NAMES_SHOWN = 3,
	WORDS_SIZE = 320
};

struct checks {
	struct config config;
	bool configured;
	bool has_folder;                /* the state folder can be used */
	struct json_object *definition; /* NULL: unreadable; definition_error says why */
	char config_error[ERROR_SIZE], definition_error[ERROR_SIZE];
	char logged[WORDS_SIZE]; /* the first error or warning that a check logged */
	struct buf words;        /* what this check reports */
};

/* A part to check. If its check reports nothing, the part does not exist here and gets no line. */
struct part {
	const char *name;
	bool (*check)(struct checks *checks); /* returns whether it is fine */
};

static _Noreturn void
give_up(void)
{
	fputs("out of memory\n", stderr);
	exit(1);
}

static void __attribute__((format(printf, 2, 0)))
say(struct checks *checks, const char *format, va_list args)
{
	char *words;

	if (vasprintf(&words, format, args) < 0)
		return;
	buf_puts(&checks->words, words);
	free(words);
}

static bool __attribute__((format(printf, 2, 3)))
well(struct checks *checks, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(checks, format, args);
	va_end(args);
	return true;
}

static bool __attribute__((format(printf, 2, 3)))
wrong(struct checks *checks, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(checks, format, args);
	va_end(args);
	return false;
}

/* --- this machine --- */

/* Quotes that a shell would remove stay part of the value in a file. */
static bool
is_quoted(const char *value)
{
	size_t len = value ? strlen(value) : 0;

	return len > 1 && (*value == '"' || *value == '\'') && value[len - 1] == *value;
}

static bool
check_quotes(struct checks *checks)
{
	const struct config *config = &checks->config;
	const char *const settings[][2] = {
	    {"OPENAI_API_KEY", config->api_key},
	    {"ASSISTANTS_UPSTREAM_KEY", config->upstream_key},
	    {"ASSISTANTS_ACCESS_TOKEN", config->access_token},
	};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (is_quoted(settings[i][1]))
			return wrong(checks,
			    "%s has quotes around it, which count as part of the value: remove "
			    "them",
			    settings[i][0]);
	return true;
}

static bool
check_configuration(struct checks *checks)
{
	const char *file = checks->config.file;
	const char *const files[] = {file, checks->config.key_file, checks->config.token_file};

	if (!checks->configured)
		return wrong(checks, "%s", checks->config_error);
	/* Root may have read these files; by now we are the user that the program runs as. */
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (files[i] && access(files[i], R_OK) < 0)
			return wrong(checks,
			    "%s cannot be read by the owner of %s, the user that the program runs "
			    "as: chown or chmod it",
			    files[i], checks->config.state_dir);
	if (!check_quotes(checks))
		return false;
	return file ? well(checks, "from %s and the environment", file)
		    : well(checks, "from the environment only, there is no configuration file");
}

static bool
check_state_folder(struct checks *checks)
{
	char error[ERROR_SIZE];

	if (*checks->config_error)
		return wrong(checks, "%s", checks->config_error);
	if (config_prepare_state_dir(&checks->config, error) < 0)
		return wrong(checks, "%s", error);
	checks->has_folder = true;
	return well(checks, "%s", checks->config.state_dir);
}

static bool
tell_database(struct checks *checks, const char *error)
{
	return wrong(checks,
	    "%s: check that no other program has locked it and that its disk has room, restore a "
	    "backup, or set ASSISTANTS_STATE_DIR to another folder",
	    error);
}

static bool
check_database(struct checks *checks)
{
	char error[ERROR_SIZE], *path;
	long long threads = -1;
	struct db *db;
	bool good;

	if (!config_needs_database(&checks->config))
		return true;
	if (!checks->has_folder)
		return wrong(
		    checks, "not tested, because it is in the state folder: correct that first");
	path = config_database_path(&checks->config);
	if (!path)
		return wrong(checks, "out of memory");
	db = db_open(path, checks->config.sync == SYNC_FULL, error);
	if (db)
		threads = threads_count(db);
	if (threads < 0)
		good = tell_database(checks, db ? checks->logged : error);
	else
		good = well(checks, "%s, %lld thread%s%s%s", path, threads, threads == 1 ? "" : "s",
		    *checks->logged ? "; " : "", checks->logged);
	db_close(db);
	free(path);
	return good;
}

/* Tools that load become part of the definition, so that both are checked together. */
static bool
check_tools(struct checks *checks)
{
	const char *folder = checks->config.tools_dir;
	struct buf names = BUF_INIT(PART_MAX / 2);
	struct tools *tools;
	bool good;

	if (!folder)
		return true;
	tools = tools_load(folder);
	if (!tools)
		return wrong(checks,
		    "%s: %s: create the folder, or set ASSISTANTS_TOOLS_DIR to the right one",
		    folder, strerror(errno));
	for (size_t i = 0; i < tools_len(tools); i++)
		buf_printf(&names, "%s%s", i ? ", " : "", tools_name(tools, i));
	if (checks->definition && tools_len(tools) > 0)
		tools_define(tools, checks->definition);
	good = *checks->logged
	    ? wrong(checks, "%s", checks->logged)
	    : well(checks, "%s: %s", folder, names.len ? names.data : "none yet");
	buf_free(&names);
	tools_free(tools);
	return good;
}

static bool
check_definition(struct checks *checks)
{
	const char *file = checks->config.definition;
	char error[ERROR_SIZE] = "";

	if (!checks->definition)
		return wrong(checks,
		    "%s; correct the file, or set ASSISTANTS_DEFINITION to another one",
		    checks->definition_error);
	/* A remote API has rules of its own. */
	if (!checks->config.upstream_url && !api_would_create_assistant(checks->definition, error))
		return wrong(checks, "correct %s: %s", file ? file : "ASSISTANTS_MODEL", error);
	return well(checks, "%s, \"%s\" with the model %s", file ? file : "the built-in one",
	    json_get_string(checks->definition, "name"),
	    json_get_string(checks->definition, "model"));
}

static bool
check_keys(struct checks *checks)
{
	const char *file = checks->config.keys_file;
	struct keys *keys;
	size_t count;

	if (checks->config.upstream_url)
		return true;
	if (access(file, R_OK) < 0 && errno != ENOENT)
		return wrong(
		    checks, "%s cannot be read: %s: chown or chmod it", file, strerror(errno));
	keys = keys_new(file);
	if (!keys)
		return wrong(checks, "out of memory");
	count = keys_count(keys);
	keys_free(keys);
	if (*checks->logged)
		return wrong(checks, "%s", checks->logged);
	if (count == 0)
		return well(checks, "none, so /v1 refuses everything; --make-key NAME makes one");
	return well(checks, "%s, %zu for /v1", file, count);
}

/* Reports what strangers may do. Each setting was validated when it was read. */
static bool
check_admission(struct checks *checks)
{
	const struct config *config = &checks->config;
	char rate[64] = "any number of messages a minute", tokens[64] = "any number of tokens";
	char names[64] = "";

	if (config->rate)
		snprintf(rate, sizeof rate, "%u messages a minute from each address", config->rate);
	if (config->daily_tokens)
		snprintf(tokens, sizeof tokens, "%u tokens", config->daily_tokens);
	if (config->key_daily_tokens)
		snprintf(
		    names, sizeof names, ", %u for each name under /v1", config->key_daily_tokens);
	return well(checks, "%s, %s a day%s; %s%s%s%s; %s%s", rate, tokens, names,
	    config->allow_origin ? "pages of this site and of " : "pages of this site alone",
	    config->allow_origin ? config->allow_origin : "",
	    config->allowed_hosts ? "; the hosts " : "",
	    config->allowed_hosts ? config->allowed_hosts : "",
	    config->access_token ? "only with the access token" : "no access token",
	    config->trusted_proxies ? "; X-Forwarded-For of trusted proxies is believed" : "");
}

/* --- servers --- */

/* A server, the settings that name it, and the list to ask it for. */
struct server {
	const char *url, *key;
	const char *url_setting, *key_setting;
	const char *path, *header;
	bool is_model_server; /* it may be fine without such a list */
};

/* How a server is asked. */
struct asking {
	struct http_client *client;
	const char *headers[4];
};

/*
 * There is no list of models: tries the paths for questions to find out whether the URL is right.
 */
static bool
tell_base(struct checks *checks, const struct server *server, const struct asking *asking,
    const char *came)
{
	const char *path;
	char *base = check_url_base(asking->client, server->url, asking->headers, &path);
	bool good;

	if (!base)
		good = wrong(checks, "%s %s, and does not accept questions either: check %s",
		    server->url, came, server->url_setting);
	else if (strcmp(base, server->url) == 0)
		good = well(checks, "%s %s, but accepts questions at %s", server->url, came, path);
	else
		good = wrong(checks, "%s is not the base URL, but %s is: change %s", server->url,
		    base, server->url_setting);
	free(base);
	return good;
}

/* Reports an answer with `status`, which is not the expected one. */
static bool
tell_refusal(struct checks *checks, const struct server *server, const struct asking *asking,
    long status, struct json_object *body)
{
	char came[64];

	const char *words = json_get_string(json_get_object(body, "error"), "message");
	const char *colon = words ? ": " : "";

	words = words ? words : "";
	snprintf(came, sizeof came, "has no list of models (%ld)", status);
	if (server->is_model_server && (status == 404 || status == 405 || status == 501))
		return tell_base(checks, server, asking, came);
	if (status == 401 && !server->key)
		return wrong(
		    checks, "%s needs a key (401): set %s", server->url, server->key_setting);
	if (status == 401)
		return wrong(
		    checks, "%s refuses the key (401): check %s", server->url, server->key_setting);
	if (status == 403)
		return wrong(checks,
		    "%s forbids the request (403%s%s): check %s, and the permissions of that key",
		    server->url, colon, words, server->key_setting);
	if (status == 429 || status == 503)
		return wrong(checks, "%s is busy (%ld%s%s): try again later", server->url, status,
		    colon, words);
	return wrong(checks, "%s answers %ld%s%s: check %s", server->url, status, colon, words,
	    server->url_setting);
}

static bool
tell_silence(struct checks *checks, const struct server *server, const struct asking *asking,
    enum http_outcome outcome, const struct http_answer *answer)
{
	bool is_tls = strncasecmp(server->url, "https:", 6) == 0;

	if ((outcome == HTTP_BAD_TLS || outcome == HTTP_CUT) &&
	    check_url_scheme(asking->client, server->url))
		return wrong(checks, "%s: this port speaks %s: change %s", server->url,
		    is_tls ? "http, not https" : "https, not http", server->url_setting);
	if (outcome == HTTP_SILENT)
		return wrong(checks, "%s does not answer within %d seconds: check %s", server->url,
		    TIMEOUT_MS / 1000, server->url_setting);
	if (outcome == HTTP_BAD_TLS)
		return wrong(checks,
		    "%s: %s: check %s; ASSISTANTS_CA_FILE names the certificates to trust",
		    server->url, answer->detail, server->url_setting);
	return wrong(checks, "%s cannot be reached: %s: check %s", server->url, answer->detail,
	    server->url_setting);
}

/* The objects in the list `body`; NULL: it is no list. Some servers send the bare array. */
static struct json_object *
listed(struct json_object *body)
{
	return json_object_is_type(body, json_type_array) ? body : json_get_array(body, "data");
}

static bool
read_answer(struct checks *checks, const struct server *server, const struct asking *asking,
    const struct http_answer *answer, struct json_object **list)
{
	const char *text = answer->body.data ? answer->body.data : "";
	struct json_object *body;
	bool good = true;

	if (json_parse_foreign(text, answer->body.len, &body) < 0)
		body = NULL;
	if (answer->status / 100 != 2)
		good = tell_refusal(checks, server, asking, answer->status, body);
	else if (listed(body))
		*list = json_object_get(listed(body));
	else if (server->is_model_server)
		good = tell_base(checks, server, asking, "answers, but has no list of models");
	else
		good = wrong(checks, "%s answers, but %s returns no list: check %s", server->url,
		    server->path, server->url_setting);
	json_object_put(body);
	return good;
}

/*
 * Asks for the list; the caller releases it. *list NULL: the reason has been reported, and the
 * result says whether that is acceptable.
 */
static bool
ask(struct checks *checks, const struct server *server, struct json_object **list)
{
	struct asking asking = {.client = http_client_new(checks->config.ca_file),
	    .headers = {"Accept: application/json", server->header}};
	struct http_call call = {
	    .method = "GET",
	    .headers = asking.headers,
	    .answer_max = ANSWER_MAX,
	    .timeout_ms = TIMEOUT_MS,
	    .repeatable = true,
	};
	char *url = NULL, *authorization = NULL;
	struct http_answer answer;
	enum http_outcome outcome;
	bool good = false;

	*list = NULL;
	if (!asking.client || asprintf(&url, "%s%s", server->url, server->path) < 0 ||
	    asprintf(&authorization, "Authorization: Bearer %s", server->key ? server->key : "") <
		0)
		give_up();
	if (server->key)
		asking.headers[server->header ? 2 : 1] = authorization;
	call.url = url;
	outcome = http_client_call(asking.client, &call, &answer);
	good = outcome == HTTP_ANSWERED ? read_answer(checks, server, &asking, &answer, list)
					: tell_silence(checks, server, &asking, outcome, &answer);
	http_answer_free(&answer);
	explicit_bzero(authorization, strlen(authorization));
	free(authorization);
	free(url);
	http_client_free(asking.client);
	return good;
}

static bool
is_named(const char *id, const char *model)
{
	size_t len = strlen(model);

	/* Ollama takes "NAME" for what it lists as "NAME:latest". */
	return strncmp(id, model, len) == 0 && (!id[len] || strcmp(id + len, ":latest") == 0);
}

static bool
lists(struct json_object *list, const char *model)
{
	static const char prefix[] = "models/"; /* Google's, which requests may leave out */

	for (size_t i = 0; i < json_len(list); i++) {
		const char *id = json_get_string(json_at(list, i), "id");

		if (id && is_named(id, model))
			return true;
		if (id && strncmp(id, prefix, strlen(prefix)) == 0 &&
		    is_named(id + strlen(prefix), model))
			return true;
	}
	return false;
}

/* The first few names of a list, to help with a misspelt one; the caller's to free. */
static char *
some_names(struct json_object *list)
{
	struct buf names = BUF_INIT(PART_MAX / 2);

	for (size_t i = 0; i < json_len(list) && i < NAMES_SHOWN; i++) {
		const char *id = json_get_string(json_at(list, i), "id");

		buf_printf(&names, "%s%.128s", i ? ", " : "", id ? id : "?");
	}
	buf_puts(&names, json_len(list) > NAMES_SHOWN ? ", …" : "");
	return buf_take(&names);
}

/* `remedy`: what to change. */
static bool
tell_unknown(struct checks *checks, struct json_object *list, const char *model, const char *remedy)
{
	char *names = some_names(list);

	wrong(checks, "%s does not list the model %s (it has %s): %s", checks->config.base_url,
	    model, names && *names ? names : "none", remedy);
	free(names);
	return false;
}

/* Checks that the server has the definition's model, and each model that others are mapped to. */
static bool
check_models(struct checks *checks, struct json_object *list)
{
	const struct config *config = &checks->config;
	const char *asked = json_get_string(checks->definition, "model");
	const char *sent = asked ? model_sent_name(config->models, asked) : NULL;

	if (config->models) {
		json_object_object_foreach(config->models, name, value)
		{
			const char *model = json_object_get_string(value);

			(void)name;
			if (!lists(list, model))
				return tell_unknown(
				    checks, list, model, "change ASSISTANTS_MODELS");
		}
	}
	if (!asked)
		return well(checks, "%s answers", config->base_url);
	if (!lists(list, sent))
		return tell_unknown(checks, list, sent,
		    config->definition ? "change the definition's model, or set ASSISTANTS_MODELS"
				       : "set ASSISTANTS_MODEL or ASSISTANTS_MODELS");
	return strcmp(sent, asked) == 0
	    ? well(checks, "%s has the model %s", config->base_url, sent)
	    : well(checks, "%s has the model %s, sent in place of %s", config->base_url, sent,
		  asked);
}

static bool
check_model_server(struct checks *checks)
{
	const struct server server = {
	    .url = checks->config.base_url,
	    .key = checks->config.api_key,
	    .url_setting = "OPENAI_BASE_URL",
	    .key_setting = "OPENAI_API_KEY",
	    .path = "/models",
	    .is_model_server = true,
	};
	struct json_object *list;
	bool good;

	if (checks->config.upstream_url)
		return true;
	if (checks->config.model_api == MODEL_API_OFFLINE)
		return well(checks,
		    "none, so a small built-in script answers: set OPENAI_API_KEY or "
		    "OPENAI_BASE_URL, without ASSISTANTS_MODEL_API=offline, for a real one");
	good = ask(checks, &server, &list);
	if (list)
		good = check_models(checks, list);
	json_object_put(list);
	return good;
}

static bool
check_assistants_api(struct checks *checks)
{
	const struct server server = {
	    .url = checks->config.upstream_url,
	    .key = checks->config.upstream_key,
	    .url_setting = "ASSISTANTS_UPSTREAM_URL",
	    .key_setting = "ASSISTANTS_UPSTREAM_KEY",
	    .path = "/assistants?limit=1",
	    .header = "OpenAI-Beta: assistants=v2",
	};
	struct json_object *list;
	bool good;

	if (!server.url)
		return true;
	good = ask(checks, &server, &list);
	if (list)
		good = well(checks, "%s answers", server.url);
	json_object_put(list);
	return good;
}

/* --- all checks --- */

static const struct part parts[] = {
    {"configuration", check_configuration},
    {"state folder", check_state_folder},
    {"database", check_database},
    {"model server", check_model_server},
    {"Assistants API", check_assistants_api},
    {"tools", check_tools},
    {"definition", check_definition},
    {"keys", check_keys},
    {"admission", check_admission},
};

/*
 * Prints one line of valid UTF-8, without secrets and without control characters for the terminal.
 */
static void
print(const char *name, bool good, const char *words)
{
	char *shown = log_redact(words);
	size_t size = shown ? 3 * strlen(shown) + 1 : 0;
	char *line = shown ? malloc(size) : NULL;

	if (line) {
		utf8_copy(line, size, shown);
		for (unsigned char *at = (unsigned char *)line; *at; at++) {
			if (*at < ' ' || *at == 0x7f)
				*at = ' ';
			else if (*at == 0xc2 && at[1] < 0xa0)
				at[1] = 0xa0;
		}
	}
	printf("%s: %s, %s\n", name, good ? "ok" : "NOT ok", line ? line : "out of memory");
	/* The next check may take a while. */
	fflush(stdout);
	free(line);
	free(shown);
}

static bool
check_part(struct checks *checks, const struct part *part)
{
	bool good;

	checks->words = (struct buf)BUF_INIT(PART_MAX);
	*checks->logged = '\0';
	good = part->check(checks);
	if (checks->words.data || !good)
		print(part->name, good, checks->words.data ? checks->words.data : "out of memory");
	buf_free(&checks->words);
	return good;
}

static int
load(struct checks *checks)
{
	struct config *config = &checks->config;

	if (config_load(config, checks->config_error) < 0)
		return -1;
	checks->configured = true;
	if ((config->api_key && log_add_secret(config->api_key) < 0) ||
	    (config->upstream_key && log_add_secret(config->upstream_key) < 0) ||
	    (config->access_token && log_add_secret(config->access_token) < 0))
		give_up();
	return config_become_owner(config, checks->config_error);
}

int
check_config(void)
{
	struct checks checks = {0};
	bool good = true;

	log_capture(checks.logged, sizeof checks.logged);
	if (load(&checks) == 0 || checks.configured)
		checks.definition = definition_load(&checks.config, checks.definition_error);
	definition_take_answer_max(checks.definition);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		good &= check_part(&checks, &parts[i]);
		/*
		 * With a wrong setting, the other checks would test, or even create, the wrong
		 * things.
		 */
		if (!checks.configured)
			break;
	}
	json_object_put(checks.definition);
	config_free(&checks.config);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
