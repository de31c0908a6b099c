/* Presence: is what was stored in an archive a moment ago there, and what it was? */
#ifndef COFRE_ARCHIVE_PRESENT_H
#define COFRE_ARCHIVE_PRESENT_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct inventory;
struct outlet_sample;
struct sink;

/* The files of the inventory, the checksums, and the signature (0 bytes = there is none): all are there, each of its
 * size; one listing tells. prefix: of their keys, with a slash at its end. Else ERROR_PERMANENT, which names one. */
int present_check(struct sink *sink, const char *prefix, const struct inventory *inventory, uint64_t sums,
                  uint64_t signature, struct error *e);

/* Read those bytes of the object back. Other ones: ERROR_PERMANENT. */
int present_compare(struct sink *sink, const char *key, const struct outlet_sample *sample, struct error *e);

#endif
