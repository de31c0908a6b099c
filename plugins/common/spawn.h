/* Starting a program: without a shell, and with nothing of ours but what is named here. */
#ifndef COFRE_COMMON_SPAWN_H
#define COFRE_COMMON_SPAWN_H

#include <sys/types.h>

struct spawn {
    const char *program;       /* looked for in PATH when it has no '/' */
    char *const *words;        /* its arguments, the name first; ended by NULL */
    char *const *environment;  /* ended by NULL */
    int input, output, errors; /* its descriptors 0, 1, 2; -1 = /dev/null */
    const int *kept;           /* others that it gets under their numbers, ended by -1; NULL = none */
};

/* Started with no signal blocked and none ignored; the caller waits for *pid. 0, or an errno when there is no process.
 */
int spawn_start(const struct spawn *spawn, pid_t *pid);

#endif
