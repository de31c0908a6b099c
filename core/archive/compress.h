/* Compressing and expanding one stored file, as a stream: zstd (one frame, with a checksum), gzip, or as it is. */
#ifndef COFRE_ARCHIVE_COMPRESS_H
#define COFRE_ARCHIVE_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

struct compress;
struct error;

enum compress_kind { COMPRESS_ZSTD, COMPRESS_GZIP, COMPRESS_NONE, COMPRESS_KINDS };

/* "zstd", "gzip", "none"; -1 when there is no such kind. */
const char *compress_name(enum compress_kind kind);
int compress_find(const char *name, enum compress_kind *kind);
/* ".zst", ".gz", "" */
const char *compress_extension(enum compress_kind kind);
/* 0 = the kind's default; else in its range: zstd 1 to 19, gzip 1 to 9. */
bool compress_level_valid(enum compress_kind kind, long level);

/* Takes what comes out. */
typedef int compress_take(void *context, const void *p, size_t n, struct error *e);

struct compress_spec {
    enum compress_kind kind;
    int level;        /* 0 = default */
    unsigned threads; /* zstd only, at least 1 */
    bool expand;
    compress_take *take;
    void *context;
};
int compress_new(const struct compress_spec *spec, struct compress **compress, struct error *e);
void compress_free(struct compress *compress);

int compress_write(struct compress *compress, const void *p, size_t n, struct error *e);
/* Everything is out. Expanding: ERROR_INTEGRITY when the data were cut, or something follows them. */
int compress_end(struct compress *compress, struct error *e);

#endif
