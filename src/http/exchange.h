/*
 * One request and its answer, as the web server passes them. CGI and FastCGI each fill in this
 * table; code outside src/http/ cannot tell which it is.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "os/interrupt.h"

struct exchange {
	/*
	 * A CGI/1.1 variable (RFC 3875, 4.1), owned by the exchange; NULL: the server did not send
	 * it.
	 */
	const char *(*variable)(struct exchange *exchange, const char *name);
	/*
	 * All values that the server sent under this name, oldest first, joined by commas; the
	 * caller frees. NULL: none. Some servers do not join a header's lines (nginx before 1.23).
	 */
	char *(*variables)(struct exchange *exchange, const char *name);
	/*
	 * Reads up to `size` bytes of the body, as soon as there are any. 0: its end. -1: it broke
	 * off, or nothing came for too long.
	 */
	ssize_t (*read)(struct exchange *exchange, void *bytes, size_t size);
	/* Writes and flushes. -1: the server no longer takes it. */
	int (*write)(struct exchange *exchange, const void *bytes, size_t len);
	/*
	 * The answer cannot be completed: ends the connection, so that what was sent does not look
	 * complete. NULL: that is impossible here, so nothing may be sent before the answer is
	 * complete.
	 */
	void (*break_off)(struct exchange *exchange);
	/*
	 * The answer is complete: server and client no longer wait. From now on only the program's
	 * end interrupts the work. Nothing may be written afterwards.
	 */
	void (*leave)(struct exchange *exchange);
	/*
	 * Raised when the client has left, as far as the server reports it, or the program must
	 * end.
	 */
	struct interrupt client;
	/*
	 * Set by the handler: the rest of the body is read only for a moment, as it comes, and not
	 * waited for.
	 */
	bool hurried;
	/* How many of the configured workers could not be started for lack of threads. */
	unsigned workers_missing;
};

#endif
