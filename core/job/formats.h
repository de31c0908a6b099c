/* The formats: which there are, and what a sink's section says that it holds. */
#ifndef COFRE_JOB_FORMATS_H
#define COFRE_JOB_FORMATS_H

struct config_instance;
struct engine;
struct error;
struct vault;
struct vault_format;

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

#endif
