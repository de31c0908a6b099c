/* check: what the credentials may do. create: the bucket, for `cofre init`. */
#ifndef COFRE_S3_INSPECTION_H
#define COFRE_S3_INSPECTION_H

#include "s3/request.h"

int32_t inspection_options(struct store *store, struct cofre_call *call);
int32_t inspection_run(struct store *store, struct cofre_call *call, struct cofre_error *error);
int32_t inspection_create(struct store *store, struct cofre_call *call, struct cofre_error *error);

#endif
