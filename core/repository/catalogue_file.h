/* A catalogue as a file on this machine: the records, then a trailer with the key of the fingerprints and a hash over
 * all, so that a damaged or half-written file counts as none. Lives in the cache directory, mode 0600. */
#ifndef COFRE_REPOSITORY_CATALOGUE_FILE_H
#define COFRE_REPOSITORY_CATALOGUE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/catalogue.h"

struct error;

/* ---- writing ---- */

struct catalogue_output;
int catalogue_output_new(const char *path, const uint8_t fingerprint_key[16], struct catalogue_output **output,
                         struct error *e);
int catalogue_output_add(struct catalogue_output *output, const void *records, size_t n, struct error *e);
/* Writes the trailer. *length: of all records. */
int catalogue_output_end(struct catalogue_output *output, uint64_t *length, struct error *e);
void catalogue_output_free(struct catalogue_output *output);

/* ---- reading ---- */

struct catalogue_input;
/* ERROR_NOT_FOUND when there is no file, ERROR_INTEGRITY when it is not whole. */
int catalogue_input_open(const char *path, struct catalogue_input **input, struct error *e);
void catalogue_input_close(struct catalogue_input *input);
const uint8_t *catalogue_input_fingerprint_key(const struct catalogue_input *input);
/* Back to the first record. */
void catalogue_input_rewind(struct catalogue_input *input);
/* The next record, and its bytes (lent until the next call). *end: there was none. record may be NULL: not decoded. */
int catalogue_input_next(struct catalogue_input *input, struct record *record, const uint8_t **bytes, size_t *n,
                         bool *end, struct error *e);

#endif
