/* Putting databases back. */
#ifndef COFRE_POSTGRES_RESTORE_H
#define COFRE_POSTGRES_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "postgres/session.h"

/* Take every entry. *clean: nothing was left on the server under a temporary name. */
int32_t restore_run(struct cofre_call *call, const struct options *options, bool *clean, struct cofre_error *error);
/* Remove what restores and trials of that id left on the server. */
int32_t restore_forget(struct session *admin, const struct options *options, const char *id, struct cofre_error *error);

/* The databases of a trial restore have names that begin with "ID-s-"; their temporary names with "ID-". */
#define RESTORE_TRIAL "%s-s-"

#endif
