/* What a server says when it refuses, in the words of an operator. */
#ifndef COFRE_REDIS_FAULT_H
#define COFRE_REDIS_FAULT_H

#include <stdint.h>

#include "cofre/plugin.h"

/* Fill *error from an error reply ("NOAUTH Authentication required."): the class, the server's own words, its code, and
 * what to do. name: of the server; command: what was refused. */
int32_t fault_reply(const char *name, const char *command, const char *reply, struct cofre_error *error);

#endif
