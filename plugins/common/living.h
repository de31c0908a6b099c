/* Databases whose server is at work in a directory right now: files of it that are read one after another need not fit
 * together, and often nobody notices before the restore.
 *
 * A stopped server must give no alarm, also when it was killed and left its lock file. So life is what the kernel says:
 * a lock that somebody holds on a file (InnoDB, Aria, MongoDB, SQLite), or a process that has the directory as its
 * working directory (PostgreSQL, Redis), whatever container it is in. Where cofre cannot see all processes (not root,
 * or in a container of its own), PostgreSQL's postmaster.pid and a file of Redis that changed just now count instead.
 */
#ifndef COFRE_COMMON_LIVING_H
#define COFRE_COMMON_LIVING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/listing.h"
#include "cofre/plugin.h"

struct living {
    const char *what;  /* "PostgreSQL" */
    const char *name;  /* the file in the directory that shows it; "" = the directory itself */
    const char *cure;  /* how to save it instead */
    bool by_container; /* what saves it reaches it by the name of its container, too */
};

/* Look for them in the open directory fd, whose names are the range. Costs little where there is none. found is called
 * for each; what it returns other than COFRE_OK ends the looking, and is returned. */
int32_t living_find(int fd, const struct listing *listing, const struct listing_range *range,
                    int32_t (*found)(void *context, const struct living *living), void *context);

/* Where the kernel cannot be asked, because the files are on another machine: what a file of this name and size, in a
 * place that somebody works in, says of a server at work. NULL = nothing. */
const struct living *living_by_name(const char *name, uint64_t size);

/* The message for one. container: the one that it runs in; NULL = not known. */
void living_explain(const struct living *living, const char *container, struct cofre_error *why);

#endif
