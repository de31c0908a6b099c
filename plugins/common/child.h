/* A program that is started, fed, and ended: in a process group of its own, of which nothing is left. */
#ifndef COFRE_COMMON_CHILD_H
#define COFRE_COMMON_CHILD_H

#include <stddef.h>

#include "cofre/plugin.h"

#define CHILD_SAID_MAX 300 /* bytes of what it says that are kept */

struct child {
    const char *program; /* absolute */
    char *const *words;  /* its arguments, the name first; ended by NULL */
    const char *input;   /* what it gets to read; it need not */
    size_t length;
};

/* Run it to its end; when the call is cancelled or out of time it is killed. What it writes to either output is read
 * and dropped, but for the first bytes. COFRE_OK: it ended with status 0. PERMANENT: with another one, or by a signal,
 * with the first line that it said in the message; RETRY: with 75 (EX_TEMPFAIL). */
int32_t child_run(struct cofre_call *call, const struct child *child, struct cofre_error *error);

#endif
