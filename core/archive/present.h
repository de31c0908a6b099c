/* Presence: is what was stored in an archive a moment ago there, and what it was? */
#ifndef COFRE_ARCHIVE_PRESENT_H
#define COFRE_ARCHIVE_PRESENT_H

struct archive;
struct bytes;
struct error;
struct inventory;
struct outlet_sample;
struct sink;

/* After sink_sync: the files of the inventory are there, each of its size, which one listing tells; SHA256SUMS is read
 * back and says what the manifest, of these bytes, and its signature are. Else ERROR_PERMANENT, which names one. */
int present_check(struct archive *archive, const struct inventory *inventory, const struct bytes *manifest,
                  struct error *e);

/* Read those bytes of the object back. Other ones: ERROR_PERMANENT. */
int present_compare(struct sink *sink, const char *key, const struct outlet_sample *sample, struct error *e);

#endif
