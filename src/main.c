/*
 * Start: FastCGI on a socket that is inherited or opened, one CGI request, or a command.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assistants/api.h"
#include "assistants/import_export.h"
#include "blobs/blobs.h"
#include "check_config.h"
#include "config.h"
#include "db/db.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "model/model.h"
#include "net/http_client.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "openai/openai.h"
#include "records/model_server.h"
#include "routes.h"
#include "v1/beta_v1.h"
#include "v1/keys.h"
#include "v1/v1.h"

enum {
	WORKERS_MIN = 3,
	/* For a waiting worker: its client's, the model server's, and two of curl's. */
	DESCRIPTORS_EACH = 4,
	DESCRIPTORS_MORE = 128 + 2 * DB_READERS_MAX,
	DESCRIPTORS_TOOLS = 80, /* eight tools at once, ten each: process/child.h */
	IDLE_S = 15,
	SHUTDOWN_GRACE_S = 30,
	ARENAS_MAX = 4,
	TRIM_THRESHOLD = 4 << 20,
#ifdef __SANITIZE_THREAD__
	STACK_SIZE = 2 << 20, /* the sanitizer itself needs more than half */
#else
	STACK_SIZE = 512 << 10,
#endif
	/* Memory for bodies: a number of the largest ones, and more bytes. */
	BODIES_EACH = 8,
	BODIES_MORE = 160 << 20,
	EXIT_USAGE = 2
};

/* Everything that lives as long as the program. */
struct app {
	struct config config;
	struct http_client *http_client;
	struct model *model;
	struct blobs *blobs;
	struct model_server_record model_server;
	struct db *db;
	struct budgets budgets;
	struct api *api;
	struct seats *seats; /* for conversations that wait; NULL: no requests are served */
	struct openai *openai;
	struct gateway *gateway;
	struct v1 *v1; /* NULL: with a remote Assistants API there is no /v1 */
};

struct options {
	const char *listen; /* NULL: not given */
	mode_t mode;
	bool check_config;
	const char *make_key; /* a name; NULL: not given */
	bool detached;        /* in CGI: detached from the web server */
	bool export;
	const char *import; /* a file, or "-"; NULL: not given */
	const char *tenant; /* of all imported objects; NULL: as each object says */
};

static const char usage[] =
    "usage: assistants.fcgi --listen unix:/path|127.0.0.1:9000 [--mode 0660]\n"
    "       assistants.fcgi --make-key NAME\n"
    "       assistants.fcgi --export\n"
    "       assistants.fcgi --import FILE|- [--tenant NAME]\n"
    "       assistants.fcgi --check-config | --version | --help\n"
    "A web server starts it without options, as FastCGI or CGI. See man assistants.fcgi.\n";

/* Registers secrets before anything can log them. */
static int
register_secrets(const struct config *config)
{
	if (config->api_key && log_add_secret(config->api_key) < 0)
		return -1;
	if (config->access_token && log_add_secret(config->access_token) < 0)
		return -1;
	return config->upstream_key && log_add_secret(config->upstream_key) < 0 ? -1 : 0;
}

static int
open_database(struct app *app, char *error)
{
	char *path = config_database_path(&app->config);

	if (!path) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -1;
	}
	app->db = db_open(path, app->config.sync == SYNC_FULL, error);
	free(path);
	return app->db ? 0 : -1;
}

static struct model *
open_model(struct app *app)
{
	struct model_memory memory;
	const struct model_server server = {
	    .base_url = app->config.base_url,
	    .api_key = app->config.api_key,
	    .models = app->config.models,
	    .memory = &memory,
	};

	app->model_server = (struct model_server_record){app->db, app->config.base_url};
	memory = model_server_memory(&app->model_server);
	switch (app->config.model_api) {
	case MODEL_API_RESPONSES:
		return model_responses_new(app->http_client, &server);
	case MODEL_API_CHAT:
		return model_chat_new(app->http_client, &server);
	case MODEL_API_OFFLINE:
		return model_offline_new();
	default:
		return model_auto_new(app->http_client, &server);
	}
}

static int
open_openai(struct app *app, char *error)
{
	const struct openai_server server = {
	    .url = app->config.upstream_url,
	    .key = app->config.upstream_key,
	    .timeout_ms = (long long)app->config.run_timeout_s * 1000,
	    .budgets = &app->budgets,
	};

	snprintf(error, ERROR_SIZE, "out of memory");
	if (config_needs_database(&app->config) && open_database(app, error) < 0)
		return -1;
	app->budgets = (struct budgets){
	    .db = app->db,
	    .gateway = app->config.daily_tokens,
	    .names = app->config.key_daily_tokens,
	};
	snprintf(error, ERROR_SIZE, "out of memory");
	if (app->config.upstream_url) {
		app->openai = openai_remote_new(app->http_client, &server);
		return app->openai ? 0 : -1;
	}
	snprintf(error, ERROR_SIZE, "out of memory");
	app->model = open_model(app);
	if (app->model)
		app->api = api_new(app->db, app->model, app->config.state_dir,
		    app->config.run_timeout_s, app->config.context_tokens);
	if (app->api)
		api_set_budgets(app->api, &app->budgets);
	if (app->api && app->config.model_api != MODEL_API_OFFLINE)
		api_set_model_url(app->api, app->config.base_url);
	if (app->api && !(app->blobs = blobs_new(app->config.state_dir)))
		return -1;
	if (app->api)
		api_set_files(app->api, app->blobs, (long long)app->config.files_quota);
	if (app->api && api_set_retention(app->api, app->config.retention_days) < 0)
		return -1;
	if (app->api)
		app->openai = openai_embedded_new(app->api);
	return app->openai ? 0 : -1;
}

/* Closes everything but the configuration. */
static void
app_close(struct app *app)
{
	v1_free(app->v1);
	gateway_free(app->gateway);
	openai_free(app->openai);
	api_free(app->api);
	model_free(app->model);
	blobs_free(app->blobs);
	db_close(app->db);
	http_client_free(app->http_client);
	seats_close(app->seats);
	metrics_close();
	*app = (struct app){.config = app->config};
}

/* Opens everything; the configuration is loaded already. -1 with a sentence in `error`. */
static int
app_open(struct app *app, char error[ERROR_SIZE])
{
	log_set_level(app->config.log_level);
	if (register_secrets(&app->config) < 0) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -1;
	}
	if (config_prepare_state_dir(&app->config, error) < 0)
		return -1;
	if (app->config.metrics == SWITCH_ON)
		metrics_open(app->config.state_dir);
	app->http_client = http_client_new(app->config.ca_file);
	if (!app->http_client) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -1;
	}
	if (open_openai(app, error) < 0)
		return -1;
	app->gateway = gateway_new(&app->config, app->openai, &app->budgets, error);
	if (!app->gateway)
		return -1;
	snprintf(error, ERROR_SIZE, "out of memory");
	app->v1 = app->api
	    ? v1_new(&app->config, app->api, &app->budgets, app->blobs, app->http_client)
	    : NULL;
	return app->v1 || !app->api ? 0 : -1;
}

/*
 * How many workers have enough descriptors. Many systems allow 1024 unless a program asks for more.
 * A worker without a free one could not ask the model, and could not even refuse.
 */
static unsigned
afford_workers(unsigned workers, bool tools)
{
	rlim_t wanted = (rlim_t)workers * DESCRIPTORS_EACH + DESCRIPTORS_MORE;
	/* Without these, only tools cannot run. */
	rlim_t wished = wanted + (tools ? (rlim_t)workers * DESCRIPTORS_TOOLS : 0);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wished)
		return workers;
	limit.rlim_cur = wished < limit.rlim_max ? wished : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted)
		return workers;
	workers = WORKERS_MIN;
	if (limit.rlim_cur > DESCRIPTORS_MORE + WORKERS_MIN * DESCRIPTORS_EACH)
		workers = (unsigned)((limit.rlim_cur - DESCRIPTORS_MORE) / DESCRIPTORS_EACH);
	log_warn("the limit of %llu file descriptors is enough for %u workers only, %llu would be "
		 "needed: raise the limit (ulimit -Hn), or lower ASSISTANTS_WORKERS",
	    (unsigned long long)limit.rlim_cur, workers, (unsigned long long)wanted);
	return workers;
}

static int
serve_fastcgi(struct app *app, struct router *router, const struct options *options)
{
	const struct server_options server_options = {
	    .workers = app->config.workers,
	    .idle_s = IDLE_S,
	    .grace_s = SHUTDOWN_GRACE_S,
	    .handler = router_answer,
	    .arg = router,
	};
	char error[ERROR_SIZE];
	int fd = STDIN_FILENO, result;

	if (options->listen) {
		fd = server_listen(options->listen, options->mode, error, sizeof error);
		if (fd < 0) {
			log_error("%s", error);
			return EXIT_FAILURE;
		}
	}
	if (app->api)
		api_resume(app->api);
	log_info("assistants-fcgi " VERSION " answers, state in %s", app->config.state_dir);
	if (!app->config.upstream_url && app->config.model_api == MODEL_API_OFFLINE)
		log_info("no model server is set: a small built-in script answers");
	result = server_run_fastcgi(fd, options->listen, &server_options);
	/* A request that did not end still uses everything. */
	if (result > 0)
		_exit(EXIT_SUCCESS);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * Does a little work after the answer, which no client waits for. An open database must not cross a
 * fork, so unless the process was detached already, everything is closed first and opened again.
 */
static void
sweep_cgi(struct app *app, bool detached)
{
	char error[ERROR_SIZE];

	if (!app->api || !api_sweep_is_due(app->api))
		return;
	if (!detached) {
		app_close(app);
		if (!server_outlive_cgi())
			return;
		if (app_open(app, error) < 0) {
			log_error("%s", error);
			return;
		}
	}
	api_sweep(app->api);
}

static int
serve_cgi(struct app *app, struct router *router, bool detached)
{
	server_run_cgi(router_answer, router);
	if (detached) {
		server_leave_cgi();
		if (app->api)
			api_await(app->api);
	}
	sweep_cgi(app, detached);
	return EXIT_SUCCESS;
}

/* A CGI program that cannot start still has to answer the web server. */
static void
answer_misconfigured(void)
{
	struct router router = {.out_of_order = "The server cannot start; its log says why."};

	server_run_cgi(router_answer, &router);
}

/* Opens the machine's seats for conversations. NULL: failed, logged. */
static struct seats *
open_seats(const struct app *app)
{
	struct seats *seats = NULL;
	char *path;

	errno = ENOMEM;
	if (asprintf(&path, "%s/conversations", app->config.state_dir) >= 0) {
		seats = seats_open(path, app->config.workers - OCCUPANCY_FREE);
		free(path);
	}
	if (!seats)
		log_error("the file conversations in the state folder cannot be used: %s",
		    strerror(errno));
	return seats;
}

static int
serve(struct app *app, const struct options *options)
{
	struct router router = {
	    .routes = routes,
	    .routes_len = routes_len,
	    .body_max = app->config.max_body,
	    .room = app->gateway,
	    .api_room = app->v1,
	    .origins = app->config.allow_origin,
	    .hosts = app->config.allowed_hosts,
	    .proxies = app->config.trusted_proxies,
	};
	bool fastcgi = options->listen || server_inherits_socket();
	struct occupancy_bounds bounds = {.memory = BODIES_MORE + BODIES_EACH * router.body_max};
	int status = EXIT_FAILURE;

	if (fastcgi)
		app->config.workers = afford_workers(app->config.workers, app->config.tools_dir);
	bounds.workers = app->config.workers;
	app->seats = bounds.seats = open_seats(app);
	if (app->seats && app->api)
		api_set_seats(app->api, app->seats);
	router.occupancy = app->seats ? occupancy_new(&bounds) : NULL;
	if (!router.occupancy && !fastcgi)
		answer_misconfigured();
	if (router.occupancy && fastcgi)
		status = serve_fastcgi(app, &router, options);
	else if (router.occupancy)
		status = serve_cgi(app, &router, options->detached);
	occupancy_free(router.occupancy);
	return status;
}

/*
 * If 0, 1 or 2 is closed, the next socket or file would get that number, and the log or the answer
 * would be written into it.
 */
static void
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * Shared hosts limit a process's address space. By default, malloc may make eight arenas for each
 * core, each of which reserves 64 MiB. And a thread's stack is as large as `ulimit -s` says,
 * usually 8 MiB, unless its creator sets the size. libcurl, which starts a thread to resolve a
 * name, does not.
 */
static void
spare_address_space(void)
{
	struct rlimit space;
	bool limited = getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY;
	pthread_attr_t attr;

	/* One arena is a third slower, and saves 64 MiB for each other one. */
	mallopt(M_ARENA_MAX, limited ? 1 : ARENAS_MAX);
	/* By default, each message's memory would be returned to the system and requested again. */
	mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}

/* Prints a new key; only its hash is stored. */
static int
make_key(const char *name)
{
	char error[ERROR_SIZE], key[KEYS_KEY_SIZE];
	struct config config;
	int result;

	result = config_load(&config, error);
	if (result == 0)
		result = config_become_owner(&config, error);
	if (result == 0)
		result = config_prepare_state_dir(&config, error);
	if (result == 0)
		result = keys_make(config.keys_file, name, key, error);
	if (result == 0 && (printf("%s\n", key) < 0 || fflush(stdout) == EOF)) {
		snprintf(error, sizeof error,
		    "the key cannot be printed (%s), so it is lost: remove the last line of %.300s",
		    strerror(errno), config.keys_file);
		result = -1;
	}
	if (result == 0)
		fprintf(stderr,
		    "This is the key of %s. It is shown only once; its hash is in %s.\n", name,
		    config.keys_file);
	else
		fprintf(stderr, "%s\n", error);
	config_free(&config);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* On standard output for an import; an export's objects are there, so on standard error. */
static void
say_counts(const struct transfer_counts *counts, bool exported)
{
	for (int kind = 0; kind < TRANSFER__MAX; kind++) {
		if (exported)
			fprintf(stderr, "%s: %lld\n", transfer_names[kind], counts->added[kind]);
		else
			printf("%s: %lld new, %lld already there\n", transfer_names[kind],
			    counts->added[kind], counts->there[kind]);
	}
}

/* Imports from `in`, or exports if it is NULL. */
static int
transfer(struct app *app, FILE *in, const char *tenant, char error[ERROR_SIZE])
{
	const struct transfer_source source = {
	    .in = in,
	    .tenant = tenant,
	    .folder = app->config.state_dir,
	    .mend = beta_v1_saved,
	};
	struct transfer_counts counts;
	int result;

	if (config_become_owner(&app->config, error) < 0 ||
	    config_prepare_state_dir(&app->config, error) < 0 || open_database(app, error) < 0)
		return -1;
	fprintf(stderr, "State folder: %s\n", app->config.state_dir);
	result = in ? transfer_import(app->db, &source, &counts, error)
		    : transfer_export(app->db, stdout, &counts, error);
	if (result == 0)
		say_counts(&counts, !in);
	return result;
}

/* Opens the file first: root may be able to read it where the state folder's owner is not. */
static int
import_or_export(const struct options *options)
{
	char error[ERROR_SIZE];
	struct app app = {0};
	FILE *in = NULL;
	int result = config_load(&app.config, error);

	if (result == 0 && options->import) {
		in = strcmp(options->import, "-") == 0 ? stdin : fopen(options->import, "r");
		if (!in) {
			snprintf(error, sizeof error, "%s: %s", options->import, strerror(errno));
			result = -1;
		}
	}
	if (result == 0)
		result = transfer(&app, in, options->tenant, error);
	if (result < 0)
		fprintf(stderr, "%s%s\n", in ? "Nothing was imported: " : "", error);
	if (in)
		fclose(in);
	app_close(&app);
	config_free(&app.config);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* 0, or the exit status + 1. */
static int
read_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
	    {"listen", required_argument, NULL, 'l'},
	    {"mode", required_argument, NULL, 'm'},
	    {"check-config", no_argument, NULL, 'c'},
	    {"make-key", required_argument, NULL, 'k'},
	    {"export", no_argument, NULL, 'e'},
	    {"import", required_argument, NULL, 'i'},
	    {"tenant", required_argument, NULL, 't'},
	    {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		char *end;

		switch (option) {
		case 'l':
			options->listen = optarg;
			break;
		case 'm':
			options->mode = (mode_t)strtoul(optarg, &end, 8);
			if (*end || options->mode > 0777 || end == optarg) {
				fprintf(stderr,
				    "--mode %s: it must be an octal mode such as 0660\n", optarg);
				return EXIT_USAGE + 1;
			}
			break;
		case 'c':
			options->check_config = true;
			break;
		case 'k':
			options->make_key = optarg;
			break;
		case 'e':
			options->export = true;
			break;
		case 'i':
			options->import = optarg;
			break;
		case 't':
			options->tenant = optarg;
			break;
		case 'v':
			puts("assistants-fcgi " VERSION);
			return EXIT_SUCCESS + 1;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS + 1;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE + 1;
		}
	}
	if (options->tenant && (!options->import || !keys_is_name(options->tenant))) {
		fprintf(stderr,
		    "--tenant NAME goes with --import; NAME is the name of a key: letters, digits, "
		    "'_', '.' and '-'\n");
		return EXIT_USAGE + 1;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: there is no such command\n%s", argv[optind], usage);
		return EXIT_USAGE + 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	bool inherits = server_inherits_socket();
	bool is_cgi = !inherits && getenv("GATEWAY_INTERFACE");
	struct options options = {.mode = 0660};
	char error[ERROR_SIZE];
	struct app app = {0};
	bool is_configured;
	int status;

	fill_standard_descriptors();
	spare_address_space();
	/*
	 * Database, cache and lock files contain what users said: other users must not read them.
	 */
	umask(0077);
	/*
	 * A limit on file sizes, common on shared hosts, must be an error like a full disk, not the
	 * end.
	 */
	signal(SIGXFSZ, SIG_IGN);
	/* A CGI program's arguments come from the request (RFC 3875, 4.4), so they are ignored. */
	if (!is_cgi && !inherits) {
		status = read_options(argc, argv, &options);
		if (status != 0)
			return status - 1;
		if (options.check_config)
			return check_config();
		if (options.make_key)
			return make_key(options.make_key);
		if (options.export || options.import)
			return import_or_export(&options);
		if (!options.listen) {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	is_configured = config_load(&app.config, error) == 0;
	if (is_configured && app.config.tools_dir)
		config_hide_memory();
	/* Not earlier: the parent of a fork would keep the keys in its environment. */
	if (is_configured && is_cgi)
		options.detached = server_detach_cgi(router_may_outlive,
		    &(struct router){.routes = routes, .routes_len = routes_len});
	if (!is_cgi)
		server_block_signals();
	if (is_configured && app_open(&app, error) == 0) {
		status = serve(&app, &options);
	} else {
		log_error("%s", error);
		if (is_cgi)
			answer_misconfigured();
		status = is_cgi ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	app_close(&app);
	config_free(&app.config);
	return status;
}
