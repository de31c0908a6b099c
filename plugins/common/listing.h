/* Names of directories, sorted bytewise. A listing is a stack: the names of a directory stay while those of the
 * directories below it come and go, so one walk needs two growing blocks of memory and no more. */
#ifndef COFRE_COMMON_LISTING_H
#define COFRE_COMMON_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct listing_name {
    uint64_t prefix; /* the first eight bytes, big-endian: most comparisons need no more */
    size_t offset;   /* into bytes */
    uint32_t length;
    uint32_t type; /* DT_*; DT_UNKNOWN where the file system does not say */
};

struct listing {
    char *bytes; /* names, each NUL terminated */
    size_t used, room;
    struct listing_name *names;
    size_t count, capacity;
    size_t maximum; /* bytes of memory for all of it; set it */
    void *buffer;   /* for getdents64 */
};

/* The names of one directory: names[next] up to names[end - 1] are still to come. */
struct listing_range {
    size_t first, next, end, mark;
    bool twice; /* the file system listed a name twice; it is here once */
};

void listing_free(struct listing *listing);

/* Add the names of the directory fd, without "." and "..", each once.
 *
 * While a directory changes, some file systems (btrfs, tmpfs) skip names that are there all the time. So one that
 * changed meanwhile is listed again, LISTING_ROUNDS times, and what any round found is here; ext4 and XFS, which miss
 * no name that stays, are listed once. COFRE_E_CHANGED: it changed each time. After an error, too, the range holds the
 * names that were read. */
#define LISTING_ROUNDS 3
int32_t listing_read(struct listing *listing, int fd, struct listing_range *range, struct cofre_error *error);

/* Forget the names of the range that was added last. */
void listing_drop(struct listing *listing, const struct listing_range *range);

static inline const char *listing_text(const struct listing *listing, const struct listing_name *name)
{
    return listing->bytes + name->offset;
}

/* The position of the name in the range, or SIZE_MAX. */
size_t listing_find(const struct listing *listing, const struct listing_range *range, const char *text);

#endif
