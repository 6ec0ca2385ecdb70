/*
 * --check-config: whether all is well, before a web server is asked.
 */
#ifndef CHECK_CONFIG_H
#define CHECK_CONFIG_H

/*
 * Tries each part of the program, and says on standard output, a line each, that it is well or what
 * to do. The state folder and the database are made where they are missing; the assistant is not,
 * and the model server is only asked for its models, which costs nothing. Returns the exit status:
 * whether all is well.
 */
int check_config(void);

#endif
