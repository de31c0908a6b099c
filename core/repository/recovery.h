/* Recovery: the full key of a repository, wrapped by OpenPGP and kept in the repository itself, for the day when its
 * file is lost. */
#ifndef COFRE_REPOSITORY_RECOVERY_H
#define COFRE_REPOSITORY_RECOVERY_H

#include <stdbool.h>

struct config_instance;
struct engine;
struct error;
struct key;
struct openpgp;
struct sink;

/* Does the section ask for it (recovery_to, recovery_passphrase)? */
bool recovery_wanted(const struct config_instance *sink);
/* Wrap the full key and put it into the sink as "keys/KEYID.gpg", in the place of an earlier one; read it back.
 * openpgp: the section's. */
int recovery_store(struct openpgp *openpgp, struct sink *sink, const struct key *key, struct error *e);
/* Is it in the sink? */
int recovery_find(struct sink *sink, const struct key *key, bool *there, struct error *e);

/* Does recovery_passphrase open it, and is it this key? ERROR_AUTH, ERROR_INTEGRITY. Nothing to do without that: to
 * recipients it is kept for those who have a secret key, and this machine has none. */
int recovery_prove(struct openpgp *openpgp, struct sink *sink, const struct key *key, struct error *e);

/* Get the key of the sink's repository back, into a new file. id: of the key, hex, from elsewhere than the sink, where
 * somebody may have put a repository and a key of their own; it is derived from the key, which the repository's id is
 * not. repository: of the repository, hex. ERROR_NOT_FOUND: none is kept. ERROR_AUTH: what is at hand does not open it,
 * or it is another key; then there is no file. */
int recovery_recover(const struct engine *engine, const struct config_instance *sink, const char *id, const char *path,
                     char repository[33], struct error *e);

#endif
