/* The formats: which there are, and what a sink's section says that it holds. */
#ifndef COFRE_JOB_FORMATS_H
#define COFRE_JOB_FORMATS_H

#include <stdint.h>

#include "format/vault.h"

struct config_instance;
struct engine;
struct error;

const struct vault_format *formats_of(const struct config_instance *sink);

/* Open the sink and what it holds. ERROR_NOT_INITIALISED when there is nothing. */
int formats_open(const struct engine *engine, const struct config_instance *sink, struct vault **vault,
                 struct error *e);

/* Is it a sink that may have one? ERROR_CONFIG. */
int formats_may_recover(const struct config_instance *sink, struct error *e);

/* Get the key back that is kept in the sink (cofre init with recovery_to or recovery_passphrase), into a new file. id:
 * of the key, hex, as the recovery sheet has it. A repository that no job of this machine has saved to, where its state
 * knows others of them, is warned of. ERROR_CONFIG: the section does not say how; ERROR_NOT_FOUND: none is kept;
 * ERROR_AUTH: what is at hand does not open it, or it is another key. */
int formats_recover(const struct engine *engine, const struct config_instance *sink, const char *id, const char *path,
                    struct error *e);

/* Accept who signed what the sink has of the host, for this machine, or with the full key for all; told of each.
 * ERROR_NOT_FOUND: there is nothing of it. An archive has no such signers: ERROR_CONFIG. */
int formats_accept(const struct engine *engine, const struct config_instance *sink, const char *host,
                   vault_signed *told, void *context, struct error *e);
/* Revoke a signer, for everybody, as of `since` (ns); told of what it has stored. ERROR_EXISTS: it is revoked already;
 * ERROR_DENIED without the full key. */
int formats_revoke(const struct engine *engine, const struct config_instance *sink, const uint8_t signer[32],
                   int64_t since, vault_signed *told, void *context, struct error *e);

#endif
