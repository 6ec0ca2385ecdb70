#include "config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/http_client.h"
#include "os/file.h"
#include "text/json.h"
#include "text/text.h"

enum { CONFIG_FILE_MAX = 1 << 20, KEY_MAX = 4096, ACCESS_TOKEN_LEN_MIN = 16 };

static const char etc_path[] = "/etc/assistants-fcgi.conf";
static const char var_state_dir[] = "/var/lib/assistants-fcgi";

/* A setting: its name, the function that parses its value, and the member that receives it. */
struct setting {
	const char *name;
	int (*parse)(const struct setting *setting, const char *value, void *field, char *error);
	size_t offset;
	const char *fallback; /* NULL: none */
	long long min, max;
	const char *words[LOG_LEVEL__MAX + 1]; /* of an enum, in its order */
};

static int __attribute__((format(printf, 2, 3))) fail(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, ERROR_SIZE, format, args);
	va_end(args);
	return -1;
}

static int
parse_text(const struct setting *setting, const char *value, void *field, char *error)
{
	char **text = field;

	if (!utf8_valid(value, strlen(value)) || text_is_blank(value))
		return fail(error, "%s is empty or not UTF-8: leave it out, or give it a value",
		    setting->name);
	free(*text);
	*text = strdup(value);
	return *text ? 0 : fail(error, "out of memory");
}

/* A key goes into a header, where a line break would forge other headers. */
static int
parse_key(const struct setting *setting, const char *value, void *field, char *error)
{
	for (const char *at = value; *at; at++)
		if (*at <= ' ' || *at > '~')
			return fail(error,
			    "%s has a character that no key has: only visible ASCII characters are "
			    "accepted",
			    setting->name);
	return parse_text(setting, value, field, error);
}

static int
parse_url(const struct setting *setting, const char *value, void *field, char *error)
{
	size_t len = strlen(value);
	char **url = field;

	if (!http_url_valid(value) || strpbrk(value, "?# \t"))
		return fail(error,
		    "%s is not a URL that can be used: it must begin with http:// or https:// and "
		    "have a host; a path is accepted, a user name or a query is not",
		    setting->name);
	while (len > 0 && value[len - 1] == '/')
		len--;
	free(*url);
	*url = strndup(value, len);
	return *url ? 0 : fail(error, "out of memory");
}

static int
parse_path(const struct setting *setting, const char *value, void *field, char *error)
{
	if (value[0] != '/')
		return fail(error, "%s is %s: it must be an absolute path", setting->name,
		    *value ? "relative" : "empty");
	return parse_text(setting, value, field, error);
}

/* The real path of the part of `path` that exists; NULL: none, or no memory. */
static char *
real_ancestor(const char *path)
{
	char *part = strdup(path), *real = NULL, *slash;

	while (part && !(real = realpath(part, NULL)) && errno == ENOENT &&
	    (slash = strrchr(part, '/')))
		*slash = '\0';
	free(part);
	return real;
}

/* Web servers may serve what is in the program's own folder. */
static bool
is_beside_program(const char *path)
{
	char *real = real_ancestor(path), *program = realpath("/proc/self/exe", NULL);
	size_t len = program ? (size_t)(strrchr(program, '/') - program) : 0;
	/* A program in "/": no web server serves all of "/". */
	bool beside = len > 0 && real && program && strncmp(real, program, len) == 0 &&
	    (real[len] == '/' || !real[len]);

	free(real);
	free(program);
	return beside;
}

/* A path outside of what web servers may serve. */
static int
parse_outside_path(const struct setting *setting, const char *value, void *field, char *error)
{
	if (value[0] == '/' && is_beside_program(value))
		return fail(error,
		    "%s: %s is inside the program's own folder, which web servers may serve: keep "
		    "it elsewhere",
		    setting->name, value);
	return parse_path(setting, value, field, error);
}

/* Reads a key from the file `value`, and stores the file's path in *name. */
static int
read_key_file(
    const struct setting *setting, const char *value, void *field, char **name, char *error)
{
	size_t len;
	char *key;
	int result;

	if (value[0] != '/')
		return fail(error, "%s is not an absolute path", setting->name);
	if (is_beside_program(value))
		return fail(error,
		    "%s: %s is inside the program's own folder, which web servers may serve: keep "
		    "it elsewhere",
		    setting->name, value);
	key = file_read(value, KEY_MAX, &len);
	if (!key)
		return fail(error, "%s: %s: %s", setting->name, value, strerror(errno));
	while (len > 0 && strchr(" \t\r\n", key[len - 1]))
		key[--len] = '\0';
	if (len == 0)
		result = fail(
		    error, "%s: %s is empty: it must hold the key or token", setting->name, value);
	else
		result = parse_key(setting, key, field, error);
	explicit_bzero(key, len);
	free(key);
	if (result == 0 && !(*name = strdup(value)))
		return fail(error, "out of memory");
	return result;
}

static int
parse_key_file(const struct setting *setting, const char *value, void *field, char *error)
{
	struct config *config = (struct config *)((char *)field - setting->offset);

	return read_key_file(setting, value, field, &config->key_file, error);
}

/* A short token could be guessed, so it is refused. */
static int
parse_token_file(const struct setting *setting, const char *value, void *field, char *error)
{
	struct config *config = (struct config *)((char *)field - setting->offset);
	char **token = field;

	if (read_key_file(setting, value, field, &config->token_file, error) < 0)
		return -1;
	if (*token && strlen(*token) >= ACCESS_TOKEN_LEN_MIN)
		return 0;
	return fail(error,
	    "%s: the token in %s has fewer than %d characters: `openssl rand -hex 32` makes a good "
	    "one",
	    setting->name, value, ACCESS_TOKEN_LEN_MIN);
}

/*
 * Whether this is an origin as browsers send it. A path, a trailing slash, capitals, a pattern, or
 * the scheme's default port would never match.
 */
static bool
is_origin(const char *text, size_t len)
{
	const char *port;
	size_t scheme = strncmp(text, "http://", 7) == 0 ? 7
	    : strncmp(text, "https://", 8) == 0          ? 8
							 : 0;

	if ((len == 1 && *text == '*') || (len == 4 && strncmp(text, "null", 4) == 0))
		return true;
	if (scheme == 0 || len == scheme)
		return false;
	port = scheme == 7 ? ":80" : ":443";
	if (len > strlen(port) && strncmp(text + len - strlen(port), port, strlen(port)) == 0)
		return false;
	for (size_t i = scheme; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-._:[]", text[i]))
			return false;
	return true;
}

static int
parse_origins(const struct setting *setting, const char *value, void *field, char *error)
{
	static const char blanks[] = ", \t";

	for (const char *at = value + strspn(value, blanks); *at; at += strspn(at, blanks)) {
		size_t len = strcspn(at, blanks);

		if (!is_origin(at, len))
			return fail(error,
			    "%s has \"%.*s\": an origin looks like https://example.org, in lower "
			    "case, without a path, a slash at the end or the scheme's default "
			    "port; separate them by blanks or commas; * stands for all",
			    setting->name, (int)(len < 200 ? len : 200), at);
		at += len;
	}
	return parse_text(setting, value, field, error);
}

/* Host names as browsers send them, without scheme, port and path. */
static int
parse_hosts(const struct setting *setting, const char *value, void *field, char *error)
{
	static const char blanks[] = ", \t";

	for (const char *at = value + strspn(value, blanks); *at; at += strspn(at, blanks)) {
		size_t len = strcspn(at, blanks);

		if (strspn(at,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			"-._[]:*") < len ||
		    (*at == '[' && at[len - 1] != ']') || (len > 1 && at[len - 1] == '.') ||
		    (*at != '[' && memchr(at, ':', len)) || (len > 1 && memchr(at, '*', len)))
			return fail(error,
			    "%s has \"%.*s\": a host name looks like example.org, without scheme, "
			    "port and path; separate them by blanks or commas; * stands for all",
			    setting->name, (int)(len < 200 ? len : 200), at);
		at += len;
	}
	return parse_text(setting, value, field, error);
}

static int
parse_ranges(const struct setting *setting, const char *value, void *field, char *error)
{
	struct address_ranges **ranges = field;
	const char *bad;
	size_t bad_len;

	*ranges = address_ranges_parse(value, &bad, &bad_len);
	if (*ranges)
		return 0;
	if (!bad)
		return fail(error, "out of memory");
	return fail(error,
	    "%s has \"%.*s\": an address or range looks like 192.0.2.1, 10.0.0.0/8 or "
	    "2001:db8::/32; separate them by blanks or commas",
	    setting->name, (int)(bad_len < 200 ? bad_len : 200), bad);
}

static int
parse_unsigned(const struct setting *setting, const char *value, void *field, char *error)
{
	long long number;

	if (parse_number(value, setting->min, setting->max, &number) < 0)
		return fail(error, "%s is \"%s\": it must be a whole number from %lld to %lld",
		    setting->name, value, setting->min, setting->max);
	*(unsigned *)field = (unsigned)number;
	return 0;
}

/* A number, or "off", which is 0: no bound. */
static int
parse_bound(const struct setting *setting, const char *value, void *field, char *error)
{
	long long number = 0;

	if (strcmp(value, "off") != 0 &&
	    parse_number(value, setting->min, setting->max, &number) < 0)
		return fail(error,
		    "%s is \"%s\": it must be a whole number from %lld to %lld, or off",
		    setting->name, value, setting->min, setting->max);
	*(unsigned *)field = (unsigned)number;
	return 0;
}

/* Adds one pair ASKED=SENT. 0; -1: it is no pair, or ASKED is there already. */
static int
add_model(struct json_object *models, char *pair)
{
	char *sent = strchr(pair, '=');

	if (!sent || strpbrk(pair, " \t"))
		return -1;
	*sent++ = '\0';
	if (!*pair || !*sent || json_get(models, pair))
		return -1;
	json_set_string(models, pair, sent);
	return 0;
}

static int
parse_models(const struct setting *setting, const char *value, void *field, char *error)
{
	struct json_object *models = json_new_object(), **out = field;
	char *pairs = strdup(value);
	int result = pairs && utf8_valid(value, strlen(value)) ? 0 : -1;

	for (char *pair = pairs, *next; pair && result == 0; pair = next) {
		next = strchr(pair, ',');
		if (next)
			*next++ = '\0';
		result = add_model(models, pair);
	}
	free(pairs);
	if (result < 0) {
		json_object_put(models);
		return fail(error,
		    "%s is \"%s\": it must be pairs ASKED=SENT of model names, separated by commas "
		    "without blanks; no model may be asked for twice; * stands for all others",
		    setting->name, utf8_valid(value, strlen(value)) ? value : "not UTF-8");
	}
	*out = models;
	return 0;
}

/* A number of bytes, or of KiB, MiB or GiB. */
static int
parse_size(const struct setting *setting, const char *value, void *field, char *error)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
	unsigned long long min = (unsigned long long)setting->min,
			   max = (unsigned long long)setting->max;
	unsigned long long number;
	char *unit;

	errno = 0;
	number = strtoull(value, &unit, 10);
	unit += strspn(unit, " ");
	/* strtoull() accepts blanks and signs, too. */
	for (size_t i = 0; *value >= '0' && *value <= '9' && i < sizeof units / sizeof *units;
	     i++) {
		unsigned shift = units[i].shift;

		if (errno || strcmp(unit, units[i].unit) != 0 || number > max >> shift ||
		    number << shift < min)
			continue;
		*(size_t *)field = (size_t)number << shift;
		return 0;
	}
	return fail(error,
	    "%s is \"%s\": it must be a size from %lld to %lld bytes, such as 1048576, 1024KiB or "
	    "1MiB",
	    setting->name, value, setting->min, setting->max);
}

static int
parse_word(const struct setting *setting, const char *value, void *field, char *error)
{
	char accepted[256] = "";
	size_t used = 0;
	int i;

	for (i = 0; setting->words[i]; i++) {
		if (strcmp(value, setting->words[i]) == 0) {
			/* Enums have the size of an int here; the assertion below checks it. */
			*(unsigned *)field = (unsigned)i;
			return 0;
		}
		used += (size_t)snprintf(accepted + used, sizeof accepted - used, "%s%s",
		    i ? ", " : "", setting->words[i]);
	}
	return fail(error, "%s is \"%s\": it must be one of %s", setting->name, value, accepted);
}

_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "parse_word() writes an unsigned");

#define FIELD(name) offsetof(struct config, name)

static const struct setting settings[] = {
    {"OPENAI_API_KEY", parse_key, FIELD(api_key), NULL, 0, 0, {0}},
    {"OPENAI_API_KEY_FILE", parse_key_file, FIELD(api_key), NULL, 0, 0, {0}},
    {"OPENAI_BASE_URL", parse_url, FIELD(base_url), NULL, 0, 0, {0}},
    {"ASSISTANTS_MODEL_API", parse_word, FIELD(model_api), "auto", 0, 0,
	{"auto", "responses", "chat", "offline"}},
    {"ASSISTANTS_MODEL", parse_text, FIELD(model), "gpt-5.4-mini", 0, 0, {0}},
    {"ASSISTANTS_MODELS", parse_models, FIELD(models), NULL, 0, 0, {0}},
    {"ASSISTANTS_CA_FILE", parse_path, FIELD(ca_file), NULL, 0, 0, {0}},
    {"ASSISTANTS_DEFINITION", parse_path, FIELD(definition), NULL, 0, 0, {0}},
    {"ASSISTANTS_STATE_DIR", parse_path, FIELD(state_dir), NULL, 0, 0, {0}},
    {"ASSISTANTS_SYNC", parse_word, FIELD(sync), "full", 0, 0, {"full", "normal"}},
    {"ASSISTANTS_UPSTREAM_URL", parse_url, FIELD(upstream_url), NULL, 0, 0, {0}},
    {"ASSISTANTS_UPSTREAM_KEY", parse_key, FIELD(upstream_key), NULL, 0, 0, {0}},
    {"ASSISTANTS_KEYS_FILE", parse_outside_path, FIELD(keys_file), NULL, 0, 0, {0}},
    {"ASSISTANTS_ALLOW_ORIGIN", parse_origins, FIELD(allow_origin), NULL, 0, 0, {0}},
    {"ASSISTANTS_RATE", parse_bound, FIELD(rate), "30", 1, 1000000, {0}},
    {"ASSISTANTS_DAILY_TOKENS", parse_bound, FIELD(daily_tokens), "2000000", 1, 1000000000, {0}},
    {"ASSISTANTS_KEY_DAILY_TOKENS", parse_bound, FIELD(key_daily_tokens), "off", 1, 1000000000,
	{0}},
    {"ASSISTANTS_TRUSTED_PROXIES", parse_ranges, FIELD(trusted_proxies), NULL, 0, 0, {0}},
    {"ASSISTANTS_ACCESS_TOKEN_FILE", parse_token_file, FIELD(access_token), NULL, 0, 0, {0}},
    {"ASSISTANTS_TOOLS_DIR", parse_outside_path, FIELD(tools_dir), NULL, 0, 0, {0}},
    {"ASSISTANTS_ALLOWED_HOSTS", parse_hosts, FIELD(allowed_hosts), NULL, 0, 0, {0}},
    {"ASSISTANTS_PASS_THROUGH", parse_word, FIELD(pass_through), "on", 0, 0, {"off", "on"}},
    {"ASSISTANTS_METRICS", parse_word, FIELD(metrics), "off", 0, 0, {"off", "on"}},
    {"ASSISTANTS_WORKERS", parse_unsigned, FIELD(workers), "128", 3, 100000, {0}},
    {"ASSISTANTS_RUN_TIMEOUT", parse_unsigned, FIELD(run_timeout_s), "600", 1, 86400, {0}},
    {"ASSISTANTS_CONTEXT_TOKENS", parse_unsigned, FIELD(context_tokens), "100000", 256, 100000000,
	{0}},
    {"ASSISTANTS_RETENTION_DAYS", parse_bound, FIELD(retention_days), "off", 1, 36500, {0}},
    {"ASSISTANTS_MAX_BODY", parse_size, FIELD(max_body), "1MiB", 1024, 1LL << 30, {0}},
    {"ASSISTANTS_MAX_FILE", parse_size, FIELD(max_file), "512MiB", 1024, 8589934592, {0}},
    {"ASSISTANTS_FILES_QUOTA", parse_size, FIELD(files_quota), "1GiB", 1024, 1099511627776, {0}},
    {"ASSISTANTS_LOG", parse_word, FIELD(log_level), "info", 0, 0,
	{"error", "warn", "info", "debug"}},
};

enum { SETTINGS_LEN = sizeof settings / sizeof *settings };

static int
setting_index(const char *name)
{
	for (int i = 0; i < SETTINGS_LEN; i++)
		if (strcmp(settings[i].name, name) == 0)
			return i;
	return -1;
}

/* The file's values, by setting; they point into `text`. */
struct file_values {
	char *text;
	size_t len;
	char *path;
	const char *values[SETTINGS_LEN];
};

static int
read_line(struct file_values *file, char *line, unsigned number, char *error)
{
	char *equals, *end;
	int index;

	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	if (!*line || *line == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals)
		return fail(error,
		    "%s, line %u: only NAME=value, # comments and empty lines are accepted",
		    file->path, number);
	*equals = '\0';
	index = setting_index(line);
	if (index < 0)
		return fail(error,
		    "%s, line %u: there is no setting \"%s\"; the manual lists them all",
		    file->path, number, line);
	if (file->values[index])
		return fail(
		    error, "%s, line %u: %s is set a second time", file->path, number, line);
	file->values[index] = equals + 1;
	return 0;
}

static int
read_lines(struct file_values *file, char *error)
{
	unsigned number = 0;

	for (char *line = file->text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (read_line(file, line, ++number, error) < 0)
			return -1;
	}
	return 0;
}

/*
 * A path in the home folder of the password file. Under a web server HOME is unset, or another
 * user's.
 */
static char *
home_path(const char *below)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	char *path = NULL;

	if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found &&
	    asprintf(&path, "%s/%s", found->pw_dir, below) < 0)
		path = NULL;
	return path;
}

static int
read_file(struct file_values *file, char *error)
{
	const char *named = getenv("ASSISTANTS_CONFIG");
	size_t len;

	if (named && !*named)
		named = NULL;

	file->path = named ? strdup(named) : home_path(".config/assistants-fcgi/config");
	if (!named && (!file->path || access(file->path, F_OK) < 0)) {
		free(file->path);
		file->path = strdup(etc_path);
		if (file->path && access(file->path, F_OK) < 0)
			return 0;
	}
	if (!file->path)
		return fail(error, "out of memory");
	file->text = file_read(file->path, CONFIG_FILE_MAX, &len);
	if (!file->text)
		return fail(error, "the configuration file %s cannot be read: %s%s", file->path,
		    strerror(errno),
		    strcmp(file->path, etc_path) == 0
			? "; to use another file, set ASSISTANTS_CONFIG, or make "
			  "~/.config/assistants-fcgi/config"
			: "");
	file->len = len;
	if (strlen(file->text) != len)
		return fail(error, "the configuration file %s has a NUL byte in it", file->path);
	return read_lines(file, error);
}

static int
apply(struct config *config, const struct file_values *file, char *error)
{
	/* If the environment sets the key in one form, the file's other form is ignored. */
	bool key_in_environment = getenv("OPENAI_API_KEY") || getenv("OPENAI_API_KEY_FILE");

	for (int i = 0; i < SETTINGS_LEN; i++) {
		const struct setting *setting = &settings[i];
		const char *value = getenv(setting->name);
		bool is_key = setting->offset == FIELD(api_key);

		if (!value && !(is_key && key_in_environment))
			value = file->values[i];
		/* Many tools unset a variable by making it empty. */
		if (!value || !*value)
			value = setting->fallback;
		if (!value)
			continue;
		if (is_key && config->api_key)
			return fail(error,
			    "OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set: set only one of "
			    "them");
		if (setting->parse(setting, value, (char *)config + setting->offset, error) < 0)
			return -1;
	}
	return 0;
}

static int
find_state_dir(struct config *config, char *error)
{
	config->state_dir = access(var_state_dir, W_OK) == 0 || geteuid() == 0
	    ? strdup(var_state_dir)
	    : home_path(".local/state/assistants-fcgi");
	if (!config->state_dir)
		return fail(error,
		    "this user has no home folder: ASSISTANTS_STATE_DIR must name a state folder");
	return 0;
}

/* Checks and defaults that depend on several settings, or on the machine. */
static int
complete(struct config *config, char *error)
{
	if (config->model_api == MODEL_API_AUTO && !config->api_key && !config->base_url)
		config->model_api = MODEL_API_OFFLINE;
	if (!config->base_url && !(config->base_url = strdup("https://api.openai.com/v1")))
		return fail(error, "out of memory");
	if (config->upstream_key && !config->upstream_url)
		return fail(error,
		    "ASSISTANTS_UPSTREAM_KEY is set, but ASSISTANTS_UPSTREAM_URL is not: set both, "
		    "or none");
	if (config->upstream_url && config->retention_days)
		return fail(error,
		    "ASSISTANTS_RETENTION_DAYS and ASSISTANTS_UPSTREAM_URL are both set: the "
		    "threads are on that server, so remove one of the two settings");
	if (!config->state_dir && find_state_dir(config, error) < 0)
		return -1;
	if (!config->keys_file && asprintf(&config->keys_file, "%s/keys", config->state_dir) < 0) {
		config->keys_file = NULL;
		return fail(error, "out of memory");
	}
	return 0;
}

/* The environment may have a name more than once; getenv() finds only the first. */
static void
wipe_from_environment(const char *name)
{
	size_t len = strlen(name);

	for (char **variable = environ; variable && *variable; variable++)
		if (strncmp(*variable, name, len) == 0 && (*variable)[len] == '=')
			explicit_bzero(*variable + len + 1, strlen(*variable + len + 1));
	unsetenv(name);
}

static void
wipe_keys(void)
{
	for (int i = 0; i < SETTINGS_LEN; i++)
		if (settings[i].parse == parse_key)
			wipe_from_environment(settings[i].name);
}

int
config_load(struct config *config, char error[ERROR_SIZE])
{
	struct file_values file = {0};
	int result = -1;

	*config = (struct config){0};
	if (read_file(&file, error) == 0 && apply(config, &file, error) == 0)
		result = complete(config, error);
	wipe_keys();
	if (file.text) {
		explicit_bzero(file.text, file.len);
		config->file = file.path;
	} else {
		free(file.path);
	}
	free(file.text);
	return result;
}

void
config_hide_memory(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

int
config_become_owner(const struct config *config, char error[ERROR_SIZE])
{
	struct passwd *owner;
	struct stat status;

	if (geteuid() != 0 || stat(config->state_dir, &status) < 0 || status.st_uid == 0)
		return 0;
	/* With the owner's other groups: a key file may be readable by one of them only. */
	owner = getpwuid(status.st_uid);
	if ((owner ? initgroups(owner->pw_name, status.st_gid) : setgroups(0, NULL)) < 0 ||
	    setgid(status.st_gid) < 0 || setuid(status.st_uid) < 0)
		return fail(
		    error, "cannot become the owner of %s: %s", config->state_dir, strerror(errno));
	return 0;
}

static int
make_folders(const char *path)
{
	char *part = strdup(path);
	int result = part ? 0 : -1;

	for (char *at = part; result == 0 && at;) {
		at = strchr(at + 1, '/');
		if (at)
			*at = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			result = -1;
		if (at)
			*at = '/';
	}
	free(part);
	return result;
}

int
config_prepare_state_dir(const struct config *config, char error[ERROR_SIZE])
{
	/*
	 * Checked before the folder is made, and after it: only then is it known where "missing/.."
	 * leads.
	 */
	bool beside = is_beside_program(config->state_dir);

	if (!beside &&
	    (make_folders(config->state_dir) < 0 || access(config->state_dir, W_OK | X_OK) < 0))
		return fail(error,
		    "the state folder %s cannot be used: %s; set ASSISTANTS_STATE_DIR to another "
		    "one",
		    config->state_dir, strerror(errno));
	if (beside || is_beside_program(config->state_dir))
		return fail(error,
		    "the state folder %s is inside the program's own folder, which web servers may "
		    "serve: set ASSISTANTS_STATE_DIR to a folder elsewhere",
		    config->state_dir);
	return 0;
}

char *
config_database_path(const struct config *config)
{
	char *path;

	return asprintf(&path, "%s/assistants.db", config->state_dir) < 0 ? NULL : path;
}

bool
config_needs_database(const struct config *config)
{
	return !config->upstream_url || config->rate || config->daily_tokens;
}

void
config_free(struct config *config)
{
	free(config->file);
	free(config->api_key);
	free(config->key_file);
	free(config->base_url);
	free(config->model);
	json_object_put(config->models);
	free(config->ca_file);
	free(config->definition);
	free(config->state_dir);
	free(config->upstream_url);
	free(config->upstream_key);
	free(config->keys_file);
	free(config->allowed_hosts);
	free(config->allow_origin);
	address_ranges_free(config->trusted_proxies);
	if (config->access_token)
		explicit_bzero(config->access_token, strlen(config->access_token));
	free(config->access_token);
	free(config->token_file);
	free(config->tools_dir);
	*config = (struct config){0};
}
