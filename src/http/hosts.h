/*
 * Which host names are answered. If a page makes its own name lead to 127.0.0.1 ("DNS rebinding"),
 * a browser treats it and this program as the same origin. Only the name reveals it.
 */
#ifndef HTTP_HOSTS_H
#define HTTP_HOSTS_H

#include "http/request.h"

/*
 * Whether the request's Host is answered. `names`: host names separated by blanks or commas, "*"
 * for all, NULL for none. With names, only those are answered; without, all are. Where the web
 * server's own address is loopback, localhost and IP addresses are answered, too, and without names
 * nothing else, unless one of `proxies` asks. A request without a Host is answered, because
 * browsers always send one.
 */
bool hosts_admit(struct request *request, const char *names, const struct address_ranges *proxies);

#endif
