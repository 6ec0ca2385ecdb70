/*
 * What requests that take their time may occupy together: workers, while they read a body or wait
 * for a model, and memory, for the bodies. The rest is for requests that are answered at once, so
 * that /health is. Each process counts its own; a request that waits for a model takes one of
 * the machine's seats as well.
 */
#ifndef HTTP_OCCUPANCY_H
#define HTTP_OCCUPANCY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"
#include "os/seats.h"

struct occupancy;

struct occupancy_bounds {
	unsigned workers;    /* of the process, at least 3 */
	size_t memory;       /* bytes that all bodies may take */
	struct seats *seats; /* borrowed; NULL: only this process is counted */
};

/* NULL: out of memory. */
struct occupancy *occupancy_new(const struct occupancy_bounds *bounds);
void occupancy_free(struct occupancy *occupancy);

enum occupancy_result {
	OCCUPANCY_TAKEN,
	OCCUPANCY_FULL,
	OCCUPANCY_ADDRESS_FULL, /* this client has its part: a quarter of the workers */
};

/*
 * Begins what takes as long as the client likes: to read its body, or to send it a long answer; all
 * but one worker may. Clients that the web server does not tell apart are all zeros. `missing`
 * workers could not be started.
 */
enum occupancy_result occupancy_begin_body(
    struct occupancy *occupancy, const struct address *client, unsigned missing);
void occupancy_end_body(struct occupancy *occupancy, const struct address *client);

/*
 * Holds so many bytes of memory for a client, until they are given back. False: there is no room,
 * or the client has its part, a half.
 */
bool occupancy_hold(struct occupancy *occupancy, const struct address *client, size_t bytes);
void occupancy_give_back(struct occupancy *occupancy, const struct address *client, size_t bytes);

/*
 * Begins to make a piece of a long answer, which takes some times the piece's memory: a few do at
 * once, and the others wait for their turn. False: it did not come.
 */
bool occupancy_begin_piece(struct occupancy *occupancy);
void occupancy_end_piece(struct occupancy *occupancy);

/*
 * Begins to wait for a model; all but OCCUPANCY_FREE workers may. False: they wait already. *seat
 * is for the end.
 */
enum { OCCUPANCY_FREE = 2 };
bool occupancy_begin_wait(struct occupancy *occupancy, unsigned missing, int *seat);
void occupancy_end_wait(struct occupancy *occupancy, int seat);

#endif
