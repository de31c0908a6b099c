/* What is in the bucket, page by page. */
#ifndef COFRE_S3_LISTING_H
#define COFRE_S3_LISTING_H

#include "s3/request.h"

/* One page. The cursor is ours: the last key, so that a store that goes round in circles is found out, and the store's
 * own token. */
int32_t listing_run(struct store *store, struct cofre_call *call, const char *prefix, const void *cursor,
                    size_t cursor_length, struct cofre_error *error);

#endif
