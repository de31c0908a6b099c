/* Passphrases that can be used: by gpg, and typed by whoever opens the archive by hand. A part of pgp.h. */
#ifndef COFRE_OPENPGP_PGP_PASSPHRASE_H
#define COFRE_OPENPGP_PGP_PASSPHRASE_H

#include <stddef.h>
#include <stdint.h>

struct error;

/* One line of 1 to PGP_PASSPHRASE_MAX bytes without control characters; else ERROR_CONFIG. p: NULL = there is none,
 * which is fine. name: of the option, for messages. */
int pgp_passphrase_check(const uint8_t *p, size_t n, const char *name, struct error *e);

#endif
