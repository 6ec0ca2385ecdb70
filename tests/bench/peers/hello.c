/*
 * The least that a FastCGI program can do: read a request, say hello. hello SOCKET
 *
 * Its threads take turns to accept, as the program's do.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 16, BACKLOG = 1024 };

static int listener;
static pthread_mutex_t accept_lock = PTHREAD_MUTEX_INITIALIZER;

static void *
answer(void *arg)
{
	FCGX_Request request;
	char body[4096];

	FCGX_InitRequest(&request, listener, 0);
	for (;;) {
		int accepted;

		pthread_mutex_lock(&accept_lock);
		accepted = FCGX_Accept_r(&request);
		pthread_mutex_unlock(&accept_lock);
		if (accepted < 0)
			return arg;
		while (FCGX_GetStr(body, sizeof body, request.in) > 0)
			;
		FCGX_PutS("Content-Type: text/plain\r\n\r\nhello\n", request.out);
		FCGX_Finish_r(&request);
	}
}

int
main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 2 || FCGX_Init() != 0)
		return EXIT_FAILURE;
	listener = FCGX_OpenSocket(argv[1], BACKLOG);
	if (listener < 0)
		return EXIT_FAILURE;
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, answer, NULL) != 0)
			return EXIT_FAILURE;
	answer(NULL);
	return EXIT_FAILURE;
}
