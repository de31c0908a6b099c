/* Cloning: the stored files of a snapshot from one archive into another, byte for byte. */
#ifndef COFRE_ARCHIVE_ARCHIVE_COPY_H
#define COFRE_ARCHIVE_ARCHIVE_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct archive;
struct bytes;
struct error;

/* Everything but the manifest, whose text is then in *text, to be committed. Every file is hashed on its way and must
 * be what the manifest says. *existed: the snapshot is there already, whole, and nothing is to be committed. Archives
 * that are encrypted in another way, or with another passphrase: ERROR_UNSUPPORTED. */
int archive_copy_files(struct archive *from, struct archive *to, const char *job, const char *id, struct bytes *text,
                       uint64_t *objects, uint64_t *bytes, bool *existed, struct error *e);

#endif
