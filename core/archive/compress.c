#include "archive/compress.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"

#define BUFFER ((size_t)256 << 10)
#define JOB_SIZE (4 << 20)    /* of one thread at a time; zstd's own choice is 8 MiB at level 3 */
#define WINDOW_LOG_MAX 27     /* what `zstd -d` takes without being asked: 128 MiB */
#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, with a gzip header */

struct compress {
    struct compress_spec spec;
    ZSTD_CCtx *deflating;
    ZSTD_DCtx *inflating;
    z_stream z;
    bool z_open;
    bool done;  /* expanding: the frame has ended */
    bool begun; /* expanding: a byte has come */
    uint8_t out[BUFFER];
};

/* What each kind does with a piece; end = no more input. */
typedef int step_function(struct compress *c, const void *p, size_t n, bool end, struct error *e);

static int give(struct compress *c, const void *p, size_t n, struct error *e)
{
    return n > 0 ? c->spec.take(c->spec.context, p, n, e) : 0;
}

static int damaged(struct error *e, const char *why)
{
    return error_set(e, ERROR_INTEGRITY, "expand: %s", why);
}

/* ---- zstd ---- */

static int zstd_pack(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    ZSTD_inBuffer in = {p, n, 0};
    for (;;) {
        ZSTD_outBuffer out = {c->out, sizeof c->out, 0};
        size_t left = ZSTD_compressStream2(c->deflating, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(e, ERROR_PERMANENT, "compress: %s", ZSTD_getErrorName(left));
        if (give(c, c->out, out.pos, e) < 0)
            return -1;
        if (end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

static int zstd_unpack(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    ZSTD_inBuffer in = {p, n, 0};
    if (end)
        return c->done ? 0 : damaged(e, "the compressed data are cut");
    for (bool full = false; in.pos < in.size || full;) {
        if (c->done)
            return damaged(e, "something follows the compressed data");
        ZSTD_outBuffer out = {c->out, sizeof c->out, 0};
        size_t left = ZSTD_decompressStream(c->inflating, &out, &in);
        if (ZSTD_isError(left))
            return damaged(e, ZSTD_getErrorName(left));
        c->done = left == 0;
        full = out.pos == out.size && !c->done;
        if (give(c, c->out, out.pos, e) < 0)
            return -1;
    }
    return 0;
}

static int zstd_open(struct compress *c, struct error *e)
{
    if (c->spec.expand) {
        c->inflating = ZSTD_createDCtx();
        if (!c->inflating)
            return error_memory(e);
        ZSTD_DCtx_setParameter(c->inflating, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
        return 0;
    }
    c->deflating = ZSTD_createCCtx();
    if (!c->deflating)
        return error_memory(e);
    const struct {
        ZSTD_cParameter parameter;
        int value;
    } settings[] = {
        {ZSTD_c_compressionLevel, c->spec.level ? c->spec.level : ZSTD_CLEVEL_DEFAULT},
        {ZSTD_c_checksumFlag, 1},
        {ZSTD_c_nbWorkers, (int)c->spec.threads},
        {ZSTD_c_jobSize, c->spec.level <= 9 ? JOB_SIZE : 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        size_t result = ZSTD_CCtx_setParameter(c->deflating, settings[i].parameter, settings[i].value);
        if (ZSTD_isError(result))
            return error_set(e, ERROR_UNSUPPORTED, "set up zstd: %s", ZSTD_getErrorName(result));
    }
    return 0;
}

/* ---- gzip ---- */

/* zlib counts in unsigned int. */
static uInt z_piece(size_t n)
{
    return n < UINT_MAX / 2 ? (uInt)n : UINT_MAX / 2;
}

static int gzip_pack(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    const uint8_t *from = p;
    for (bool more = true; more;) {
        uInt piece = z_piece(n);
        c->z.next_in = (z_const Bytef *)(uintptr_t)from;
        c->z.avail_in = piece;
        from += piece;
        n -= piece;
        int result;
        do {
            c->z.next_out = c->out;
            c->z.avail_out = (uInt)sizeof c->out;
            result = deflate(&c->z, end && n == 0 ? Z_FINISH : Z_NO_FLUSH);
            if (result == Z_STREAM_ERROR)
                return error_set(e, ERROR_BUG, "compress: zlib's state is broken");
            if (give(c, c->out, sizeof c->out - c->z.avail_out, e) < 0)
                return -1;
        } while (c->z.avail_out == 0);
        more = n > 0;
    }
    return 0;
}

static int gzip_unpack(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    const uint8_t *from = p;
    if (end)
        return c->done ? 0 : damaged(e, "the compressed data are cut");
    while (n > 0) {
        if (c->done)
            return damaged(e, "something follows the compressed data");
        uInt piece = z_piece(n);
        c->z.next_in = (z_const Bytef *)(uintptr_t)from;
        c->z.avail_in = piece;
        c->z.next_out = c->out;
        c->z.avail_out = (uInt)sizeof c->out;
        int result = inflate(&c->z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR)
            return error_memory(e);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return damaged(e, c->z.msg ? c->z.msg : "the compressed data are damaged");
        c->done = result == Z_STREAM_END;
        from += piece - c->z.avail_in;
        n -= piece - c->z.avail_in;
        if (give(c, c->out, sizeof c->out - c->z.avail_out, e) < 0)
            return -1;
    }
    return 0;
}

static int gzip_open(struct compress *c, struct error *e)
{
    int level = c->spec.level ? c->spec.level : Z_DEFAULT_COMPRESSION;
    int result = c->spec.expand ? inflateInit2(&c->z, GZIP_WINDOW)
                                : deflateInit2(&c->z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    c->z_open = result == Z_OK;
    return c->z_open ? 0 : error_memory(e);
}

/* ---- none ---- */

static int pass(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    (void)end;
    return give(c, p, n, e);
}

/* ---- all ---- */

static const struct {
    const char *name, *extension;
    long level_max;
    int (*open)(struct compress *c, struct error *e);
    step_function *pack, *unpack;
} kinds[COMPRESS_KINDS] = {
    [COMPRESS_ZSTD] = {"zstd", ".zst", 19, zstd_open, zstd_pack, zstd_unpack},
    [COMPRESS_GZIP] = {"gzip", ".gz", 9, gzip_open, gzip_pack, gzip_unpack},
    [COMPRESS_NONE] = {"none", "", 0, NULL, pass, pass},
};

const char *compress_name(enum compress_kind kind)
{
    return kinds[kind].name;
}

int compress_find(const char *name, enum compress_kind *kind)
{
    for (int i = 0; i < COMPRESS_KINDS; i++) {
        *kind = (enum compress_kind)i;
        if (strcmp(kinds[i].name, name) == 0)
            return 0;
    }
    return -1;
}

const char *compress_extension(enum compress_kind kind)
{
    return kinds[kind].extension;
}

bool compress_level_valid(enum compress_kind kind, long level)
{
    return level >= 0 && level <= kinds[kind].level_max;
}

int compress_new(const struct compress_spec *spec, struct compress **compress, struct error *e)
{
    struct compress *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    c->spec = *spec;
    if (!kinds[spec->kind].open || kinds[spec->kind].open(c, e) == 0) {
        *compress = c;
        return 0;
    }
    compress_free(c);
    return -1;
}

void compress_free(struct compress *compress)
{
    if (!compress)
        return;
    ZSTD_freeCCtx(compress->deflating);
    ZSTD_freeDCtx(compress->inflating);
    if (compress->z_open)
        (void)(compress->spec.expand ? inflateEnd(&compress->z) : deflateEnd(&compress->z));
    free(compress);
}

static int step(struct compress *c, const void *p, size_t n, bool end, struct error *e)
{
    return (c->spec.expand ? kinds[c->spec.kind].unpack : kinds[c->spec.kind].pack)(c, p, n, end, e);
}

int compress_write(struct compress *compress, const void *p, size_t n, struct error *e)
{
    return n > 0 ? step(compress, p, n, false, e) : 0;
}

int compress_end(struct compress *compress, struct error *e)
{
    return step(compress, NULL, 0, true, e);
}
