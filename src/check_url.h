/* For --check-config: finds out what is wrong with a server's URL by trying similar ones. */
#ifndef CHECK_URL_H
#define CHECK_URL_H

#include <stdbool.h>

#include "net/http_client.h"

/* Whether the server speaks the other one of http and https. Sends only a GET without a key. */
bool check_url_scheme(struct http_client *client, const char *url);

/*
 * The base URL at which a model server takes questions: `base_url`, or a variant with or without
 * /v1, or without an endpoint at its end. Each is tried with a body without a question, which costs
 * nothing. NULL: none works. The caller frees it. `headers` as in http_call; *path is set to the
 * API found, "/responses" or "/chat/completions".
 */
char *check_url_base(struct http_client *client, const char *base_url, const char *const *headers,
    const char **path);

#endif
