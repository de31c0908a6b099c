/* Files with several names: the path of the first name that was kept, by device and inode, until all names were seen.
 */
#ifndef COFRE_COMMON_HARDLINK_H
#define COFRE_COMMON_HARDLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct hardlink_table {
    struct hardlink **slots;
    size_t slot_count, count;
    size_t bytes, maximum; /* of what is remembered; set maximum */
};

struct hardlink {
    struct hardlink *next;
    dev_t device;
    ino_t inode;
    uint64_t names_left; /* names that were not met yet */
    size_t length;
    char path[]; /* NUL terminated */
};

void hardlink_free(struct hardlink_table *table);

/* NULL: this is the first name. */
struct hardlink *hardlink_find(const struct hardlink_table *table, const struct stat *st);

/* The first name. false: no room; then further names are kept as files of their own. */
bool hardlink_add(struct hardlink_table *table, const struct stat *st, const char *path, size_t length);

/* Another name was met; forgets the file after its last. link is invalid afterwards. */
void hardlink_met(struct hardlink_table *table, struct hardlink *link);

#endif
