#include "archive/inlet.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "flow/pipe.h"
#include "flow/task.h"
#include "openpgp/pgp.h"
#include "worker/sink.h"

#define PIPE ((size_t)1 << 20)

struct inlet {
    struct inlet_spec spec;
    char key[201];
    struct digest *digest;
    uint64_t stored;
    struct compress *expand;
    struct pipe *sealed; /* from the fetching thread to the opening one; NULL = not encrypted */
    struct pipe *plain;  /* to the reader */
    struct pgp_run *run;
    struct task *fetching, *opening;
};

/* ---- hashing ---- */

static int hash_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct inlet *i = context;
    i->stored += n;
    if (i->stored > i->spec.stored)
        return error_set(e, ERROR_INTEGRITY, "'%s' has more than its %llu bytes", i->spec.key,
                         (unsigned long long)i->spec.stored);
    digest_add(i->digest, p, n);
    return 0;
}

static int compare(struct inlet *i, struct error *e)
{
    uint8_t hash[DIGEST_SIZE];
    digest_end(i->digest, hash);
    if (i->stored != i->spec.stored)
        return error_set(e, ERROR_INTEGRITY, "'%s' has %llu bytes, the manifest says %llu", i->spec.key,
                         (unsigned long long)i->stored, (unsigned long long)i->spec.stored);
    if (memcmp(hash, i->spec.sha256, sizeof hash) != 0)
        return error_set(e, ERROR_INTEGRITY, "'%s' is damaged: it has not the SHA-256 that the manifest says",
                         i->spec.key);
    return 0;
}

int inlet_check(const struct inlet_spec *spec, struct error *e)
{
    struct inlet i = {.spec = *spec};
    if (digest_new(&i.digest, e) < 0)
        return -1;
    int result = sink_get_pieces(spec->sink, spec->key, hash_piece, &i, e);
    if (result == 0)
        result = compare(&i, e);
    else if (e->class == ERROR_NOT_FOUND)
        error_set(e, ERROR_INTEGRITY, "'%s' is missing", spec->key);
    digest_free(i.digest);
    return result;
}

/* ---- the threads ---- */

static int give_plain(void *context, const void *p, size_t n, struct error *e)
{
    return pipe_write(((struct inlet *)context)->plain, p, n, 0, e);
}

static int expand_piece(void *context, const void *p, size_t n, struct error *e)
{
    return compress_write(((struct inlet *)context)->expand, p, n, e);
}

static int take_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct inlet *i = context;
    if (hash_piece(i, p, n, e) < 0)
        return -1;
    return i->sealed ? pipe_write(i->sealed, p, n, i->spec.patience, e) : expand_piece(i, p, n, e);
}

static int fetch_all(struct inlet *i, struct error *e)
{
    return sink_get_pieces(i->spec.sink, i->key, take_piece, i, e) < 0 ? -1 : compare(i, e);
}

/* The last of the threads ends the plain bytes. */
static int end_plain(struct inlet *i, int result, struct error *e)
{
    if (result == 0)
        result = compress_end(i->expand, e);
    if (result == 0) {
        pipe_end(i->plain);
        return 0;
    }
    error_context(e, "'%s': ", i->spec.key);
    pipe_fail(i->plain, e);
    return -1;
}

static int fetch(void *context, struct error *e)
{
    struct inlet *i = context;
    int result = fetch_all(i, e);
    if (!i->sealed)
        return end_plain(i, result, e);
    if (result < 0)
        pipe_fail(i->sealed, e);
    else
        pipe_end(i->sealed);
    return result;
}

static int read_sealed(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    return pipe_read(((struct inlet *)context)->sealed, p, n, got, 0, e);
}

static int open_sealed(void *context, struct error *e)
{
    struct inlet *i = context;
    const struct pgp_stream stream = {.read = read_sealed, .write = expand_piece, .context = i};
    int result = pgp_decrypt(i->run, &stream, e);
    if (result < 0)
        pipe_fail(i->sealed, e);
    return end_plain(i, result, e);
}

/* ---- the side of the caller ---- */

static int make_parts(struct inlet *i, struct error *e)
{
    struct compress_spec expand = {
        .kind = i->spec.compress, .expand = true, .threads = 1, .take = give_plain, .context = i};
    struct pipe_spec pipe = {.size = PIPE, .cancelled = cancel_requested};
    if (digest_new(&i->digest, e) < 0 || compress_new(&expand, &i->expand, e) < 0 || pipe_new(&pipe, &i->plain, e) < 0)
        return -1;
    if (!i->spec.pgp)
        return 0;
    return pipe_new(&pipe, &i->sealed, e) < 0 ? -1 : pgp_run_new(i->spec.pgp, &i->run, e);
}

static int start(struct inlet *i, struct error *e)
{
    if (make_parts(i, e) < 0 || task_start(&i->fetching, fetch, i, e) < 0)
        return -1;
    return i->run ? task_start(&i->opening, open_sealed, i, e) : 0;
}

int inlet_new(const struct inlet_spec *spec, struct inlet **inlet, struct error *e)
{
    struct inlet *i = calloc(1, sizeof *i);
    if (!i)
        return error_memory(e);
    i->spec = *spec;
    ASSERT(strlen(spec->key) < sizeof i->key);
    strcpy(i->key, spec->key);
    i->spec.key = i->key;
    if (start(i, e) < 0) {
        inlet_free(i);
        return -1;
    }
    *inlet = i;
    return 0;
}

int inlet_read(struct inlet *inlet, void *p, size_t n, size_t *got, struct error *e)
{
    return pipe_read(inlet->plain, p, n, got, inlet->spec.patience, e);
}

/* Whoever still waits is told that nobody reads any more. */
static void stop(struct inlet *i)
{
    struct error why, ignored;
    error_set(&why, ERROR_CANCELLED, "reading '%s' was given up", i->key);
    if (i->plain)
        pipe_fail(i->plain, &why);
    if (i->sealed)
        pipe_fail(i->sealed, &why);
    if (i->opening) {
        pgp_cancel(i->run);
        (void)task_join(i->opening, &ignored);
    }
    if (i->fetching)
        (void)task_join(i->fetching, &ignored);
}

void inlet_free(struct inlet *inlet)
{
    if (!inlet)
        return;
    stop(inlet);
    compress_free(inlet->expand);
    digest_free(inlet->digest);
    pipe_free(inlet->plain);
    pipe_free(inlet->sealed);
    pgp_run_free(inlet->run);
    free(inlet);
}
