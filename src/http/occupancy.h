/*
 * Bounds what slow requests may occupy together: workers, while they read a body or wait for a
 * model, and memory for bodies. The rest stays free for requests that are answered at once, such as
 * /health. Each process counts its own requests; a request that waits for a model also takes one of
 * the machine's seats.
 */
#ifndef HTTP_OCCUPANCY_H
#define HTTP_OCCUPANCY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"
#include "os/seats.h"

struct occupancy;

struct occupancy_bounds {
	unsigned workers;    /* in this process, at least 3 */
	size_t memory;       /* bytes for all bodies together */
	struct seats *seats; /* borrowed; NULL: only this process counts */
};

/* NULL: out of memory. */
struct occupancy *occupancy_new(const struct occupancy_bounds *bounds);
void occupancy_free(struct occupancy *occupancy);

enum occupancy_result {
	OCCUPANCY_TAKEN,
	OCCUPANCY_FULL,
	OCCUPANCY_ADDRESS_FULL, /* this client has its share: a quarter of the workers */
};

/*
 * Begins something whose length the client decides: reading its body, or sending it a long answer.
 * All workers but one may do that at once. `client`: its address, zeros if it is not known; those
 * count as one client. `missing`: workers that could not be started.
 */
enum occupancy_result occupancy_begin_body(
    struct occupancy *occupancy, const struct address *client, unsigned missing);
void occupancy_end_body(struct occupancy *occupancy, const struct address *client);

/*
 * Reserves memory for a client, in bytes, until it is given back. False: there is no room, or the
 * client has its share, a half.
 */
bool occupancy_hold(struct occupancy *occupancy, const struct address *client, size_t bytes);
void occupancy_give_back(struct occupancy *occupancy, const struct address *client, size_t bytes);

/*
 * Begins to make a piece of a long answer, which needs several times the piece's memory. Only a few
 * are made at once; the others wait. False: timed out.
 */
bool occupancy_begin_piece(struct occupancy *occupancy);
void occupancy_end_piece(struct occupancy *occupancy);

/*
 * Begins to wait for a model; all workers but OCCUPANCY_FREE may. False: too many wait already.
 * *seat is for occupancy_end_wait().
 */
enum { OCCUPANCY_FREE = 2 };
bool occupancy_begin_wait(struct occupancy *occupancy, unsigned missing, int *seat);
void occupancy_end_wait(struct occupancy *occupancy, int seat);

#endif
