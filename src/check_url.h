/*
 * What is wrong with the URL of a server, found out by asking around it: for --check-config.
 */
#ifndef CHECK_URL_H
#define CHECK_URL_H

#include <stdbool.h>

#include "net/http_client.h"

/*
 * Whether what listens there speaks the other of http and https. Nothing is sent but a GET without
 * a key.
 */
bool check_url_scheme(struct http_client *client, const char *url);

/*
 * The base URL below which a model server takes questions: `base_url` itself if it does, else one
 * with or without /v1, or without an endpoint at its end. Each is asked by a body without a
 * question, which costs nothing. NULL: none of them. The caller frees it. `headers` as in
 * http_call; *path is set to the API that is there, "/responses" or "/chat/completions".
 */
char *check_url_base(struct http_client *client, const char *base_url, const char *const *headers,
    const char **path);

#endif
