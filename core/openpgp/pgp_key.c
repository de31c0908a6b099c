#include "openpgp/pgp_key.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "openpgp/pgp.h"

#define WARN_DAYS 60
#define DAY 86400

static const char *const purposes[] = {[PGP_USE_ENCRYPT] = "encrypting", [PGP_USE_SIGN] = "signing"};

bool pgp_is_fingerprint(const char *text)
{
    size_t n = strlen(text);
    return (n == 40 || n == 64) && strspn(text, "0123456789abcdefABCDEF") == n;
}

int pgp_make_home(const char *home, struct error *e)
{
    /* The largest count that OpenPGP can write (RFC 4880, 3.7.1.3). Else gpg-agent measures one whenever it starts,
     * and finds a lower one on a slow machine. */
    static const char text[] = "s2k-cipher-algo AES256\n"
                               "s2k-digest-algo SHA512\n"
                               "s2k-count 65011712\n"
                               "personal-cipher-preferences AES256\n";
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/gpg.conf", home) >= (int)sizeof path)
        return error_set(e, ERROR_CONFIG, "'%s' is too long", home);
    return file_make_trusted(home, e) < 0 ? -1 : file_write(path, text, strlen(text), FILE_REPLACE, e);
}

static bool can(const struct _gpgme_subkey *s, enum pgp_use use)
{
    return use == PGP_USE_ENCRYPT ? s->can_encrypt : s->can_sign;
}

static bool usable(const struct _gpgme_subkey *s, enum pgp_use use)
{
    return can(s, use) && !s->revoked && !s->expired && !s->disabled && !s->invalid &&
           (use == PGP_USE_ENCRYPT || s->secret);
}

/* Why none of the key can be used for that; NULL when one can. */
static const char *fault_of(gpgme_key_t key, enum pgp_use use)
{
    bool any = false, expired = false, revoked = false;
    if (key->revoked)
        return "was revoked";
    if (key->expired)
        return "has expired";
    if (key->disabled)
        return "is disabled in the keyring";
    for (const struct _gpgme_subkey *s = key->subkeys; s; s = s->next) {
        if (usable(s, use))
            return NULL;
        any = any || can(s, use);
        expired = expired || (can(s, use) && s->expired);
        revoked = revoked || (can(s, use) && s->revoked);
    }
    if (!any)
        return use == PGP_USE_ENCRYPT ? "has no part that encrypts" : "has no part that signs";
    return expired ? "has expired" : revoked ? "was revoked" : "cannot be used: its secret part is not there";
}

static const char *owner_of(gpgme_key_t key)
{
    return key->uids && key->uids->uid ? key->uids->uid : "nobody";
}

static int not_found(gpgme_error_t code, const char *home, const char *fingerprint, enum pgp_use use, struct error *e)
{
    gpgme_err_code_t why = gpgme_err_code(code);
    if (why == GPG_ERR_INV_ENGINE) {
        error_set(e, ERROR_UNSUPPORTED, "gpg cannot be run: %s", gpgme_strerror(code));
        return error_hint(e, "install it: apt-get install gpg gpg-agent");
    }
    if (why != GPG_ERR_EOF && why != GPG_ERR_NO_SECKEY && why != GPG_ERR_NO_PUBKEY)
        return error_set(e, ERROR_AUTH, "look for the OpenPGP key '%s' in '%s': %s", fingerprint, home,
                         gpgme_strerror(code));
    error_set(e, ERROR_AUTH, "the OpenPGP key '%s' is not in '%s'%s", fingerprint, home,
              use == PGP_USE_SIGN ? " with its secret part" : "");
    return error_hint(e, "import it: gpg --homedir '%s' --import FILE", home);
}

int pgp_key_find(gpgme_ctx_t context, const char *home, const char *fingerprint, enum pgp_use use, gpgme_key_t *key,
                 struct error *e)
{
    gpgme_error_t code = gpgme_get_key(context, fingerprint, key, use == PGP_USE_SIGN);
    if (code)
        return not_found(code, home, fingerprint, use, e);
    const char *fault = fault_of(*key, use);
    if (!fault)
        return 0;
    error_set(e, ERROR_AUTH, "the OpenPGP key '%s' of '%s' %s", fingerprint, owner_of(*key), fault);
    error_hint(e, "prolong it and import it again, or name another key");
    gpgme_key_unref(*key);
    *key = NULL;
    return -1;
}

static long earlier(long a, long b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* When does the last part for that end? 0 = never. */
static long end_of(gpgme_key_t key, enum pgp_use use)
{
    long end = -1;
    for (const struct _gpgme_subkey *s = key->subkeys; s; s = s->next) {
        if (!usable(s, use))
            continue;
        if (s->expires == 0)
            end = 0;
        else if (end != 0 && s->expires > end)
            end = s->expires;
    }
    return earlier(end < 0 ? 0 : end, key->subkeys ? key->subkeys->expires : 0);
}

void pgp_key_warn(gpgme_key_t key, const char *fingerprint, enum pgp_use use,
                  void (*warn)(void *context, const char *text, const char *hint), void *context)
{
    long end = end_of(key, use);
    int64_t left = end - clock_now() / 1000000000;
    char text[512], date[CLOCK_TEXT_MAX];
    if (!warn || end == 0 || left > (int64_t)WARN_DAYS * DAY)
        return;
    clock_format_shown((int64_t)end * 1000000000, date);
    date[10] = '\0';
    snprintf(text, sizeof text, "the OpenPGP key '%s' of '%s' expires in %lld days, on %s: no %s with it from then on",
             fingerprint, owner_of(key), (long long)(left / DAY), date, purposes[use]);
    warn(context, text, "prolong it in time: gpg --quick-set-expire FINGERPRINT 2y, also for its subkeys ('*')");
}
