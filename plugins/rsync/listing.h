/* What rsync --list-only prints, and the calls that are made of it. */
#ifndef COFRE_RSYNC_LISTING_H
#define COFRE_RSYNC_LISTING_H

#include "rsync/place.h"

struct listing_row {
    char type; /* '-' = regular file, 'd' = directory, as ls writes them */
    int64_t size;
    int64_t mtime; /* ns; rsync tells whole seconds */
    const char *name;
};

/* Calls row for each line of text (which is changed) that is one; stops at its first error. */
int32_t listing_rows(char *text, int32_t (*row)(void *context, const struct listing_row *, struct cofre_error *),
                     void *context, struct cofre_error *error);

/* list and sweep of cofre/plugin.h. */
int32_t listing_run(struct place *place, struct cofre_call *call, const char *prefix, struct cofre_error *error);
int32_t listing_sweep(struct place *place, struct cofre_call *call, int64_t older_than, struct cofre_error *error);

#endif
