/*
 * Leases: work does not outlive the process that does it. A process is a holder: a name that
 * stands in what it has taken, and a file of that name in the state folder's `leases`,
 * locked as long as the process lives, however it ends. So a dead holder on the same machine is
 * seen at once. Another machine's lock may not be seen here: what it has taken is its own until the
 * lease, which it renews, is over.
 */
#ifndef WORK_LEASES_H
#define WORK_LEASES_H

#include <stdbool.h>

enum { LEASE_S = 30, LEASE_RENEWAL_S = 10 };

struct leases;

/* Touches no file. NULL: out of memory. */
struct leases *leases_new(const char *state_dir);

/* Removes this process's file. */
void leases_free(struct leases *leases);

/*
 * This process's name. The first call makes and locks its file, and calls `on_dead` (0: done) for
 * each holder that died, whose file is removed then. NULL: failed, logged.
 */
typedef int leases_dead_fn(void *arg, const char *holder);
const char *leases_holder(struct leases *leases, leases_dead_fn *on_dead, void *arg);

/* Calls `on_dead` for those that have died since, too. */
void leases_bury(struct leases *leases, leases_dead_fn *on_dead, void *arg);

/* Whether `holder`, whose lease ends at `until` (Unix seconds), carries nothing out any more. */
bool leases_are_over(const struct leases *leases, const char *holder, long long until);

/*
 * Whether this process's leases must be renewed now: true for one caller each LEASE_RENEWAL_S, and
 * never before leases_holder() was called.
 */
bool leases_renewal_due(struct leases *leases);

/* This process has a run at hand, by its seq, from the one to the other. */
void leases_take_up(struct leases *leases, long long run);
void leases_put_down(struct leases *leases, long long run);

bool leases_are_at_hand(struct leases *leases, long long run);

/* Whether that holder is this process. */
bool leases_are_ours(const struct leases *leases, const char *holder);

#endif
