/* A bundle: one snapshot being written into an archive. Each source's entries go into its tar archive as they come;
 * streams, and files of unknown size, become files of their own, side by side with it. */
#ifndef COFRE_ARCHIVE_BUNDLE_H
#define COFRE_ARCHIVE_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "snapshot/record.h"

struct archive;
struct bundle;
struct bytes;
struct error;
struct manifest;
struct snapshot_entry;

/* archive: made ready, borrowed. sources: how many there are. */
int bundle_new(struct archive *archive, const char *job, const char *id, size_t sources, struct bundle **bundle,
               struct error *e);
/* What is not committed is given up; stored files that nobody needs are removed where that works. NULL is fine. */
void bundle_free(struct bundle *bundle);

/* Source number i begins. After any error of what follows the bundle is of no more use. */
void bundle_begin(struct bundle *bundle, size_t i, const char *source);
int bundle_entry(struct bundle *bundle, const struct snapshot_entry *entry, struct error *e);
int bundle_data(struct bundle *bundle, const void *p, size_t n, struct error *e);
int bundle_hole(struct bundle *bundle, uint64_t n, struct error *e);
int bundle_restart(struct bundle *bundle, struct error *e);
/* why: NULL when status is RECORD_WHOLE. */
int bundle_end(struct bundle *bundle, enum record_status status, const char *why, struct error *e);
/* The source has ended; what is in the archive of it. */
int bundle_finish(struct bundle *bundle, uint64_t *entries, uint64_t *bytes, struct error *e);
/* The source has failed: nothing of it is kept. */
void bundle_drop(struct bundle *bundle);

/* All sources have ended: sign, put the checksums, sync, and look whether all is there: every stored file has its size,
 * some bytes of one, any of them, are what was written, and the checksums are right; else ERROR_PERMANENT names the
 * file. Gives the text of the manifest, which is to be put under *key, last. manifest: of the whole run; borrowed. */
int bundle_seal(struct bundle *bundle, struct manifest *manifest, struct bytes *text, char key[201], struct error *e);
/* The manifest is there: bundle_free leaves everything in place. */
void bundle_committed(struct bundle *bundle);

/* Stored bytes so far. */
uint64_t bundle_stored(const struct bundle *bundle);

#endif
