/* The baseline of a source: its previous catalogue, and with it what need not be read again.
 *
 * It is a file in the cache directory, left by the last run, or made anew from the repository when this machine has
 * lost it and the full key is at hand. An entry of it can be taken over when every chunk of its content is present in
 * every sink, and enough of those that small files share is used (usage.h).
 */
#ifndef COFRE_REPOSITORY_BASELINE_H
#define COFRE_REPOSITORY_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/source.h"

struct error;
struct manifest;
struct baseline;
struct repository;
struct writer;

/* Open the catalogue at path and write the table of fingerprints that the worker reads. fingerprint_key: of today's
 * options; a catalogue made under others is not used. writer: knows what is present; NULL = everything (a dry run).
 * tidy: older snapshots go some day, so that chunks of which little is used are to go with them. Without a usable file
 * *baseline is an empty one. */
int baseline_open(const char *path, const char *directory, const uint8_t fingerprint_key[16],
                  const struct writer *writer, bool tidy, struct baseline **baseline, struct error *e);
/* An empty one: everything is read. */
int baseline_none(const uint8_t fingerprint_key[16], struct baseline **baseline, struct error *e);
void baseline_close(struct baseline *baseline);

/* When there is no file at path: make it from the catalogue of that source in the snapshot before `now`, where the key
 * allows. That it does not work is no failure: everything is then read again. Nobody else uses the repository's sink
 * meanwhile. */
int baseline_recover(const char *path, struct repository *repository, const struct manifest *now, const char *source,
                     struct error *e);

/* For source_backup_begin. */
const struct source_previous *baseline_table(const struct baseline *baseline);

/* An entry that is taken over: all is lent until the next call. */
struct baseline_entry {
    const char *path; /* NUL terminated */
    size_t path_length;
    uint32_t kind;          /* COFRE_FILE ... */
    uint64_t size;          /* of its content */
    const uint8_t *records; /* as they stood in the catalogue */
    size_t records_length;
};

/* Entry number ordinal; ordinals ascend from call to call. */
int baseline_take(struct baseline *baseline, uint64_t ordinal, struct baseline_entry *entry, struct error *e);

#endif
