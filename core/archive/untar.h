/* Untar: entries out of a tar archive, which may be hostile: everything is checked, nothing is written anywhere. */
#ifndef COFRE_ARCHIVE_UNTAR_H
#define COFRE_ARCHIVE_UNTAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct snapshot_entry;
struct untar;

/* read gives the bytes of the archive; *got = 0: the end. */
int untar_new(int (*read)(void *context, void *p, size_t n, size_t *got, struct error *e), void *context,
              struct untar **untar, struct error *e);
/* NULL is fine. */
void untar_free(struct untar *untar);

/* The next entry, lent until the following call; content that was not taken is skipped. *end: there is none, and the
 * archive was read to its last byte. What the format of a snapshot cannot hold (a path that leads up, an unknown kind):
 * ERROR_INTEGRITY. */
int untar_next(struct untar *untar, struct snapshot_entry *entry, bool *end, struct error *e);

/* The first `limit` bytes of the entry's content. */
struct untar_audience {
    int (*data)(void *context, const void *p, size_t n, struct error *e);
    int (*hole)(void *context, uint64_t n, struct error *e);
    void *context;
};
int untar_content(struct untar *untar, uint64_t limit, const struct untar_audience *audience, struct error *e);

#endif
