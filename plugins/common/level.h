/* A directory on the way to the entry at hand. Its metadata waits until everything in it is there. */
#ifndef COFRE_COMMON_LEVEL_H
#define COFRE_COMMON_LEVEL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/finish.h"
#include "common/listing.h"
#include "cofre/plugin.h"

#define LEVEL_ACLS_MAX 2
#define LEVEL_OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

struct folder;

struct level {
    bool announced; /* it has metadata */
    bool told;      /* its entry is known to the host as not whole */
    bool fresh;     /* made by this run: nothing is in it but what this run put there */
    bool existed;   /* may have something that is to go: an ACL */
    bool inherits;  /* hands ACLs or its group down */
    bool opened_up; /* had to get rights for us: mode is what it had */
    bool exact;     /* what is in names and does not come is moved aside */
    mode_t mode;
    struct listing_range names; /* that were there before (aside.h) */
    struct folder *folder;      /* files of it that are on their way; NULL = none are */
    struct finish_metadata metadata;
    struct cofre_attribute acls[LEVEL_ACLS_MAX]; /* copies */
};

void level_free(struct level *level);

/* Remove the temporary files that a killed restore left in a directory, by their exact form. */
void level_sweep(int fd);

/* Open the directory name of dir; it is made when it is not there. A descriptor, or -1 with *result and *why. */
int level_open(struct level *level, const struct finish_rules *rules, int dir, const char *name, int32_t *result,
               struct cofre_error *why);

/* What the directory hands down, and what it needs for us to work in it. handed_down: what the directory above hands
 * down it may have got. */
int32_t level_examine(struct level *level, const struct finish_rules *rules, int fd, struct stat *st, bool handed_down,
                      struct cofre_error *why);

/* ACLs wait with the rest of the metadata; what else there is is set now, while a failure can be told as the entry's.
 * Returns false when memory ran out. */
bool level_keep(struct level *level, const struct finish_rules *rules, int fd, const struct cofre_entry *entry,
                struct losses *losses);

/* Everything in it is there. *losses says what it lost. */
void level_finish(struct level *level, struct finish_rules *rules, int fd, struct losses *losses);

#endif
