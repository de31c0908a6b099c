/* Help: written from the command table. */
#ifndef COFRE_CLI_HELP_H
#define COFRE_CLI_HELP_H

#include <stdio.h>

struct command;

/* Of the program. */
void help_program(FILE *to);
/* Of one command. */
void help_command(const struct command *command, FILE *to);

#endif
