#include "gateway/tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/tool_arguments.h"
#include "obs/log.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/id.h"
#include "process/child.h"
#include "text/buf.h"
#include "text/json.h"
#include "text/text.h"

enum {
	NAME_MAX_LEN = 64, /* the API's limit */
	ENV_MAX = 32,
	JSON_MAX = 256 << 10,
	OUTPUT_MAX = 256 << 10,
	TIMEOUT_S = 30,
	TIMEOUT_MAX_S = 3600,
	AT_ONCE = 8,
	TOOLS_MAX = 128, /* the API's limit */
	REASON_SIZE = 256
};

static const char path_fallback[] = "/usr/local/bin:/usr/bin:/bin";
static const char json_suffix[] = ".json";

struct tool {
	char name[NAME_MAX_LEN + 1];
	char *path;
	/* Kept as text: json-c's objects cannot be read by several threads at once. */
	char *function;         /* the API's definition of it */
	char *parameters;       /* NULL: not described */
	char *env[ENV_MAX + 1]; /* names */
	long long timeout_ms;
};

struct tools {
	char *folder; /* with symbolic links resolved */
	struct tool *tools;
	size_t len;
};

/* --- what a tool's JSON says --- */

static int __attribute__((format(printf, 2, 3))) fail(char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, REASON_SIZE, format, args);
	va_end(args);
	return -1;
}

/* The names of our own settings: some of them are keys. */
static bool
is_secret(const char *name)
{
	return strncmp(name, "OPENAI_", 7) == 0 || strncmp(name, "ASSISTANTS_", 11) == 0;
}

static int
read_env(struct tool *tool, struct json_object *env, char *reason)
{
	if (json_len(env) > ENV_MAX)
		return fail(reason, "\"env\" has more than %d names", ENV_MAX);
	for (size_t i = 0; i < json_len(env); i++) {
		struct json_object *item = json_at(env, i);
		const char *name = json_object_get_string(item);

		if (!json_object_is_type(item, json_type_string) || !*name || strchr(name, '='))
			return fail(
			    reason, "\"env\" must be an array of names of environment variables");
		if (is_secret(name))
			return fail(reason,
			    "\"env\" names %s, but the program's own settings are not given to "
			    "tools",
			    name);
		tool->env[i] = strdup(name);
		if (!tool->env[i])
			return fail(reason, "out of memory");
	}
	return 0;
}

/* Reads a member into the tool, or into its `function` for the API. */
static int
read_member(struct tool *tool, struct json_object *function, const char *name,
    struct json_object *value, char *reason)
{
	int64_t seconds = json_object_get_int64(value);

	if (strcmp(name, "description") == 0) {
		if (!json_object_is_type(value, json_type_string))
			return fail(reason, "\"description\" is not a string");
		json_set(function, name, json_object_get(value));
	} else if (strcmp(name, "parameters") == 0) {
		if (!json_object_is_type(value, json_type_object))
			return fail(reason, "\"parameters\" is not an object");
		json_set(function, name, json_object_get(value));
		free(tool->parameters);
		tool->parameters = strdup(json_text(value));
	} else if (strcmp(name, "env") == 0) {
		if (!json_object_is_type(value, json_type_array))
			return fail(
			    reason, "\"env\" must be an array of names of environment variables");
		return read_env(tool, value, reason);
	} else if (strcmp(name, "timeout_s") == 0) {
		if (!json_object_is_type(value, json_type_int) || seconds < 1 ||
		    seconds > TIMEOUT_MAX_S)
			return fail(reason, "\"timeout_s\" is not a whole number from 1 to %d",
			    TIMEOUT_MAX_S);
		tool->timeout_ms = seconds * 1000;
	} else {
		return fail(reason,
		    "there is no member \"%s\": only description, parameters, env and timeout_s "
		    "are accepted",
		    name);
	}
	return 0;
}

static int
read_members(struct tool *tool, struct json_object *json, char *reason)
{
	struct json_object *function = json_new_object();
	int result = 0;

	json_set_string(function, "name", tool->name);
	json_object_object_foreach(json, name, value)
	{
		result = read_member(tool, function, name, value, reason);
		if (result < 0)
			break;
	}
	tool->function = strdup(json_text(function));
	json_object_put(function);
	return result < 0 || tool->function ? result : fail(reason, "out of memory");
}

static int
read_json(struct tool *tool, const char *path, char *reason)
{
	struct json_object *json = NULL;
	struct stat status;
	size_t len;
	char *text;
	int result;

	/* Opening a pipe would block. */
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return fail(reason, "%s is not a file", path);
	text = file_read(path, JSON_MAX, &len);
	if (!text)
		return fail(reason, "%s: %s", path, strerror(errno));
	if (json_parse(text, len, &json) < 0 || !json_object_is_type(json, json_type_object))
		result = fail(reason, "%s is not a JSON object", path);
	else
		result = read_members(tool, json, reason);
	json_object_put(json);
	free(text);
	return result;
}

/* --- the folder --- */

/* Finds the executable, a regular file that really is in the folder. */
static int
find_executable(const struct tools *tools, struct tool *tool, char *reason)
{
	char path[PATH_MAX], real[PATH_MAX];
	size_t folder_len = strlen(tools->folder);
	struct stat status;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", tools->folder, tool->name) >= sizeof path)
		return fail(reason, "its path is too long");
	if (!realpath(path, real))
		return fail(reason, "%s: %s", path, strerror(errno));
	if (strncmp(real, tools->folder, folder_len) != 0 || real[folder_len] != '/')
		return fail(reason, "%s is a link to a file outside the folder", path);
	if (stat(real, &status) < 0 || !S_ISREG(status.st_mode))
		return fail(reason, "%s is not a file", path);
	if (access(real, X_OK) < 0)
		return fail(reason, "%s cannot be run by this user: chmod +x", path);
	/* Not the resolved name: the program may look at the name it is run by. */
	tool->path = strdup(path);
	return tool->path ? 0 : fail(reason, "out of memory");
}

static void
tool_free(struct tool *tool)
{
	free(tool->function);
	free(tool->parameters);
	free(tool->path);
	for (int i = 0; i < ENV_MAX; i++)
		free(tool->env[i]);
}

static void
add_tool(struct tools *tools, const char *file, size_t name_len)
{
	struct tool tool = {.timeout_ms = TIMEOUT_S * 1000}, *more;
	char path[PATH_MAX], reason[REASON_SIZE];

	snprintf(path, sizeof path, "%s/%.*s", tools->folder, (int)name_len, file);
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		/* Programs bring along files such as package.json. */
		log_info("there is no executable %s, so the file %s describes no tool", path, file);
		return;
	}
	snprintf(path, sizeof path, "%s/%s", tools->folder, file);
	snprintf(tool.name, sizeof tool.name, "%.*s",
	    (int)(name_len < NAME_MAX_LEN ? name_len : NAME_MAX_LEN), file);
	if (name_len > NAME_MAX_LEN || !id_has_form(tool.name, ""))
		fail(reason, "a tool's name has 1 to %d letters, digits, _ and -", NAME_MAX_LEN);
	else if (find_executable(tools, &tool, reason) == 0 &&
	    read_json(&tool, path, reason) == 0) {
		more = reallocarray(tools->tools, tools->len + 1, sizeof *more);
		if (more) {
			tools->tools = more;
			more[tools->len++] = tool;
			return;
		}
		fail(reason, "out of memory");
	}
	log_warn("the tool %s is left out: %s", tool.name, reason);
	tool_free(&tool);
}

/* The length of NAME in "NAME.json"; 0: any other file. */
static size_t
tool_name_len(const char *file)
{
	size_t len = strlen(file), suffix = strlen(json_suffix);

	return len > suffix && *file != '.' && strcmp(file + len - suffix, json_suffix) == 0
	    ? len - suffix
	    : 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct tool *)a)->name, ((const struct tool *)b)->name);
}

static void
leave_out_surplus(struct tools *tools)
{
	if (tools->len <= TOOLS_MAX)
		return;
	log_warn("the tool %s and all after it, by name, are left out: an assistant may have %d",
	    tools->tools[TOOLS_MAX].name, TOOLS_MAX);
	while (tools->len > TOOLS_MAX)
		tool_free(&tools->tools[--tools->len]);
}

struct tools *
tools_load(const char *folder)
{
	struct tools *tools = calloc(1, sizeof *tools);
	DIR *dir =
	    tools && (tools->folder = realpath(folder, NULL)) ? opendir(tools->folder) : NULL;
	struct dirent *entry;

	if (!dir) {
		tools_free(tools);
		return NULL;
	}
	while ((entry = readdir(dir))) {
		size_t name_len = tool_name_len(entry->d_name);

		if (name_len > 0)
			add_tool(tools, entry->d_name, name_len);
	}
	closedir(dir);
	/* A folder has no order, and the same tools must give the same definition. */
	if (tools->len > 0)
		qsort(tools->tools, tools->len, sizeof *tools->tools, by_name);
	leave_out_surplus(tools);
	return tools;
}

void
tools_free(struct tools *tools)
{
	if (!tools)
		return;
	for (size_t i = 0; i < tools->len; i++)
		tool_free(&tools->tools[i]);
	free(tools->tools);
	free(tools->folder);
	free(tools);
}

/* FNV-1a, 64 bits. */
static uint64_t
mixed(uint64_t state, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		state = (state ^ at[i]) * 0x100000001b3ULL;
	return state;
}

uint64_t
tools_state(const char *folder)
{
	uint64_t state = 0xcbf29ce484222325ULL;
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		struct stat status;

		/* The folder's own times also change with files that are no tools. */
		if (*entry->d_name == '.' || fstatat(dirfd(dir), entry->d_name, &status, 0) < 0)
			continue;
		state = mixed(state, entry->d_name, strlen(entry->d_name));
		state = mixed(state, &status.st_ino, sizeof status.st_ino);
		state = mixed(state, &status.st_mode, sizeof status.st_mode);
		state = mixed(state, &status.st_size, sizeof status.st_size);
		state = mixed(state, &status.st_ctim, sizeof status.st_ctim);
	}
	closedir(dir);
	return state;
}

size_t
tools_len(const struct tools *tools)
{
	return tools->len;
}

const char *
tools_name(const struct tools *tools, size_t index)
{
	return tools->tools[index].name;
}

static const struct tool *
find_tool(const struct tools *tools, const char *name)
{
	for (size_t i = 0; name && i < tools->len; i++)
		if (strcmp(tools->tools[i].name, name) == 0)
			return &tools->tools[i];
	return NULL;
}

/* Parses JSON that was made here. */
static struct json_object *
parsed(const char *text)
{
	struct json_object *object = NULL;

	return text && json_parse(text, strlen(text), &object) == 0 ? object : NULL;
}

void
tools_define(const struct tools *tools, struct json_object *definition)
{
	struct json_object *given = json_get_array(definition, "tools");
	struct json_object *all = json_new_array();

	for (size_t i = 0; i < json_len(given); i++) {
		struct json_object *function = json_get_object(json_at(given, i), "function");

		if (!find_tool(tools, json_get_string(function, "name")))
			json_add(all, json_object_get(json_at(given, i)));
	}
	for (size_t i = 0; i < tools->len; i++) {
		struct json_object *tool = json_new_object();

		json_set_string(tool, "type", "function");
		json_set(tool, "function", parsed(tools->tools[i].function));
		json_add(all, tool);
	}
	json_set(definition, "tools", all);
}

/* --- calls --- */

/* One call of a tool. */
struct call {
	const struct tool *tool;
	const char *name;      /* as the model wrote it */
	const char *arguments; /* JSON, if the model wrote it correctly */
	char *output;
};

struct calls {
	const struct tools *tools;
	struct call *calls;
	size_t len;
	atomic_size_t next;    /* the first that no thread has taken */
	long long deadline_ms; /* for all calls together */
	const struct interrupt *interrupt;
	const char *request_id;
};

static void
on_error_line(void *arg, const char *line)
{
	const struct call *call = arg;

	log_info("tool %s: %s", call->tool->name, line);
}

static const char *
value_of(const char *name)
{
	/* In CGI, HTTP_… are the client's headers: HTTP_PROXY is not the owner's proxy. */
	bool header = strncmp(name, "HTTP_", 5) == 0 && getenv("GATEWAY_INTERFACE");
	const char *value = header ? NULL : getenv(name);

	if (value)
		return value;
	if (strcmp(name, "PATH") == 0)
		return path_fallback;
	return strcmp(name, "LANG") == 0 ? "C.UTF-8" : NULL;
}

/* "NAME=value" for each variable that is set; freed by free_environment(). */
static void
make_environment(const struct tool *tool, char *environment[ENV_MAX + 3])
{
	static const char *const always[] = {"PATH", "LANG"};
	size_t len = 0;

	for (size_t i = 0; i < 2 || tool->env[i - 2]; i++) {
		const char *name = i < 2 ? always[i] : tool->env[i - 2], *value = value_of(name);

		if (value && asprintf(&environment[len], "%s=%s", name, value) >= 0)
			len++;
	}
	environment[len] = NULL;
}

static void
free_environment(char *environment[ENV_MAX + 3])
{
	for (size_t i = 0; environment[i]; i++)
		free(environment[i]);
}

/*
 * Appends the output as text: invalid UTF-8 and NUL become U+FFFD. The result is no longer than
 * allowed.
 */
static void
append_text(struct buf *out, const struct buf *printed)
{
	const unsigned char *at = (const unsigned char *)printed->data;
	size_t left = printed->len;

	size_t most = out->len + OUTPUT_MAX + 3;

	while (left > 0 && out->len + 3 < most) {
		size_t len = *at ? utf8_sequence_len(at, left) : 0;

		if (len > 0)
			buf_append(out, at, len);
		else
			buf_puts(out, "\xef\xbf\xbd");
		at += len ? len : 1;
		left -= len ? len : 1;
	}
}

/* Appends what the model and the log must know of the end, beside the output. */
static void
describe_end(const char *name, enum child_outcome outcome, int number, struct buf *out)
{
	switch (outcome) {
	case CHILD_EXITED:
		if (number != 0)
			buf_printf(out, "The tool failed with exit status %d.\n", number);
		break;
	case CHILD_SIGNALLED:
		buf_printf(out, "The tool was ended by signal %d.\n", number);
		break;
	case CHILD_TIMED_OUT:
		buf_puts(out, "The tool took too long and was ended.\n");
		break;
	case CHILD_TOO_MUCH:
		buf_printf(
		    out, "The tool printed more than %d bytes; the first are:\n", OUTPUT_MAX);
		break;
	case CHILD_INTERRUPTED:
		buf_puts(out, "The tool was ended, because its request was interrupted.\n");
		break;
	default:
		log_error("tool %s: it cannot be run: %s", name, strerror(number));
		buf_puts(out, "The tool cannot be run.\n");
	}
	if (out->len > 0)
		log_info("tool %s: %.*s", name, (int)(out->len - 1), out->data);
}

static char *
run_tool(const struct calls *calls, struct call *call)
{
	const struct tool *tool = call->tool;
	long long left_ms = calls->deadline_ms - clock_ms();
	char *environment[ENV_MAX + 3];
	const struct child_call child = {
	    .path = tool->path,
	    .folder = calls->tools->folder,
	    .environment = (const char *const *)environment,
	    .input = call->arguments,
	    .input_len = strlen(call->arguments),
	    .timeout_ms = tool->timeout_ms < left_ms ? tool->timeout_ms : left_ms,
	    .on_error_line = on_error_line,
	    .arg = call,
	    .interrupt = calls->interrupt,
	};
	struct buf printed = BUF_INIT(OUTPUT_MAX), out = BUF_INIT(2 * OUTPUT_MAX);
	enum child_outcome outcome;
	int number;

	make_environment(tool, environment);
	outcome = child_run(&child, &printed, &number);
	free_environment(environment);
	describe_end(tool->name, outcome, number, &out);
	append_text(&out, &printed);
	buf_free(&printed);
	return buf_take(&out);
}

/* False: `error` says for the model what is wrong with the arguments. */
static bool
check_arguments(const struct call *call, char error[ERROR_SIZE])
{
	struct json_object *arguments = NULL, *parameters = parsed(call->tool->parameters);
	bool fit = false;

	if (json_parse(call->arguments, strlen(call->arguments), &arguments) < 0 ||
	    !json_object_is_type(arguments, json_type_object))
		snprintf(error, ERROR_SIZE, "they are not a JSON object");
	else
		fit = arguments_fit(parameters, arguments, error);
	json_object_put(parameters);
	json_object_put(arguments);
	return fit;
}

/* NULL: no memory. */
static char *
answer_call(const struct calls *calls, struct call *call)
{
	char error[ERROR_SIZE], name[NAME_MAX_LEN + 1];
	char *output = NULL;

	if (call->tool && check_arguments(call, error))
		return run_tool(calls, call);
	/* The model invented the name: cut it between characters. */
	utf8_copy(name, sizeof name, call->name);
	if (asprintf(&output,
		call->tool ? "The tool was not run, its arguments are wrong: %s."
			   : "There is no tool \"%s\" here.",
		call->tool ? error : name) < 0)
		return NULL;
	log_info("a tool call was refused: %s", call->tool ? "its arguments" : "no such tool");
	return output;
}

static void *
work(void *arg)
{
	struct calls *calls = arg;
	size_t index;

	while ((index = atomic_fetch_add(&calls->next, 1)) < calls->len &&
	    clock_ms() < calls->deadline_ms)
		calls->calls[index].output = answer_call(calls, &calls->calls[index]);
	return NULL;
}

static void *
work_along(void *arg)
{
	const struct calls *calls = arg;

	log_set_request_id(calls->request_id);
	return work(arg);
}

/* The calling thread works, too. So without spare threads it is slower, but works. */
static void
work_together(struct calls *calls)
{
	pthread_t threads[AT_ONCE - 1];
	size_t started = 0;

	while (started < AT_ONCE - 1 && started + 1 < calls->len &&
	    pthread_create(&threads[started], NULL, work_along, calls) == 0)
		started++;
	work(calls);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

struct json_object *
tools_answer(const struct tools *tools, struct json_object *tool_calls, long long timeout_ms,
    const struct interrupt *interrupt)
{
	struct calls calls = {
	    .tools = tools,
	    .len = json_len(tool_calls),
	    .deadline_ms = clock_ms() + timeout_ms,
	    .interrupt = interrupt,
	    .request_id = log_request_id(),
	};
	struct json_object *outputs = json_new_array();

	calls.calls = calloc(calls.len + 1, sizeof *calls.calls);
	if (!calls.calls)
		return outputs;
	for (size_t i = 0; i < calls.len; i++) {
		struct json_object *function = json_get_object(json_at(tool_calls, i), "function");
		const char *name = json_get_string(function, "name");
		const char *arguments = json_get_string(function, "arguments");

		calls.calls[i] = (struct call){
		    .tool = find_tool(tools, name),
		    .name = name ? name : "",
		    /* Some models send nothing if there are no parameters. */
		    .arguments = arguments && *arguments ? arguments : "{}",
		};
	}
	work_together(&calls);
	for (size_t i = 0; i < calls.len; i++) {
		struct json_object *output = json_new_object();

		json_set_string(
		    output, "tool_call_id", json_get_string(json_at(tool_calls, i), "id"));
		json_set_string(output, "output",
		    calls.calls[i].output ? calls.calls[i].output : "The tool cannot be run.");
		json_add(outputs, output);
		free(calls.calls[i].output);
	}
	free(calls.calls);
	return outputs;
}
