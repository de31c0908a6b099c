/* A record: an entry with what became of it, as formats write and give it. */
#ifndef COFRE_SNAPSHOT_RECORD_H
#define COFRE_SNAPSHOT_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshot/entry.h"

struct catalogue_extent;

enum record_status { RECORD_WHOLE = 0, RECORD_CHANGED = 1, RECORD_UNREADABLE = 2 };

/* One record. Everything it points to is lent. */
struct record {
    bool continuation; /* only extents and more count */
    enum record_status status;
    /* size = the content's length, written as 0 for kinds without content. flags are not kept. */
    struct snapshot_entry entry;
    const char *error; /* status != WHOLE: why; NUL terminated by the decoder */
    bool more;         /* a continuation follows */
    const struct catalogue_extent *extents;
    size_t extent_count;
};

#endif
