/* --check-config: tests everything before a web server is involved. */
#ifndef CHECK_CONFIG_H
#define CHECK_CONFIG_H

/*
 * Tests each part of the program, and prints a line for each: it is fine, or what to do. Creates
 * the state folder and the database if they are missing, but not the assistant. The model server is
 * asked only for its models, which costs nothing. Returns the exit status: 0 if everything is fine.
 */
int check_config(void);

#endif
