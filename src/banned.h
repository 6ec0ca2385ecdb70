/*
 * Functions that must not be used, each with its replacement. The compiler includes this file first
 * (-include). It includes the headers itself, because they must be read before the names are
 * redefined.
 */
#ifndef BANNED_H
#define BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(name, instead) name##_is_banned_use_##instead

#undef strcpy
#define strcpy(d, s) BANNED(strcpy, struct_buf)
#undef strncpy
#define strncpy(d, s, n) BANNED(strncpy, struct_buf)
#undef strcat
#define strcat(d, s) BANNED(strcat, struct_buf)
#undef strncat
#define strncat(d, s, n) BANNED(strncat, struct_buf)
#undef sprintf
#define sprintf(...) BANNED(sprintf, snprintf_or_buf_printf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf, vsnprintf)
#undef gets
#define gets(s) BANNED(gets, fgets)
#undef strtok
#define strtok(s, d) BANNED(strtok, strchr)
#undef gmtime
#define gmtime(t) BANNED(gmtime, gmtime_r)
#undef localtime
#define localtime(t) BANNED(localtime, gmtime_r)
#undef ctime
#define ctime(t) BANNED(ctime, strftime)
#undef asctime
#define asctime(t) BANNED(asctime, strftime)
#undef atoi
#define atoi(s) BANNED(atoi, strtol)
#undef rand
#define rand() BANNED(rand, getrandom)

#endif
