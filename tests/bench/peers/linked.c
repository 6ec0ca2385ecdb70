/*
 * The cost of a CGI program that links what assistants.fcgi links, by the Makefile, and calls none
 * of it.
 */
#include <stdio.h>

int
main(void)
{
	fputs("Content-Type: text/plain\r\n\r\nhello\n", stdout);
	return 0;
}
