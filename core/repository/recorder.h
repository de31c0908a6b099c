/* The recorder: a source's entries as they come, their content into chunks, their records into a catalogue file.
 *
 * The catalogue is written to a local file in path order while the source runs; an entry's record waits there for the
 * id of a chunk that is still open. recorder_finish sends the file through the writer like any content. The file itself
 * is the next run's memory of what there was (catalogue_file.h).
 */
#ifndef COFRE_REPOSITORY_RECORDER_H
#define COFRE_REPOSITORY_RECORDER_H

#include <stddef.h>
#include <stdint.h>

#include "repository/catalogue.h"

struct error;
struct manifest_source;
struct recorder;
struct writer;

/* path: of the catalogue file, replaced. fingerprint_key: of the earlier catalogue whose entries may be taken over,
 * else a fresh one. */
int recorder_new(struct writer *writer, const char *path, const uint8_t fingerprint_key[16], struct recorder **recorder,
                 struct error *e);
void recorder_free(struct recorder *recorder);

/* An entry, its content piece by piece, its end. */
int recorder_entry(struct recorder *recorder, const struct snapshot_entry *entry, struct error *e);
int recorder_data(struct recorder *recorder, const void *p, size_t n, struct error *e);
int recorder_hole(struct recorder *recorder, uint64_t n, struct error *e);
/* The content so far is void. */
int recorder_restart(struct recorder *recorder, struct error *e);
/* why: NULL when status is RECORD_WHOLE. An unreadable entry keeps no content. */
int recorder_end(struct recorder *recorder, enum record_status status, const char *why, struct error *e);

/* An entry as it was in an earlier catalogue: its records, n bytes, and the length of its content. */
int recorder_unchanged(struct recorder *recorder, const void *records, size_t n, uint64_t size, struct error *e);

/* No more entries: store the catalogue, and fill in entries, bytes, chunks, catalogue_bytes and fingerprint_key. */
int recorder_finish(struct recorder *recorder, struct manifest_source *source, struct error *e);

#endif
