/* Removing many objects with one request. */
#ifndef COFRE_S3_REMOVAL_H
#define COFRE_S3_REMOVAL_H

#include <stddef.h>

#include "s3/store.h"

/* As the header says of remove_many. */
int32_t removal_run(struct store *store, struct cofre_call *call, const char *const *keys, size_t count,
                    struct cofre_error *error);

#endif
