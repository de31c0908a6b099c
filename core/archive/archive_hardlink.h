/* Hard links in a part of a snapshot whose first name is elsewhere: the first of such links is given the content of
 * that first name, as a file of its own, and further links of the same file lead to it. A tar archive can only be read
 * forwards, and the first name comes before its links: so it is read a second time for them, and once more for each
 * link that goes back. A part of replay.h. */
#ifndef COFRE_ARCHIVE_ARCHIVE_HARDLINK_H
#define COFRE_ARCHIVE_ARCHIVE_HARDLINK_H

#include <stddef.h>
#include <stdint.h>

#include "archive/inlet.h"

struct archive;
struct error;
struct archive_hardlink;
struct snapshot_entry;
struct untar;

/* Memory for the names. */
#define ARCHIVE_HARDLINK_BYTES_MAX ((size_t)64 << 20)

/* tar: how the tar archive is read; its sink does not count, since another worker is started when one is needed. The
 * key and hash are borrowed. */
int archive_hardlink_new(const struct inlet_spec *tar, struct archive_hardlink **links, struct error *e);
/* NULL is fine. */
void archive_hardlink_free(struct archive_hardlink *links);

/* *taken: the name that got the content of first_name before, lent; NULL = none, and name has it from now on. */
int archive_hardlink_take(struct archive_hardlink *links, const char *first_name, const char *name, const char **taken,
                          struct error *e);
/* The entry of first_name, behind so many void copies of it, and the tar archive at its content; both are lent until
 * the next call. */
int archive_hardlink_seek(struct archive_hardlink *links, const char *first_name, uint64_t voids,
                          struct snapshot_entry *entry, struct untar **untar, struct error *e);
/* What was read for it was whole. */
int archive_hardlink_finish(struct archive_hardlink *links, struct error *e);

#endif
