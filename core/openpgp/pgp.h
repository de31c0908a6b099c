/* OpenPGP, through GPGME and gpg: sealing and opening streams, signing and verifying small texts.
 *
 * gpg is run once for each stream. It never asks anybody (loopback pinentry), uses the given home alone, compresses
 * nothing and adds no recipients of its own. What GPGME says is not believed without gpg's own status lines: only
 * END_ENCRYPTION, DECRYPTION_OKAY and GOODMDC make a success, and what is opened must begin as an encrypted message of
 * the configured sort.
 */
#ifndef COFRE_OPENPGP_PGP_H
#define COFRE_OPENPGP_PGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;
struct pgp;
struct pgp_run;

#define PGP_PASSPHRASE_MAX 255 /* bytes; the agent takes no more */

/* Everything is borrowed and must outlive the pgp. */
struct pgp_spec {
    const char *home;        /* of gpg: absolute, at most PGP_HOME_MAX bytes */
    char *const *recipients; /* full fingerprints; none = seal with the passphrase */
    size_t recipient_count;
    const char *signer;        /* full fingerprint; NULL = do not sign */
    const uint8_t *passphrase; /* to seal and open; NULL with recipients */
    size_t passphrase_length;
    const uint8_t *key_passphrase; /* of the secret keys that open and sign; NULL = they have none */
    size_t key_passphrase_length;
};
#define PGP_HOME_MAX 85 /* the agent's socket is in it, and such a path has at most 107 bytes */

/* Is this 40 or 64 hexadecimal digits? */
bool pgp_is_fingerprint(const char *text);

/* A home without keys, for passphrases alone: made, mode 0700, with a configuration that says AES-256. */
int pgp_make_home(const char *home, struct error *e);

/* Looks at nothing yet but the spec. */
int pgp_open(const struct pgp_spec *spec, struct pgp **pgp, struct error *e);
void pgp_free(struct pgp *pgp);

/* Everything is there that sealing and signing need, shown by doing both with a few bytes: every recipient's key, each
 * usable, the signer's secret key, gpg itself. Else ERROR_AUTH, or what gpg failed with, and the key by its
 * fingerprint. warn is called for keys that expire within 60 days; may be NULL. */
int pgp_ready(struct pgp *pgp, void (*warn)(void *context, const char *text, const char *hint), void *context,
              struct error *e);

/* Where a stream comes from and goes to. *got = 0: the end. */
struct pgp_stream {
    int (*read)(void *context, void *p, size_t n, size_t *got, struct error *e);
    int (*write)(void *context, const void *p, size_t n, struct error *e);
    void *context;
};
/* One run of gpg, used by one thread, but for pgp_cancel. */
int pgp_run_new(struct pgp *pgp, struct pgp_run **run, struct error *e);
void pgp_run_free(struct pgp_run *run);
int pgp_encrypt(struct pgp_run *run, const struct pgp_stream *stream, struct error *e);
/* What was written is only to be believed after success. ERROR_AUTH: no key or passphrase at hand opens it.
 * ERROR_INTEGRITY: it is damaged, or was not sealed as configured. */
int pgp_decrypt(struct pgp_run *run, const struct pgp_stream *stream, struct error *e);
/* The same at once, in a run of their own, for what is small; appended to *out, whose maximum holds. */
int pgp_encrypt_bytes(struct pgp *pgp, const struct bytes *plain, struct bytes *out, struct error *e);
int pgp_decrypt_bytes(struct pgp *pgp, const struct bytes *sealed, struct bytes *out, struct error *e);
/* Any thread. The run ends within a second or two. */
void pgp_cancel(struct pgp_run *run);

/* A detached signature, appended to *out. */
int pgp_sign(struct pgp *pgp, const void *p, size_t n, struct bytes *out, struct error *e);
/* Is it the configured signer's? Also when that key has expired since; not when it was revoked. ERROR_INTEGRITY. */
int pgp_verify(struct pgp *pgp, const void *p, size_t n, const void *signature, size_t signature_length,
               struct error *e);

#endif
