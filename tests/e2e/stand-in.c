/*
 * Takes the program's place, as FastCGI or CGI, and answers the `Authorization` that it got. With
 * `--listen unix:PATH` it listens there, until SIGTERM.
 */
#include <fcgi_stdio.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
leave(int number)
{
	(void)number;
	_exit(0);
}

static const char *
value(const char *name)
{
	const char *found = getenv(name);

	return found ? found : "";
}

int
main(int argc, char **argv)
{
	/* Before our handler, because it sets one that keeps a waiting process alive. */
	FCGX_Init();
	signal(SIGTERM, leave);
	if (argc == 3 && dup2(FCGX_OpenSocket(argv[2] + strlen("unix:"), 16), STDIN_FILENO) < 0)
		return 1;
	while (FCGI_Accept() >= 0) {
		printf("Content-Type: text/plain\r\n\r\n"
		       "HTTP_AUTHORIZATION=%s\nREDIRECT_HTTP_AUTHORIZATION=%s\n",
		    value("HTTP_AUTHORIZATION"), value("REDIRECT_HTTP_AUTHORIZATION"));
	}
	return 0;
}
