/* cofre check: what would go wrong at night, said by day. */
#ifndef COFRE_POSTGRES_INSPECT_H
#define COFRE_POSTGRES_INSPECT_H

#include <stdint.h>

#include "postgres/options.h"

/* Findings on connection, TLS, programs, databases, and the rights on everything that would be read. */
int32_t inspect_run(struct cofre_call *call, const struct options *options, struct cofre_error *error);

#endif
