/*
 * The configuration. It is read and checked once, at the start, and never changes.
 *
 * A setting is a variable of the process's environment, or a line `NAME=value` in one file: the
 * file that ASSISTANTS_CONFIG names, else ~/.config/assistants-fcgi/config (home as in the password
 * file), else /etc/assistants-fcgi.conf. The environment wins. A request's parameters are never
 * used.
 *
 * A process of the same user, also one that this program starts, may read the environment that
 * another was started with (/proc/PID/environ). So keys are read once, and wiped.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"
#include "obs/log.h"
#include "text/text.h"

enum config_model_api {
	MODEL_API_AUTO,
	MODEL_API_RESPONSES,
	MODEL_API_CHAT,
	MODEL_API_OFFLINE,
	MODEL_API__MAX
};
enum config_switch { SWITCH_OFF, SWITCH_ON, SWITCH__MAX };
enum config_sync { SYNC_FULL, SYNC_NORMAL, SYNC__MAX };

/* The config owns its strings. NULL: a setting without a default was not set. */
struct config {
	char *file;                      /* the file that was read; NULL: none */
	char *api_key;                   /* OPENAI_API_KEY, or the content of OPENAI_API_KEY_FILE */
	char *key_file;                  /* OPENAI_API_KEY_FILE */
	char *base_url;                  /* OPENAI_BASE_URL, without a slash at its end */
	enum config_model_api model_api; /* MODEL_API_AUTO only with a model server */
	char *model;
	struct json_object *models; /* asked → sent, "*": all others; NULL: unchanged */
	char *ca_file;
	char *definition; /* path */
	char *state_dir;
	enum config_sync sync;
	char
	    *upstream_url; /* a remote Assistants API, without a slash at its end; NULL: embedded */
	char *upstream_key;
	char *keys_file;                 /* the keys for /v1 */
	char *allowed_hosts;             /* answered host names; NULL: see hosts.h */
	char *allow_origin;              /* other origins whose pages may use us; NULL: none */
	enum config_switch pass_through; /* passes the rest of /v1 on to the model server */
	unsigned rate;                   /* gateway messages a minute for one client; 0: no bound */
	unsigned daily_tokens;           /* of the whole gateway; 0: no bound */
	unsigned key_daily_tokens;       /* of each name under /v1; 0: no bound */
	struct address_ranges *trusted_proxies; /* their X-Forwarded-For is believed; NULL: none */
	char *access_token;                     /* needed for gateway paths; NULL: none */
	char *token_file;                       /* ASSISTANTS_ACCESS_TOKEN_FILE */
	char *tools_dir;                        /* folder of tools; NULL: none */
	enum config_switch metrics;             /* GET /metrics */
	unsigned workers;
	unsigned run_timeout_s;
	unsigned context_tokens; /* the most of a thread that a model is sent */
	unsigned retention_days; /* threads idle for this long are deleted; 0: never */
	size_t max_body, max_file, files_quota; /* bytes */
	enum log_level log_level;
};

/*
 * Reads the settings, and wipes the keys from the environment, so a second call would not find
 * them. Call it before threads start. -1 with one sentence in `error`: which setting is wrong, why,
 * and what is accepted. Free `config` in both cases.
 */
int config_load(struct config *config, char error[ERROR_SIZE]);

/*
 * Hides this process's memory, which has keys, and its environment from other processes of the same
 * user. Processes that it starts by exec are not hidden. Disables core dumps.
 */
void config_hide_memory(void);

/*
 * For commands that root runs: becomes the owner of the state folder, if it exists. The web
 * server's user could not use files that root made there. -1 with a sentence in `error`.
 */
int config_become_owner(const struct config *config, char error[ERROR_SIZE]);

/*
 * Makes the state folder (mode 0700, parents too) if it is missing. Refuses one inside the
 * program's own folder, which web servers may serve. -1 with a sentence in `error`.
 */
int config_prepare_state_dir(const struct config *config, char error[ERROR_SIZE]);

/* The database's file; the caller's to free. NULL: out of memory. */
char *config_database_path(const struct config *config);

/* Whether a database is needed. With a remote Assistants API it is needed only to count use. */
bool config_needs_database(const struct config *config);

void config_free(struct config *config);

#endif
