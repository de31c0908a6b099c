/* Listing: every object whose key begins with a prefix, in bytewise order of keys. */
#ifndef LOCAL_LISTING_H
#define LOCAL_LISTING_H

#include "local/place.h"

/* cursor: the last key of the page before. What is not named like a key is not ours and is left out; what is named like
 * one but is neither file nor directory is an error, since it may hide objects. */
int32_t listing_run(struct place *place, struct cofre_call *call, const char *prefix, const void *cursor,
                    size_t cursor_length, struct cofre_error *error);

#endif
