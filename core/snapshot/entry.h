/* An entry: struct cofre_entry as the engine knows it, less what only the ABI needs. Everything it points to is lent.
 */
#ifndef COFRE_SNAPSHOT_ENTRY_H
#define COFRE_SNAPSHOT_ENTRY_H

#include <stddef.h>
#include <stdint.h>

struct snapshot_attribute {
    const char *name;
    const void *value;
    size_t length;
};
struct snapshot_entry {
    uint32_t kind;    /* COFRE_FILE ... */
    uint32_t flags;   /* COFRE_ENTRY_* */
    const char *path; /* NUL terminated */
    size_t path_length;
    int64_t size, mtime;
    uint32_t mode, uid, gid, device_major, device_minor;
    const char *user, *group; /* NULL = none */
    const char *link;         /* NULL = none; NUL terminated */
    size_t link_length;
    const struct snapshot_attribute *attributes;
    size_t attribute_count;
    uint8_t fingerprint[16]; /* keyed hash of the plugin's fingerprint */
    int has_fingerprint;
};

#endif
