/* Owner, attributes, mode and times of what was put back, set by descriptor. */
#ifndef COFRE_COMMON_FINISH_H
#define COFRE_COMMON_FINISH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/losses.h"
#include "cofre/plugin.h"

struct names;

/* What may be put back, and what was left. */
struct finish_rules {
    struct names *names; /* NULL: owners by number */
    uid_t user;          /* who we are */
    gid_t group;
    bool setuid;          /* setuid and setgid bits, and attributes beyond user.* and ACLs, if we are root */
    bool foreign;         /* what we make here belongs to others (a squashed NFS export): look each time */
    uint64_t owners_kept; /* out: entries that stay with us because only root may give them away */
};

/* What is to be set. Attributes are those of an entry, or copies. */
struct finish_metadata {
    uint32_t mode, uid, gid; /* numbers of this system */
    int64_t mtime;           /* COFRE_NO_TIME: leave it */
    const struct cofre_attribute *attributes;
    uint32_t attribute_count, attribute_stride;
};

/* Parts of finish_attributes: ACLs govern access and inheritance, so a directory gets them last. */
#define FINISH_ACLS 1u
#define FINISH_OTHERS 2u

struct finish_metadata finish_of(const struct finish_rules *rules, const struct cofre_entry *entry);

/* fd is open for reading or writing, or with O_PATH (then by_path). st: what it is now. */
struct finish_subject {
    int fd;
    bool by_path;
    bool inherits; /* may have got ACLs from the directory it was made in, or was there before: those go */
    const struct stat *st;
};

/* All of it, in the order that leaves nothing undone: owner, attributes, mode, times. A symlink has no mode. */
void finish_all(struct finish_rules *rules, const struct finish_subject *subject, const struct finish_metadata *m,
                struct losses *losses);

void finish_attributes(const struct finish_rules *rules, const struct finish_subject *subject,
                       const struct finish_metadata *m, unsigned parts, struct losses *losses);
/* All but FINISH_OTHERS. */
void finish_directory(struct finish_rules *rules, const struct finish_subject *subject, const struct finish_metadata *m,
                      struct losses *losses);

/* An ACL? */
bool finish_is_acl(const char *attribute);

/* May it be put back? user.* and POSIX ACLs always; what gives rights or steers the kernel, such as security.* and
 * trusted.*, with setuid = yes, as root. */
bool finish_may_set(const struct finish_rules *rules, const char *attribute);

#endif
