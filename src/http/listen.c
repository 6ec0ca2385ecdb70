/* Opens the program's own sockets. */
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "text/text.h"

/* The kernel lowers it to net.core.somaxconn (4096 since Linux 5.4). */
enum { LISTEN_BACKLOG = 4096 };

static int
listen_unix(const char *path, mode_t mode, char *error, size_t error_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	mode_t mask;
	int fd, bound;

	if (strlen(path) >= sizeof address.sun_path) {
		snprintf(error, error_size, "the socket's path %s is longer than %zu bytes", path,
		    sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		snprintf(error, error_size, "another program answers on the socket %s", path);
		close(fd);
		return -1;
	}
	/* Nobody answers: a killed program left the socket behind, or it is some other file. */
	if (errno == ECONNREFUSED && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
	mask = umask(0777 & ~mode);
	bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (bound < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		snprintf(
		    error, error_size, "cannot listen on the socket %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* Parses "127.0.0.1:9000" or "[::1]:9000". */
static int
parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	char host[64];
	long long port;
	size_t host_len;

	if (!colon || parse_number(colon + 1, 1, 65535, &port) < 0)
		return -1;
	host_len = (size_t)(colon - text);
	if (host_len >= sizeof host)
		return -1;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	*address = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		*len = sizeof *in;
		return 0;
	}
	if (host[0] != '[' || host[host_len - 1] != ']')
		return -1;
	host[host_len - 1] = '\0';
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	*len = sizeof *in6;
	return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 ? 0 : -1;
}

static int
listen_inet(const char *text, char *error, size_t error_size)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, one = 1;

	if (parse_address(text, &address, &len) < 0) {
		snprintf(error, error_size,
		    "--listen %s: it must look like unix:/path, 127.0.0.1:9000 or [::1]:9000",
		    text);
		return -1;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int
server_listen(const char *address, mode_t mode, char *error, size_t error_size)
{
	if (strncmp(address, "unix:/", 6) == 0)
		return listen_unix(address + 5, mode, error, error_size);
	return listen_inet(address, error, error_size);
}
