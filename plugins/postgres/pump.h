/* From a program's stdout into the content of the entry at hand. */
#ifndef COFRE_POSTGRES_PUMP_H
#define COFRE_POSTGRES_PUMP_H

#include <stddef.h>
#include <stdint.h>

#include "postgres/program.h"

struct pump {
    struct cofre_call *call;
    struct program *program;
    /* Looks at the bytes as they pass. May be NULL. Its error is one of the entry. */
    int32_t (*look)(void *context, const void *bytes, size_t length, struct cofre_error *error);
    /* Called again and again: something else that has to go on; must not wait, nor call the host. May be NULL. */
    int32_t (*beside)(void *context, struct cofre_error *error);
    void *context;
};

/* Until the end of stdout. Returns errors of the host: the backup is over. *result is how the entry fares: COFRE_OK, or
 * the class of what look or beside said, with *why. The program runs on in both cases. */
int32_t pump_run(struct pump *pump, int32_t *result, struct cofre_error *why, struct cofre_error *error);

#endif
