/* Objects in parts: those that are large, and those whose length nobody knows until they end. */
#ifndef COFRE_S3_UPLOAD_H
#define COFRE_S3_UPLOAD_H

#include "s3/object.h"

/* As object_put. What is shorter than one part is put at once. */
int32_t upload_run(struct store *store, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error);
/* As sweep: uploads under the prefix that began before older_than (ns) and are at least a day old. Credentials that may
 * not list or end them are no failure. */
int32_t upload_sweep(struct store *store, struct cofre_call *call, int64_t older_than, struct cofre_error *error);

#endif
