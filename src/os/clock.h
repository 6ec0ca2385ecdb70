/* Two clocks: one that never jumps, for waiting, and Unix time, for what is shown. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

/* Milliseconds; only differences have a meaning. */
long long clock_ms(void);

/* Unix seconds, and nanoseconds. */
long long clock_unix(void);
long long clock_unix_ns(void);

#endif
