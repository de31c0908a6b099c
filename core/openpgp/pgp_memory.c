/* A part of pgp.h: messages that are small. */
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "openpgp/pgp.h"

struct memory {
    const uint8_t *p;
    size_t left;
    struct bytes *out;
};

static int read_memory(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    struct memory *m = context;
    (void)e;
    *got = n < m->left ? n : m->left;
    memcpy(p, m->p, *got);
    m->p += *got;
    m->left -= *got;
    return 0;
}

static int write_memory(void *context, const void *p, size_t n, struct error *e)
{
    struct memory *m = context;
    bytes_put(m->out, p, n);
    return bytes_check(m->out, "message", e);
}

static int convert(struct pgp *pgp, int (*how)(struct pgp_run *, const struct pgp_stream *, struct error *),
                   const struct bytes *in, struct bytes *out, struct error *e)
{
    struct memory memory = {.p = in->data, .left = in->length, .out = out};
    const struct pgp_stream stream = {.read = read_memory, .write = write_memory, .context = &memory};
    struct pgp_run *run;
    if (pgp_run_new(pgp, &run, e) < 0)
        return -1;
    int result = how(run, &stream, e);
    pgp_run_free(run);
    return result;
}

int pgp_encrypt_bytes(struct pgp *pgp, const struct bytes *plain, struct bytes *out, struct error *e)
{
    return convert(pgp, pgp_encrypt, plain, out, e);
}

int pgp_decrypt_bytes(struct pgp *pgp, const struct bytes *sealed, struct bytes *out, struct error *e)
{
    return convert(pgp, pgp_decrypt, sealed, out, e);
}
