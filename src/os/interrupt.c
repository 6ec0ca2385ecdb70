#include "os/interrupt.h"

#include <poll.h>

#include "os/clock.h"

enum { ASK_MS = 1000 };

bool
interrupt_raised(const struct interrupt *interrupt)
{
	return interrupt && interrupt->raised && interrupt->raised(interrupt->arg);
}

bool
interrupt_sleep(const struct interrupt *interrupt, long long ms)
{
	long long end = clock_ms() + ms, left;
	/* poll() skips negative descriptors. */
	struct pollfd fd = {.fd = interrupt ? interrupt->fd : -1, .events = POLLIN | POLLRDHUP};

	while ((left = end - clock_ms()) > 0) {
		if (interrupt_raised(interrupt))
			return true;
		/* Readable but not raised: poll() would return at once, forever. */
		if (poll(&fd, 1, (int)(left < ASK_MS ? left : ASK_MS)) > 0 &&
		    !interrupt_raised(interrupt))
			fd.fd = -1;
	}
	return interrupt_raised(interrupt);
}
