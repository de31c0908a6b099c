/* An inlet: one stored file being read. Fetched, hashed, opened and expanded, ahead of the reader.
 *
 * The stored bytes are looked at twice: inlet_check compares the whole file with its hash before anything of it is
 * opened; while it is opened they are hashed once more. The end (*got = 0) is only given when that hash, gpg's result
 * and the compressor's checksum were all right, so nobody mistakes a part for the whole. */
#ifndef COFRE_ARCHIVE_INLET_H
#define COFRE_ARCHIVE_INLET_H

#include <stddef.h>
#include <stdint.h>

#include "archive/compress.h"
#include "archive/digest.h"

struct error;
struct inlet;
struct pgp;
struct sink;

struct inlet_spec {
    struct sink *sink; /* nobody else uses it until inlet_free */
    const char *key;
    uint64_t stored; /* bytes that it must have */
    const uint8_t *sha256;
    enum compress_kind compress;
    struct pgp *pgp; /* NULL = not encrypted */
    int64_t patience;
};

/* Fetch and hash. Not what it should be, or not there: ERROR_INTEGRITY. */
int inlet_check(const struct inlet_spec *spec, struct error *e);

int inlet_new(const struct inlet_spec *spec, struct inlet **inlet, struct error *e);
int inlet_read(struct inlet *inlet, void *p, size_t n, size_t *got, struct error *e);
/* NULL is fine. */
void inlet_free(struct inlet *inlet);

#endif
