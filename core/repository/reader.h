/* The reader: chunks out of a repository, one at a time, each opened and compared with its id. For catalogues and
 * single files; long sequences go through player.h. */
#ifndef COFRE_REPOSITORY_READER_H
#define COFRE_REPOSITORY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/catalogue.h"
#include "repository/seal.h"

struct error;
struct index_location;
struct manifest_source;
struct reader;
struct repository;

/* repository: opened, its index loaded, borrowed. ERROR_AUTH without the full key. */
int reader_new(struct repository *repository, struct reader **reader, struct error *e);
void reader_free(struct reader *reader);

/* The plain bytes of a chunk, lent until the next call. A place where it is damaged is said as a warning, once for each
 * pack, and the next one is tried; nowhere whole: ERROR_INTEGRITY. */
int reader_chunk(struct reader *reader, const uint8_t id[SEAL_HASH_SIZE], const uint8_t **p, size_t *n,
                 struct error *e);
/* The same, of a chunk that was not whole in that place, because of *why: that is said, and blamed where it is due
 * (repository_blame). */
int reader_chunk_elsewhere(struct reader *reader, const struct index_location *place, const struct error *why,
                           const uint8_t **p, size_t *n, struct error *e);

/* Readers of one repository may be used side by side.
 *
 * The nth place of a chunk (from 0), of those that are tried: of foreign ones (index.h) only a handful, so that nobody
 * who says much makes others look for long. When there is none, packs that nobody vouches for are looked into, once.
 * ERROR_INTEGRITY when there is no such place. */
int reader_locate(struct reader *reader, const uint8_t id[SEAL_HASH_SIZE], unsigned nth,
                  struct index_location *location, struct error *e);
/* Is this failure the fault of one place, so that another place of the chunk may be whole? */
bool reader_is_damage(const struct error *e);
/* The most bytes that a sealed chunk has. */
size_t reader_sealed_max(void);

/* The records of a source's catalogue at and below path (NULL or "" = all), in order. bytes: the record as stored.
 * Reads only the chunks that it needs. record returns 0, or -1 with *e set. It may not use this reader. */
int reader_catalogue(struct reader *reader, const struct manifest_source *source, const char *path,
                     int (*record)(void *context, const struct record *record, const uint8_t *bytes, size_t n,
                                   struct error *e),
                     void *context, struct error *e);

#endif
