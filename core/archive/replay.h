/* Replay: the entries of a source out of an archive, in path order: those of its tar archive, and, between them, those
 * that stand apart. */
#ifndef COFRE_ARCHIVE_REPLAY_H
#define COFRE_ARCHIVE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot/record.h"

struct archive;
struct audience;
struct error;
struct inventory;

/* At and below path (NULL or "" = all). The stored files that are needed are compared with their hashes first,
 * unless they have just been (checked). audience->data NULL: content is not wanted; damaged is never called. The
 * audience must not believe what it got before replay_run has succeeded. *entries: how many were given. */
int replay_run(struct archive *archive, const struct inventory *inventory, const char *source, const char *path,
               const struct audience *audience, bool checked, uint64_t *entries, struct error *e);

#endif
