/*
 * The configuration, read and checked once at the start, never changed afterwards.
 *
 * A setting is a variable of the process's environment, or a `NAME=value` line of one file: the one
 * that ASSISTANTS_CONFIG names, else ~/.config/assistants-fcgi/config (home by the password file),
 * else /etc/assistants-fcgi.conf. The environment wins. A request's parameters are never asked.
 *
 * A process of the same user may read the environment that another was started with
 * (/proc/PID/environ), and so may one that this program starts: keys are read from it once, and
 * wiped.
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

/* Strings are the config's; NULL where a setting without a default was not made. */
struct config {
	char *file;                      /* that was read; NULL: there is none */
	char *api_key;                   /* OPENAI_API_KEY, or the content of OPENAI_API_KEY_FILE */
	char *key_file;                  /* OPENAI_API_KEY_FILE */
	char *base_url;                  /* OPENAI_BASE_URL, without a slash at its end */
	enum config_model_api model_api; /* MODEL_API_AUTO only with a model server */
	char *model;
	struct json_object *models; /* asked → sent, "*" for all others; NULL: as asked */
	char *ca_file;
	char *definition; /* path */
	char *state_dir;
	enum config_sync sync;
	char
	    *upstream_url; /* a remote Assistants API, without a slash at its end; NULL: embedded */
	char *upstream_key;
	char *keys_file;                 /* who may use /v1 */
	char *allowed_hosts;             /* that are answered; NULL: see hosts.h */
	char *allow_origin;              /* further origins whose pages may use us; NULL: none */
	enum config_switch pass_through; /* the rest of /v1 to the model server */
	unsigned rate;                   /* gateway messages a minute for one client; 0: no bound */
	unsigned daily_tokens;           /* of the whole gateway; 0: no bound */
	unsigned key_daily_tokens;       /* of each name under /v1; 0: no bound */
	struct address_ranges *trusted_proxies; /* whose X-Forwarded-For is believed; NULL: none */
	char *access_token;                     /* that gateway paths need; NULL: none */
	char *token_file;                       /* ASSISTANTS_ACCESS_TOKEN_FILE */
	char *tools_dir;                        /* of function tools; NULL: none */
	enum config_switch metrics;             /* GET /metrics */
	unsigned workers;
	unsigned run_timeout_s;
	unsigned context_tokens; /* of a thread, that a model is sent at most */
	unsigned retention_days; /* threads idle for so long are deleted; 0: never */
	size_t max_body;         /* bytes */
	enum log_level log_level;
};

/*
 * Reads the settings, and wipes the keys among them from the environment: a second call would not
 * find them. Only before threads start. -1 with one sentence in `error` that says which is wrong,
 * why, and what is accepted. `config` must be freed in both cases.
 */
int config_load(struct config *config, char error[ERROR_SIZE]);

/*
 * Keeps processes of the same user from what this one has in memory, keys among it, and from its
 * environment; those that it starts by exec may be looked into again. There are no core dumps then.
 */
void config_hide_memory(void);

/*
 * A command that root gives acts as the owner of the state folder, if that is there: files that
 * root made in it could not be used by the web server's user. -1 with a sentence in `error`.
 */
int config_become_owner(const struct config *config, char error[ERROR_SIZE]);

/*
 * Makes the state folder (mode 0700, parents too) if it is missing, and refuses one that web
 * servers may serve: inside the program's own folder. -1 with a sentence in `error`.
 */
int config_prepare_state_dir(const struct config *config, char error[ERROR_SIZE]);

/* The database's file; the caller's to free. NULL: out of memory. */
char *config_database_path(const struct config *config);

/* Whether anything is kept: of a remote Assistants API's threads no more than how much is used. */
bool config_needs_database(const struct config *config);

void config_free(struct config *config);

#endif
