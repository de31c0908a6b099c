/* Keys of OpenPGP: found by fingerprint, and what is wrong with them said in words. A part of pgp.h. */
#ifndef COFRE_OPENPGP_PGP_KEY_H
#define COFRE_OPENPGP_PGP_KEY_H

#include <gpgme.h>

struct error;

enum pgp_use { PGP_USE_ENCRYPT, PGP_USE_SIGN };

/* The key, usable for that. home is for messages. warn as in pgp_ready. */
int pgp_key_find(gpgme_ctx_t context, const char *home, const char *fingerprint, enum pgp_use use, gpgme_key_t *key,
                 struct error *e);
void pgp_key_warn(gpgme_key_t key, const char *fingerprint, enum pgp_use use,
                  void (*warn)(void *context, const char *text, const char *hint), void *context);

#endif
