/* The entries of a source in a snapshot, played to somebody, and counted. */
#ifndef COFRE_JOB_PLAY_H
#define COFRE_JOB_PLAY_H

#include <stdint.h>

struct record;
struct error;
struct manifest;
struct manifest_source;
struct audience;
struct vault;

/* What was played, for the counts. */
struct play_tally {
    uint64_t entries, bytes;
    uint64_t size;  /* of the entry at hand, as its record says */
    uint64_t given; /* of it */
};

/* -1 when fewer or more bytes of the entry came than its record says. */
int play_tally_end(struct play_tally *t, struct error *e);
void play_tally_entry(struct play_tally *t, const struct record *record);
void play_tally_bytes(struct play_tally *t, uint64_t n);

/* -1 with ERROR_NOT_FOUND when nothing of the source is in the snapshot. */
int play_check_saved(const struct manifest_source *source, struct error *e);
/* Says that there is no such entry. -1. */
int play_absent(const struct manifest_source *source, const char *path, struct error *e);

/* The entries of a source at and below path (NULL = all). -1 also when there is none at this path. */
int play_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, const struct audience *audience, struct error *e);

#endif
