/*
 * Which host names are answered. A page whose own name is made to lead to 127.0.0.1 ("DNS
 * rebinding") is of the same origin as this program to a browser; only its name tells.
 */
#ifndef HTTP_HOSTS_H
#define HTTP_HOSTS_H

#include "http/request.h"

/*
 * Whether the request's Host is one that is answered. `names` are host names, parted by blanks or
 * commas, "*" for all, NULL for none: where there are some, only they are. On a loopback address
 * localhost and addresses are as well, and without any names only these, unless one of `proxies`
 * asks. A request without a Host is answered: browsers always send one.
 */
bool hosts_admit(struct request *request, const char *names, const struct address_ranges *proxies);

#endif
