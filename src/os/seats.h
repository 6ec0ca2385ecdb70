/*
 * Seats: bound how many may do something at once, over all processes of a machine that use the same
 * file. A seat is a lock on one byte of the file, which the kernel releases however its process
 * ends.
 */
#ifndef OS_SEATS_H
#define OS_SEATS_H

struct seats;

/* Opens or creates the file. NULL with errno. */
struct seats *seats_open(const char *path, unsigned count);
void seats_close(struct seats *seats);

/* Takes a seat, to be given back; -1: all are taken. */
int seats_take(struct seats *seats);
void seats_give_back(struct seats *seats, int seat);

#endif
