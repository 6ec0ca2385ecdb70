/* Every path that the program answers, in one table. */
#ifndef ROUTES_H
#define ROUTES_H

#include "http/router.h"

extern const struct route routes[];
extern const size_t routes_len;

#endif
