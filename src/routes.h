/* The table of every path that the program answers. */
#ifndef ROUTES_H
#define ROUTES_H

#include "http/router.h"

extern const struct route routes[];
extern const size_t routes_len;

#endif
