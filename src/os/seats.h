/*
 * Seats: how many may do something at once, over all processes of a machine that name the same
 * file. A seat is a lock on one byte of it, which the kernel takes back however its process ends.
 */
#ifndef OS_SEATS_H
#define OS_SEATS_H

struct seats;

/* Opens the file, or makes it. NULL with errno. */
struct seats *seats_open(const char *path, unsigned count);
void seats_close(struct seats *seats);

/* A seat, to be given back; -1 when all are taken. */
int seats_take(struct seats *seats);
void seats_give_back(struct seats *seats, int seat);

#endif
