/* A tarball: entries into a pax archive, through libarchive.
 *
 * tar wants an entry's size, and the places of its holes, before its content. So content is kept back until its end is
 * known, at most TARBALL_BUFFER bytes of it; of what is larger the announced size is written, holes that come later are
 * zeros (which is told, so that they can be found again), and what turns out shorter is filled up with zeros. Content
 * that begins anew after that has the entry written once more: the earlier copies are void, and tar itself lets the
 * last one win. */
#ifndef COFRE_ARCHIVE_TARBALL_H
#define COFRE_ARCHIVE_TARBALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct snapshot_entry;
struct tarball;

#define TARBALL_BUFFER ((size_t)8 << 20)

/* take gets the bytes of the archive. */
int tarball_new(int (*take)(void *context, const void *p, size_t n, struct error *e), void *context,
                struct tarball **tarball, struct error *e);
/* NULL is fine. */
void tarball_free(struct tarball *tarball);

/* Any kind but streams and sockets. A file whose size is not known must be ended within TARBALL_BUFFER bytes. */
int tarball_entry(struct tarball *tarball, const struct snapshot_entry *entry, struct error *e);
int tarball_data(struct tarball *tarball, const void *p, size_t n, struct error *e);
int tarball_hole(struct tarball *tarball, uint64_t n, struct error *e);
int tarball_restart(struct tarball *tarball, struct error *e);

struct tarball_kept {
    bool sparse;    /* holes came too late: they are zeros */
    bool written;   /* the entry is in the archive, if only as something void */
    uint64_t size;  /* of its content that counts */
    uint32_t voids; /* copies of the entry that do not count; of one that is whole or changed there is one more */
};
enum tarball_state { TARBALL_WHOLE, TARBALL_CHANGED, TARBALL_UNREADABLE };
/* The entry is complete. A whole one must have the size that was announced, if that was needed. */
int tarball_end(struct tarball *tarball, enum tarball_state state, struct tarball_kept *kept, struct error *e);

/* The end of the archive. */
int tarball_finish(struct tarball *tarball, struct error *e);

#endif
