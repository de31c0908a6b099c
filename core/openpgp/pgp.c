#include "openpgp/pgp.h"

#include <errno.h>
#include <gpgme.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "openpgp/pgp_key.h"
#include "openpgp/pgp_loop.h"
#include "openpgp/pgp_passphrase.h"

#define SMALL ((size_t)1 << 20)

struct pgp {
    struct pgp_spec spec;
    gpgme_key_t *recipients; /* ends with NULL; filled by pgp_ready */
    gpgme_key_t signer;
};

enum purpose { ENCRYPT, DECRYPT, SIGN, VERIFY };

/* What gpg said. */
enum { SAID_ENCRYPTED = 1, SAID_DECRYPTED = 2, SAID_GOOD_MDC = 4 };

struct pgp_run {
    struct pgp *pgp;
    gpgme_ctx_t context;
    struct pgp_loop loop;
    enum purpose purpose;
    const struct pgp_stream *stream;
    unsigned said;
    bool begun;          /* a byte of the message went by */
    bool no_passphrase;  /* gpg asked for one that we do not have */
    struct error failed; /* of the stream's functions */
};

/* ---- what gpg asks and says ---- */

static gpgme_error_t on_status(void *hook, const char *keyword, const char *args)
{
    static const struct {
        const char *keyword;
        unsigned bit;
    } known[] = {{"END_ENCRYPTION", SAID_ENCRYPTED}, {"DECRYPTION_OKAY", SAID_DECRYPTED}, {"GOODMDC", SAID_GOOD_MDC}};
    struct pgp_run *run = hook;
    (void)args;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(keyword, known[i].keyword) == 0)
            run->said |= known[i].bit;
    return 0;
}

static gpgme_error_t on_passphrase(void *hook, const char *uid, const char *info, int bad, int fd)
{
    struct pgp_run *run = hook;
    const struct pgp_spec *spec = &run->pgp->spec;
    bool symmetric = spec->recipient_count == 0 && (run->purpose == ENCRYPT || run->purpose == DECRYPT);
    const uint8_t *p = symmetric ? spec->passphrase : spec->key_passphrase;
    size_t n = symmetric ? spec->passphrase_length : spec->key_passphrase_length;
    (void)uid;
    (void)info;
    run->no_passphrase = !p;
    if (bad || !p)
        return gpgme_error(bad ? GPG_ERR_BAD_PASSPHRASE : GPG_ERR_CANCELED);
    return gpgme_io_writen(fd, p, n) < 0 || gpgme_io_writen(fd, "\n", 1) < 0 ? gpgme_error_from_errno(errno) : 0;
}

/* ---- contexts ---- */

static int context_new(struct pgp_run *run, struct error *e)
{
    gpgme_error_t code = gpgme_new(&run->context);
    if (!code)
        code = gpgme_set_protocol(run->context, GPGME_PROTOCOL_OpenPGP);
    if (!code)
        code = gpgme_ctx_set_engine_info(run->context, GPGME_PROTOCOL_OpenPGP, NULL, run->pgp->spec.home);
    if (!code)
        code = gpgme_set_pinentry_mode(run->context, GPGME_PINENTRY_MODE_LOOPBACK);
    if (code) {
        error_set(e, ERROR_UNSUPPORTED, "gpg cannot be run: %s", gpgme_strerror(code));
        return error_hint(e, "install it: apt-get install gpg gpg-agent");
    }
    gpgme_set_passphrase_cb(run->context, on_passphrase, run);
    gpgme_set_status_cb(run->context, on_status, run);
    gpgme_set_ctx_flag(run->context, "full-status", "1");
    gpgme_set_ctx_flag(run->context, "no-symkey-cache", "1");
    gpgme_set_ctx_flag(run->context, "no-auto-check-trustdb", "1");
    gpgme_set_offline(run->context, 1);
    return 0;
}

int pgp_run_new(struct pgp *pgp, struct pgp_run **run, struct error *e)
{
    struct pgp_run *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    r->pgp = pgp;
    if (context_new(r, e) < 0) {
        pgp_run_free(r);
        return -1;
    }
    *run = r;
    return 0;
}

void pgp_run_free(struct pgp_run *run)
{
    if (!run)
        return;
    if (run->context)
        gpgme_release(run->context);
    free(run->loop.in);
    free(run->loop.out);
    free(run);
}

void pgp_cancel(struct pgp_run *run)
{
    atomic_store(&run->loop.cancelled, true);
}

/* ---- streams ---- */

/* Does the message begin with a session key: for a recipient (tag 1), or for a passphrase (tag 3)? */
static int check_begin(struct pgp_run *run, uint8_t first, struct error *e)
{
    unsigned tag = first & 0x40 ? first & 0x3f : (first >> 2) & 0x0f;
    unsigned wanted = run->pgp->spec.recipient_count > 0 ? 1 : 3;
    if (run->begun)
        return 0;
    run->begun = true;
    if ((first & 0x80) && tag == wanted)
        return 0;
    if (run->purpose == ENCRYPT)
        return error_set(e, ERROR_PERMANENT, "gpg gave what is no message encrypted %s",
                         wanted == 1 ? "to recipients" : "with a passphrase");
    error_set(e, ERROR_INTEGRITY, "it is not encrypted %s, as the sink is configured",
              wanted == 1 ? "to recipients" : "with a passphrase");
    return error_hint(e, "somebody else made it, or the section was changed since: see encrypt_to and passphrase");
}

static ssize_t stop(struct pgp_run *run, const struct error *why)
{
    if (run->failed.class == ERROR_NONE)
        run->failed = *why;
    errno = EIO;
    return -1;
}

static ssize_t on_read(void *handle, void *buffer, size_t size)
{
    struct pgp_run *run = handle;
    struct error e;
    size_t got = 0;
    pgp_loop_carries(&run->loop);
    if (run->failed.class != ERROR_NONE)
        return stop(run, &run->failed);
    if (run->stream->read(run->stream->context, buffer, size, &got, &e) < 0 ||
        (got > 0 && run->purpose == DECRYPT && check_begin(run, *(const uint8_t *)buffer, &e) < 0))
        return stop(run, &e);
    return (ssize_t)got;
}

static ssize_t on_write(void *handle, const void *buffer, size_t size)
{
    struct pgp_run *run = handle;
    struct error e;
    pgp_loop_carries(&run->loop);
    if (run->failed.class != ERROR_NONE)
        return stop(run, &run->failed);
    if ((size > 0 && run->purpose == ENCRYPT && check_begin(run, *(const uint8_t *)buffer, &e) < 0) ||
        run->stream->write(run->stream->context, buffer, size, &e) < 0)
        return stop(run, &e);
    return (ssize_t)size;
}

static struct gpgme_data_cbs callbacks = {.read = on_read, .write = on_write};

static int data_new(struct pgp_run *run, gpgme_data_t *in, gpgme_data_t *out, struct error *e)
{
    struct pgp_loop *loop = &run->loop;
    *in = *out = NULL;
    if (!loop->in && (!(loop->in = malloc(PGP_LOOP_BUFFER)) || !(loop->out = malloc(PGP_LOOP_BUFFER))))
        return error_memory(e);
    loop->read = on_read;
    loop->write = on_write;
    loop->context = run;
    if (gpgme_data_new_from_cbs(in, &callbacks, run) || gpgme_data_new_from_cbs(out, &callbacks, run))
        return error_memory(e);
    return 0;
}

/* ---- failures in words ---- */

static const struct {
    gpgme_err_code_t code;
    enum error_class class;
    const char *text, *hint;
} failures[] = {
    {GPG_ERR_INV_ENGINE, ERROR_UNSUPPORTED, "gpg cannot be run", "install it: apt-get install gpg gpg-agent"},
    {GPG_ERR_BAD_PASSPHRASE, ERROR_AUTH, "the passphrase is wrong", "see passphrase and key_passphrase"},
    {GPG_ERR_NO_SECKEY, ERROR_AUTH, "no secret key for it is in the keyring", "import it, and see gnupg_home"},
    {GPG_ERR_NO_PASSPHRASE, ERROR_AUTH, "the secret key has a passphrase", "set key_passphrase = @file:PATH"},
    {GPG_ERR_UNUSABLE_PUBKEY, ERROR_AUTH, "a recipient's key cannot be used", "see: cofre check"},
    {GPG_ERR_UNUSABLE_SECKEY, ERROR_AUTH, "the secret key cannot be used", "see: cofre check"},
    {GPG_ERR_NO_AGENT, ERROR_UNSUPPORTED, "gpg-agent cannot be run", "install it: apt-get install gpg-agent"},
    {GPG_ERR_NO_DATA, ERROR_INTEGRITY, "it is no encrypted message", NULL},
    {GPG_ERR_DECRYPT_FAILED, ERROR_INTEGRITY, "it is damaged, or the passphrase is wrong", NULL},
    {GPG_ERR_BAD_DATA, ERROR_INTEGRITY, "it is damaged", NULL},
};

static int explain(const struct pgp_run *run, gpgme_error_t code, const char *what, struct error *e)
{
    const struct pgp_spec *spec = &run->pgp->spec;
    if (run->failed.class != ERROR_NONE) {
        *e = run->failed;
        return -1;
    }
    if (run->no_passphrase) {
        error_set(e, ERROR_AUTH, "%s: the secret key in '%s' has a passphrase, and none is configured", what,
                  spec->home);
        return error_hint(e, "set key_passphrase = @file:PATH");
    }
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == gpgme_err_code(code)) {
            error_set(e, failures[i].class, "%s: %s (gpg in '%s')", what, failures[i].text, spec->home);
            return failures[i].hint ? error_hint(e, "%s", failures[i].hint) : -1;
        }
    return error_set(e, ERROR_PERMANENT, "%s: gpg failed: %s", what, gpgme_strerror(code));
}

/* ---- sealing and opening ---- */

static gpgme_error_t start_sealing(struct pgp_run *run, gpgme_data_t in, gpgme_data_t out)
{
    struct pgp *pgp = run->pgp;
    gpgme_encrypt_flags_t flags = GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_COMPRESS | GPGME_ENCRYPT_NO_ENCRYPT_TO;
    if (pgp->spec.recipient_count == 0)
        return gpgme_op_encrypt_start(run->context, NULL, flags | GPGME_ENCRYPT_SYMMETRIC, in, out);
    ASSERT(pgp->recipients && pgp->recipients[0]);
    return gpgme_op_encrypt_start(run->context, pgp->recipients, flags, in, out);
}

static gpgme_error_t operate(struct pgp_run *run, gpgme_data_t in, gpgme_data_t out)
{
    pgp_loop_attach(&run->loop, run->context);
    gpgme_error_t code =
        run->purpose == ENCRYPT ? start_sealing(run, in, out) : gpgme_op_decrypt_start(run->context, in, out);
    return code ? code : pgp_loop_run(&run->loop, run->context);
}

int pgp_encrypt(struct pgp_run *run, const struct pgp_stream *stream, struct error *e)
{
    gpgme_data_t in, out;
    run->purpose = ENCRYPT;
    run->stream = stream;
    int result = data_new(run, &in, &out, e);
    gpgme_error_t code = result == 0 ? operate(run, in, out) : 0;
    if (result == 0 && (code || run->failed.class != ERROR_NONE))
        result = explain(run, code, "encrypt", e);
    else if (result == 0 && (!(run->said & SAID_ENCRYPTED) || !run->begun))
        result = error_set(e, ERROR_PERMANENT, "encrypt: gpg ended before it was done");
    gpgme_data_release(in);
    gpgme_data_release(out);
    return result;
}

int pgp_decrypt(struct pgp_run *run, const struct pgp_stream *stream, struct error *e)
{
    gpgme_data_t in, out;
    run->purpose = DECRYPT;
    run->stream = stream;
    int result = data_new(run, &in, &out, e);
    gpgme_error_t code = result == 0 ? operate(run, in, out) : 0;
    if (result == 0 && (code || run->failed.class != ERROR_NONE))
        result = explain(run, code, "decrypt", e);
    else if (result == 0 && (run->said & (SAID_DECRYPTED | SAID_GOOD_MDC)) != (SAID_DECRYPTED | SAID_GOOD_MDC))
        result = error_set(e, ERROR_INTEGRITY, "decrypt: gpg did not say that it is whole");
    gpgme_data_release(in);
    gpgme_data_release(out);
    return result;
}

/* ---- signing ---- */

static int take_data(gpgme_data_t data, struct bytes *out, struct error *e)
{
    size_t n = 0;
    char *p = gpgme_data_release_and_get_mem(data, &n);
    if (p)
        bytes_put(out, p, n);
    gpgme_free(p);
    if (n == 0)
        return error_set(e, ERROR_PERMANENT, "sign: gpg gave no signature");
    return bytes_check(out, "signature", e);
}

static int sign(struct pgp_run *run, const void *p, size_t n, struct bytes *out, struct error *e)
{
    gpgme_data_t in = NULL, signature = NULL;
    run->purpose = SIGN;
    gpgme_error_t code = gpgme_signers_add(run->context, run->pgp->signer);
    if (!code)
        code = gpgme_data_new_from_mem(&in, p, n, 0);
    if (!code)
        code = gpgme_data_new(&signature);
    if (!code)
        code = gpgme_op_sign(run->context, in, signature, GPGME_SIG_MODE_DETACH);
    const struct _gpgme_op_sign_result *done = code ? NULL : gpgme_op_sign_result(run->context);
    gpgme_data_release(in);
    if (!code && done && done->signatures)
        return take_data(signature, out, e);
    gpgme_data_release(signature);
    return code ? explain(run, code, "sign", e) : error_set(e, ERROR_PERMANENT, "sign: gpg gave no signature");
}

int pgp_sign(struct pgp *pgp, const void *p, size_t n, struct bytes *out, struct error *e)
{
    struct pgp_run *run;
    ASSERT(pgp->signer);
    if (pgp_run_new(pgp, &run, e) < 0)
        return -1;
    int result = sign(run, p, n, out, e);
    pgp_run_free(run);
    return result;
}

/* A signature names the subkey that made it; the configuration may name that one, or its primary key. */
static bool is_signer(struct pgp_run *run, const char *fingerprint)
{
    const char *wanted = run->pgp->spec.signer;
    gpgme_key_t key;
    if (strcasecmp(fingerprint, wanted) == 0)
        return true;
    if (gpgme_get_key(run->context, fingerprint, &key, 0))
        return false;
    bool same = key->fpr && strcasecmp(key->fpr, wanted) == 0;
    gpgme_key_unref(key);
    return same;
}

static int judge(struct pgp_run *run, gpgme_error_t code, struct error *e)
{
    const struct _gpgme_op_verify_result *result = code ? NULL : gpgme_op_verify_result(run->context);
    const struct _gpgme_signature *s = result ? result->signatures : NULL;
    if (code && gpgme_err_code(code) != GPG_ERR_NO_DATA && gpgme_err_code(code) != GPG_ERR_BAD_DATA)
        return explain(run, code, "verify the signature", e);
    if (!s || s->next)
        return error_set(e, ERROR_INTEGRITY, "it has no signature, or more than one");
    gpgme_err_code_t status = gpgme_err_code(s->status);
    if (status == GPG_ERR_NO_PUBKEY) {
        error_set(e, ERROR_INTEGRITY, "it is signed with the key '%s', which is not in '%s'", s->fpr,
                  run->pgp->spec.home);
        return error_hint(e, "if that is the key named by sign_with, import it there; else somebody else made this");
    }
    if (status != GPG_ERR_NO_ERROR && status != GPG_ERR_KEY_EXPIRED)
        return error_set(e, ERROR_INTEGRITY, "its signature is not good: %s", gpgme_strerror(s->status));
    if (!is_signer(run, s->fpr))
        return error_set(e, ERROR_INTEGRITY, "it is signed with the key '%s', not with that of sign_with", s->fpr);
    return 0;
}

int pgp_verify(struct pgp *pgp, const void *p, size_t n, const void *signature, size_t signature_length,
               struct error *e)
{
    struct pgp_run *run;
    gpgme_data_t text = NULL, detached = NULL;
    if (pgp_run_new(pgp, &run, e) < 0)
        return -1;
    run->purpose = VERIFY;
    gpgme_error_t code = gpgme_data_new_from_mem(&text, p, n, 0);
    if (!code)
        code = gpgme_data_new_from_mem(&detached, signature, signature_length, 0);
    if (!code)
        code = gpgme_op_verify(run->context, detached, text, NULL);
    int result = judge(run, code, e);
    gpgme_data_release(text);
    gpgme_data_release(detached);
    pgp_run_free(run);
    return result;
}

/* ---- opening ---- */

int pgp_open(const struct pgp_spec *spec, struct pgp **pgp, struct error *e)
{
    if (pgp_passphrase_check(spec->passphrase, spec->passphrase_length, "passphrase", e) < 0 ||
        pgp_passphrase_check(spec->key_passphrase, spec->key_passphrase_length, "key_passphrase", e) < 0)
        return -1;
    if (strlen(spec->home) > PGP_HOME_MAX) {
        error_set(e, ERROR_CONFIG, "'%s' is too long for gpg's agent", spec->home);
        return error_hint(e, "at most %d bytes: see gnupg_home, or state_dir in [engine]", PGP_HOME_MAX);
    }
    /* Also makes GPGME ready for threads. */
    if (!gpgme_check_version("1.18.0"))
        return error_set(e, ERROR_UNSUPPORTED, "GPGME is older than 1.18");
    const char *program = gpgme_get_dirinfo("gpg-name");
    if (!program || access(program, X_OK) < 0) {
        error_set(e, ERROR_UNSUPPORTED, "gpg cannot be run: '%s' is not there", program ? program : "gpg");
        return error_hint(e, "install it: apt-get install gpg gpg-agent");
    }
    struct pgp *p = calloc(1, sizeof *p);
    if (!p || !(p->recipients = calloc(spec->recipient_count + 1, sizeof(gpgme_key_t)))) {
        free(p);
        return error_memory(e);
    }
    p->spec = *spec;
    *pgp = p;
    return 0;
}

void pgp_free(struct pgp *pgp)
{
    if (!pgp)
        return;
    for (size_t i = 0; pgp->recipients[i]; i++)
        gpgme_key_unref(pgp->recipients[i]);
    if (pgp->signer)
        gpgme_key_unref(pgp->signer);
    free(pgp->recipients);
    free(pgp);
}

/* ---- before a run ---- */

static int find_keys(struct pgp *pgp, struct pgp_run *run, struct error *e)
{
    const struct pgp_spec *s = &pgp->spec;
    for (size_t i = 0; i < s->recipient_count; i++)
        if (!pgp->recipients[i] &&
            pgp_key_find(run->context, s->home, s->recipients[i], PGP_USE_ENCRYPT, &pgp->recipients[i], e) < 0)
            return -1;
    if (s->signer && !pgp->signer)
        return pgp_key_find(run->context, s->home, s->signer, PGP_USE_SIGN, &pgp->signer, e);
    return 0;
}

static int no_bytes(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    (void)context;
    (void)p;
    (void)n;
    (void)e;
    *got = 0;
    return 0;
}

static int to_nowhere(void *context, const void *p, size_t n, struct error *e)
{
    (void)context;
    (void)p;
    (void)n;
    (void)e;
    return 0;
}

static int rehearse(struct pgp *pgp, struct pgp_run *run, struct error *e)
{
    const struct pgp_stream nothing = {.read = no_bytes, .write = to_nowhere};
    AUTO_BYTES struct bytes signature = {.maximum = SMALL};
    if ((pgp->spec.recipient_count > 0 || pgp->spec.passphrase) && pgp_encrypt(run, &nothing, e) < 0)
        return -1;
    return pgp->signer ? pgp_sign(pgp, "cofre", 5, &signature, e) : 0;
}

int pgp_ready(struct pgp *pgp, void (*warn)(void *context, const char *text, const char *hint), void *context,
              struct error *e)
{
    struct pgp_run *run;
    if (pgp_run_new(pgp, &run, e) < 0)
        return -1;
    int result = find_keys(pgp, run, e);
    if (result == 0)
        result = rehearse(pgp, run, e);
    pgp_run_free(run);
    if (result < 0)
        return -1;
    for (size_t i = 0; i < pgp->spec.recipient_count; i++)
        pgp_key_warn(pgp->recipients[i], pgp->spec.recipients[i], PGP_USE_ENCRYPT, warn, context);
    if (pgp->signer)
        pgp_key_warn(pgp->signer, pgp->spec.signer, PGP_USE_SIGN, warn, context);
    return 0;
}
