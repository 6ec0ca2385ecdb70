/*
 * Leases: work ends with the process that does it. A process is a holder: it has a name, which
 * stands in the rows that it has taken, and a file of that name in the folder `leases` of the state
 * folder. The file is locked while the process lives, however it ends. So processes of the same
 * machine see at once that a holder is dead. Locks of another machine may be invisible here; its
 * work counts as held until the lease, which it renews, ends.
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
 * The name of this process as a holder. The first call makes and locks its file. It also calls
 * `on_dead` (0: done) for each dead holder of this machine, and then removes that holder's file.
 * NULL: failed, logged.
 */
typedef int leases_dead_fn(void *arg, const char *holder);
const char *leases_holder(struct leases *leases, leases_dead_fn *on_dead, void *arg);

/* Calls `on_dead` for holders that have died since. */
void leases_bury(struct leases *leases, leases_dead_fn *on_dead, void *arg);

/*
 * Whether `holder` has died: its file on this machine is not locked, or, if that cannot be seen
 * here, its lease ended at `until` (Unix seconds). False for this process.
 */
bool leases_are_over(const struct leases *leases, const char *holder, long long until);

/*
 * Whether it is time to renew this process's leases: true for one caller every LEASE_RENEWAL_S, and
 * never before leases_holder() was called.
 */
bool leases_renewal_due(struct leases *leases);

/* This process executes the run, given by its seq, from leases_take_up() to leases_put_down(). */
void leases_take_up(struct leases *leases, long long run);
void leases_put_down(struct leases *leases, long long run);

bool leases_are_at_hand(struct leases *leases, long long run);

/* Whether `holder` is this process. */
bool leases_are_ours(const struct leases *leases, const char *holder);

#endif
