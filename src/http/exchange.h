/*
 * One request and its answer, as the web server hands them over. CGI and FastCGI each fill in this
 * table; nobody above src/http/ can tell which it is.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "os/interrupt.h"

struct exchange {
	/*
	 * A CGI/1.1 variable (RFC 3875, 4.1), NULL when the server did not send it; the exchange's.
	 */
	const char *(*variable)(struct exchange *exchange, const char *name);
	/*
	 * All that the server sent by that name, joined by commas, the oldest first, to be freed;
	 * NULL without any. Some servers do not join a header's lines (nginx before 1.23).
	 */
	char *(*variables)(struct exchange *exchange, const char *name);
	/*
	 * Up to `size` bytes of the body, as soon as there are some; 0 at its end, -1 when it broke
	 * off, or nothing came for too long.
	 */
	ssize_t (*read)(struct exchange *exchange, void *bytes, size_t size);
	/*
	 * Writes, and hands over to the server at once. -1 when the server does not take it any
	 * more.
	 */
	int (*write)(struct exchange *exchange, const void *bytes, size_t len);
	/*
	 * The answer cannot be finished: ends the connection, so that what was sent does not look
	 * whole. NULL where that cannot be done: there nothing is to be sent that may not be
	 * finished.
	 */
	void (*break_off)(struct exchange *exchange);
	/*
	 * The answer is whole: neither the server nor the client waits for what is still done, and
	 * only the program's end is a reason to stop that. Nothing may be written afterwards.
	 */
	void (*leave)(struct exchange *exchange);
	/*
	 * Raised when the client has gone, as far as the server lets us know, or the program must
	 * end.
	 */
	struct interrupt client;
	/*
	 * Set by the handler: the rest of the body is taken only as it comes, for a moment, and not
	 * waited for.
	 */
	bool hurried;
	/* How many fewer requests than was asked for can be answered at once: threads are short. */
	unsigned workers_missing;
};

#endif
