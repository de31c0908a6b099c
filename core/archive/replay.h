/* Replay: the entries of a source out of an archive, in path order: those of its tar archive, and, between them, those
 * that stand apart. */
#ifndef COFRE_ARCHIVE_REPLAY_H
#define COFRE_ARCHIVE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot/record.h"

struct archive;
struct error;
struct inventory;

/* Each returns 0, or -1 with *e set, which ends it. Records are lent. */
struct replay_audience {
    int (*entry)(void *context, const struct record *record, struct error *e);
    int (*data)(void *context, const void *p, size_t n, struct error *e); /* NULL: content is not wanted */
    int (*hole)(void *context, uint64_t n, struct error *e);
    int (*end)(void *context, struct error *e);
    bool checked; /* the stored files have just been compared with their hashes */
    void *context;
};

/* At and below path (NULL or "" = all). The stored files that are needed are compared with their hashes first. The
 * audience must not believe what it got before replay_run has succeeded. *entries: how many were given. */
int replay_run(struct archive *archive, const struct inventory *inventory, const char *source, const char *path,
               const struct replay_audience *audience, uint64_t *entries, struct error *e);

#endif
