/*
 * The two clocks: one that never jumps, for waiting, and Unix time, for what is shown.
 */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

/* Milliseconds since some moment; only differences mean anything. */
long long clock_ms(void);

/* Unix seconds, and nanoseconds. */
long long clock_unix(void);
long long clock_unix_ns(void);

#endif
