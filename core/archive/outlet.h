/* An outlet: one stored file being written. Bytes are compressed, encrypted, hashed and put, all at the same time; the
 * file has no length before its end, and exists only after outlet_end. */
#ifndef COFRE_ARCHIVE_OUTLET_H
#define COFRE_ARCHIVE_OUTLET_H

#include <stddef.h>
#include <stdint.h>

#include "archive/compress.h"
#include "archive/digest.h"

struct error;
struct outlet;
struct pgp;
struct sink;

struct outlet_spec {
    struct sink *sink; /* nobody else uses it until the end */
    const char *key;   /* of the object; must not be there yet */
    enum compress_kind compress;
    int level;
    unsigned threads;
    struct pgp *pgp;  /* made ready; NULL = no encryption */
    int64_t patience; /* ms that gpg and sink together may move no byte; 0 = for ever */
};

/* Some bytes of a stored file, from any place in it: to be compared with what the sink has kept. */
#define OUTLET_SAMPLE ((size_t)64 << 10)
struct outlet_sample {
    uint64_t offset;
    size_t length; /* 0 = the file is empty */
    uint8_t bytes[OUTLET_SAMPLE];
};

struct outlet_result {
    uint64_t plain, stored; /* bytes in and out */
    uint8_t sha256[DIGEST_SIZE];
    struct outlet_sample *sample; /* the caller's to free */
};

int outlet_new(const struct outlet_spec *spec, struct outlet **outlet, struct error *e);
int outlet_write(struct outlet *outlet, const void *p, size_t n, struct error *e);
/* The file is under its key; durable, or, where the plugin offers sync, when sink_sync of its worker has returned.
 * Frees the outlet, also after an error. */
int outlet_end(struct outlet *outlet, struct outlet_result *result, struct error *e);
/* There is no such file. NULL is fine. */
void outlet_free(struct outlet *outlet);

#endif
