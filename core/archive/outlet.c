#include "archive/outlet.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "flow/pipe.h"
#include "flow/task.h"
#include "openpgp/pgp.h"
#include "worker/sink.h"

#define PIPE ((size_t)1 << 20)
#define PIECE ((size_t)128 << 10)

struct outlet {
    struct sink *sink;
    struct sink_put *put; /* while it is stored */
    char key[201];
    int64_t patience;
    struct compress *compress;
    struct digest *digest;
    struct pipe *pipe;
    struct pgp_run *run; /* NULL = no encryption */
    struct task *task;   /* that takes from the pipe */
    uint64_t plain, stored;
    uint32_t pieces;
    struct outlet_sample *sample;
    uint8_t piece[PIECE];
};

/* ---- the thread behind the pipe ---- */

static int read_piece(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    struct outlet *o = context;
    return pipe_read(o->pipe, p, n, got, 0, e);
}

/* Each piece is the sample with the same chance. */
static void sample(struct outlet *o, const void *p, size_t n)
{
    if (n == 0 || randombytes_uniform(++o->pieces) != 0)
        return;
    o->sample->offset = o->stored;
    o->sample->length = n < OUTLET_SAMPLE ? n : OUTLET_SAMPLE;
    memcpy(o->sample->bytes, p, o->sample->length);
}

static int store_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct outlet *o = context;
    sample(o, p, n);
    digest_add(o->digest, p, n);
    o->stored += n;
    return sink_put_write(o->put, p, n, e);
}

static int store_plain(struct outlet *o, struct error *e)
{
    for (size_t got = 1; got > 0;)
        if (read_piece(o, o->piece, sizeof o->piece, &got, e) < 0 || store_piece(o, o->piece, got, e) < 0)
            return -1;
    return 0;
}

static int store_all(struct outlet *o, struct error *e)
{
    const struct pgp_stream stream = {.read = read_piece, .write = store_piece, .context = o};
    if (sink_put_begin(o->sink, o->key, true, &o->put, e) < 0)
        return -1;
    int result = o->run ? pgp_encrypt(o->run, &stream, e) : store_plain(o, e);
    if (result == 0)
        return sink_put_end(o->put, e);
    sink_put_abort(o->put);
    return -1;
}

static int store(void *context, struct error *e)
{
    struct outlet *o = context;
    int result = store_all(o, e);
    if (result < 0)
        pipe_fail(o->pipe, e);
    return result;
}

/* ---- the side of the caller ---- */

static int to_pipe(void *context, const void *p, size_t n, struct error *e)
{
    struct outlet *o = context;
    if (pipe_write(o->pipe, p, n, o->patience, e) == 0)
        return 0;
    return e->class == ERROR_TIMEOUT ? error_context(e, "store '%s': %s ", o->key, o->run ? "gpg" : "the sink") : -1;
}

static void dispose(struct outlet *o)
{
    compress_free(o->compress);
    digest_free(o->digest);
    pipe_free(o->pipe);
    pgp_run_free(o->run);
    free(o->sample);
    free(o);
}

static int make_parts(struct outlet *o, const struct outlet_spec *spec, struct error *e)
{
    struct compress_spec compress = {
        .kind = spec->compress, .level = spec->level, .threads = spec->threads, .take = to_pipe, .context = o};
    struct pipe_spec pipe = {.size = PIPE, .cancelled = cancel_requested};
    if (!(o->sample = calloc(1, sizeof *o->sample)))
        return error_memory(e);
    if (compress_new(&compress, &o->compress, e) < 0 || digest_new(&o->digest, e) < 0 ||
        pipe_new(&pipe, &o->pipe, e) < 0)
        return -1;
    return spec->pgp ? pgp_run_new(spec->pgp, &o->run, e) : 0;
}

int outlet_new(const struct outlet_spec *spec, struct outlet **outlet, struct error *e)
{
    struct outlet *o = calloc(1, sizeof *o);
    if (!o)
        return error_memory(e);
    o->sink = spec->sink;
    o->patience = spec->patience;
    ASSERT(strlen(spec->key) < sizeof o->key);
    strcpy(o->key, spec->key);
    if (make_parts(o, spec, e) < 0 || task_start(&o->task, store, o, e) < 0) {
        dispose(o);
        return -1;
    }
    *outlet = o;
    return 0;
}

int outlet_write(struct outlet *outlet, const void *p, size_t n, struct error *e)
{
    outlet->plain += n;
    return compress_write(outlet->compress, p, n, e);
}

/* Everybody's failure is that of whoever failed first; the pipe knows it. */
static void stop(struct outlet *o, const struct error *why)
{
    struct error ignored;
    pipe_fail(o->pipe, why);
    if (o->run)
        pgp_cancel(o->run);
    (void)task_join(o->task, &ignored);
    dispose(o);
}

void outlet_free(struct outlet *outlet)
{
    struct error why;
    if (!outlet)
        return;
    error_set(&why, ERROR_CANCELLED, "'%s' was given up", outlet->key);
    stop(outlet, &why);
}

int outlet_end(struct outlet *outlet, struct outlet_result *result, struct error *e)
{
    if (compress_end(outlet->compress, e) < 0) {
        stop(outlet, e);
        return -1;
    }
    pipe_end(outlet->pipe);
    int joined = task_join(outlet->task, e);
    *result = (struct outlet_result){.plain = outlet->plain, .stored = outlet->stored};
    if (joined == 0) {
        digest_end(outlet->digest, result->sha256);
        result->sample = outlet->sample;
        outlet->sample = NULL;
    }
    dispose(outlet);
    return joined;
}
