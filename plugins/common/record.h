/* An entry of a file, copied out of the host's hands so that it can be put back later. One piece of memory holds it
 * with its path and attributes. */
#ifndef COFRE_COMMON_RECORD_H
#define COFRE_COMMON_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "common/finish.h"
#include "cofre/plugin.h"

struct folder;

struct record {
    size_t bytes; /* of all of it, a multiple of RECORD_ALIGN; grows with content laid behind it */
    struct folder *folder;
    const char *path; /* NUL terminated */
    const char *name; /* its last component */
    size_t path_length;
    uint64_t hash; /* of path */
    uint32_t kind; /* FILE, STREAM */
    struct finish_metadata metadata;
    size_t content_length;   /* of what is laid behind it */
    size_t content_room;     /* that it takes, aligned */
    int32_t result;          /* of putting it back */
    struct cofre_error *why; /* malloc'ed, with a result that is a failure; NULL: no memory for it */
    struct losses *lost;     /* the same, with COFRE_PARTLY */
};

#define RECORD_ALIGN 16u

/* Memory that the record of this entry needs. */
size_t record_size(const struct cofre_entry *entry);

/* In memory of record_size bytes, aligned to RECORD_ALIGN. */
struct record *record_make(void *memory, const struct cofre_entry *entry, const struct finish_rules *rules,
                           struct folder *folder);

static inline size_t record_aligned(size_t n)
{
    return (n + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

uint64_t record_hash(const char *path, size_t length);

#endif
