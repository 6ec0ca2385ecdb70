/*
 * What a CGI program costs that only links what assistants.fcgi links: the Makefile gives it the same
 * libraries, none of which it calls.
 */
#include <stdio.h>

int
main(void)
{
	fputs("Content-Type: text/plain\r\n\r\nhello\n", stdout);
	return 0;
}
